//! Processes that are stopped (SIGSTOP) in their turn, and go on or die then: the others are told BUSY when
//! their time is up, and nothing is lost.

use crate::agent::KEYS;
use crate::common::batches::Batch;
use crate::common::{Place, Process, Random};
use crate::known::Known;
use crate::{by_log, rounds};
use simledger::Status;

fn number_of(process: &Process) -> libc::pid_t {
    process.id().try_into().expect("the number of a process")
}

/// Waits until the process is stopped.
fn wait_for_stop(process: &Process) {
    let (number, mut status) = (number_of(process), 0);
    // SAFETY: a child of this process, and a place for its status.
    let found = unsafe { libc::waitpid(number, &raw mut status, libc::WUNTRACED) };
    assert!(found == number && libc::WIFSTOPPED(status), "it is stopped: {status:x}");
}

#[test]
fn who_is_stopped_in_his_turn_holds_the_others_up_and_loses_nothing() {
    let mut random = Random::new();
    let points = if by_log() {
        &["log.locked", "log.put", "log.publish", "log.publishing", "log.published"][..]
    } else {
        &["writer.insert", "writer.commit"]
    };
    for point in points {
        for round in 0..2 * rounds() {
            let place = Place::new();
            let mut known = Known::default();
            let mut keys = KEYS.to_vec();
            keys.push(("timeout", "0.05"));
            let ledger = place.open(&keys);
            let (path, stop) = (place.file("ledger.db"), format!("{point}:{}", random.below(30)));
            let parameters = [("LEDGER", &*path), ("NAME", "s"), ("ROLE", "worker"), ("STOP", &stop)];
            let mut process = Process::start("agent::works_until_it_is_killed", &parameters);
            wait_for_stop(&process);
            let mine = Batch { writer: "mine".to_string(), k: 0, count: 1 };
            let error = ledger.append_json(&mine.entry(0)).unwrap_err();
            assert_eq!(error.status(), Status::Busy, "{point}");
            // Who reads is held up by nobody.
            ledger.read_all().unwrap();
            let dies = round % 2 == 1;
            if !dies {
                // SAFETY: a signal to a child of this process.
                unsafe { libc::kill(number_of(&process), libc::SIGCONT) };
                for _ in 0..20 {
                    known.note(&process.line.hear().expect("it goes on"));
                }
            }
            process.kill();
            while let Some(said) = process.line.hear() {
                known.note(&said);
            }
            process.end_by_a_kill();
            ledger.set_option("timeout", "50").unwrap();
            known.appended(mine.append(&ledger), mine);
            known.check(&place, &ledger, &mut random);
            ledger.close().unwrap();
        }
    }
    println!(
        "crash: {} rounds, 0 died there, 0 entries: stopped in their turns",
        points.len() as u64 * 2 * rounds()
    );
}

#[test]
fn who_is_stopped_while_he_folds_holds_nobody_up_who_appends() {
    if !by_log() {
        return;
    }
    let mut random = Random::new();
    let (mut round, mut went_on) = (0, 0);
    // The one that is stopped may have its turn at the log too, in another of its threads: then there are some more.
    while round < 2 * rounds() || went_on == 0 {
        assert!(round < 2 * rounds() + 50, "nobody could append");
        let place = Place::new();
        let mut known = Known::default();
        let mut keys = KEYS.to_vec();
        keys.push(("timeout", "0.05"));
        let ledger = place.open(&keys);
        let (path, stop) = (place.file("ledger.db"), format!("fold.commit:{}", random.below(3)));
        let parameters = [("LEDGER", &*path), ("NAME", "s"), ("ROLE", "worker"), ("STOP", &stop)];
        let mut process = Process::start("agent::works_until_it_is_killed", &parameters);
        wait_for_stop(&process);
        // Whoever has his turn is not the one who folds: then a take-over of the turn is waited for.
        if let Ok(id) = ledger.append_json(&Batch { writer: "mine".to_string(), k: 0, count: 1 }.entry(0)) {
            assert!(ledger.get_by_id(id).unwrap().is_some());
            assert_eq!(ledger.flush().unwrap_err().status(), Status::Busy);
            went_on += 1;
        }
        if round % 2 == 0 {
            // SAFETY: a signal to a child of this process.
            unsafe { libc::kill(number_of(&process), libc::SIGCONT) };
            known.note(&process.line.hear().expect("it goes on"));
        }
        process.kill();
        while let Some(said) = process.line.hear() {
            known.note(&said);
        }
        process.end_by_a_kill();
        ledger.set_option("timeout", "50").unwrap();
        // If he was killed between a batch that went straight into the file and telling of it, it is made up for by who
        // appends next.
        let next = Batch { writer: "next".to_string(), k: 0, count: 1 };
        known.appended(next.append(&ledger), next);
        known.check(&place, &ledger, &mut random);
        ledger.close().unwrap();
        round += 1;
    }
    println!("crash: {round} rounds, 0 died there, 0 entries: stopped while they folded");
}
