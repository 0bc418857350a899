//! Moments that are known to matter, each with all that a power cut or a kill can leave there.

use std::fs;
use std::path::Path;

use simledger::Vacuum;

use crate::common::Random;
use crate::disk::{CUTS, Cut, Disk, Folder};
use crate::judge::{Known, go_on, judge};
use crate::recorder::{Event, Told, tell};
use crate::work::{History, Mode, Work};
use crate::{Recording, alone, calls, record, room, write};

/// How often each moment is cut in each way.
const TIMES: usize = 2;

/// What there is right after the last that was told.
fn at_the_last_word(recording: &Recording) -> (Disk, Known) {
    let told = |event: &Event| matches!(event, Event::Told(Told::Appended(_)));
    let last = recording.events.iter().rposition(told).unwrap();
    recording.until(last + 1)
}

/// The last moment at which the ledger file had entries of the log, and the log did not say so yet.
fn behind_a_fold(recording: &Recording) -> Option<usize> {
    /// `src/commit_log/layout.rs`: drained, and the last id that the file has.
    const WORDS: [usize; 2] = [136, 160];
    let mut before: Option<[Option<Vec<u8>>; 2]> = None;
    let mut found = None;
    for (nth, event) in recording.events.iter().enumerate() {
        if let Event::Bytes { at: 0, bytes, mapped: true, .. } = event {
            let words = WORDS.map(|at| bytes.get(at..at + 8).map(<[u8]>::to_vec));
            if before.as_ref().is_some_and(|[drained, stored]| *drained == words[0] && *stored != words[1]) {
                found = Some(nth + 1);
            }
            before = Some(words);
        }
    }
    found
}

/// All ways to cut it now.
fn cut_now(disk: &Disk, known: Known, history: &History, folder: &Path, random: &mut Random) {
    for how in CUTS.into_iter().cycle().take(CUTS.len() * TIMES) {
        write(folder, &disk.cut(how, random));
        calls::start_anew();
        let mode = Mode::any(random);
        go_on(judge(folder, mode, history, known, |_, _| ()), folder, mode);
    }
}

#[test]
fn what_is_acknowledged_at_full_is_on_the_medium_with_every_journal() {
    let _alone = alone();
    let (room, mut random) = (room(), Random::new());
    for journal in ["WAL", "DELETE", "TRUNCATE", "PERSIST"] {
        let folder = room.path().join(journal);
        fs::create_dir(&folder).unwrap();
        let recording = record(calls::start_anew(), Disk::default(), Known::default(), &folder, || {
            let work = Work::new(&folder, "first", History::default());
            let ledger = work.open(Mode { journal, synchronous: "FULL" });
            for count in [1, 3, 70, 1] {
                work.append(&ledger, count);
            }
            // Nothing of the close is to count.
            ledger.flush().unwrap();
            work.append(&ledger, 1);
            ledger.close().unwrap();
            work.history.into_inner().unwrap()
        });
        let (disk, known) = at_the_last_word(&recording);
        cut_now(&disk, known, &recording.history, &room.path().join("state"), &mut random);
    }
}

/// SQLite cuts the file off when the journal is gone, which a power cut can bring back.
#[test]
fn what_a_vacuum_cuts_off_is_not_missed_by_a_journal_that_comes_back() {
    let _alone = alone();
    let (room, mut random) = (room(), Random::new());
    for (nth, journal) in ["DELETE", "TRUNCATE", "PERSIST"].into_iter().cycle().take(6).enumerate() {
        let folder = room.path().join(nth.to_string());
        fs::create_dir(&folder).unwrap();
        let recording = record(calls::start_anew(), Disk::default(), Known::default(), &folder, || {
            let work = Work::new(&folder, "first", History::default());
            let ledger = work.open(Mode { journal, synchronous: "NORMAL" });
            (0..4).for_each(|_| work.append(&ledger, 50));
            tell(Told::Removing(150));
            ledger.cleanup_before_id(151).unwrap();
            ledger.vacuum(if nth < 3 { Vacuum::Incremental } else { Vacuum::Full }).unwrap();
            ledger.close().unwrap();
            work.history.into_inner().unwrap()
        });
        let mut cut_off = 0;
        for (moment, event) in recording.events.iter().enumerate() {
            if matches!(event, Event::Size { file: 0, len: 4096.. }) {
                let (disk, known) = recording.until(moment + 1);
                cut_now(&disk, known, &recording.history, &room.path().join("state"), &mut random);
                cut_off += 1;
            }
        }
        assert!(cut_off > 0, "nothing was cut off with {journal}");
    }
}

#[test]
fn who_shares_a_sync_with_others_appended_before_it_began() {
    const MOMENTS: usize = 40;
    let _alone = alone();
    let (room, mut random) = (room(), Random::new());
    let (folder, state) = (room.path().join("recorded"), room.path().join("state"));
    let mode = Mode { journal: "WAL", synchronous: "FULL" };
    fs::create_dir(&folder).unwrap();
    let recording = record(calls::start_anew(), Disk::default(), Known::default(), &folder, || {
        let work = Work::new(&folder, "first", History::default());
        let ledger = work.open(mode);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..40).for_each(|_| work.append(&ledger, 1)));
            }
        });
        ledger.close().unwrap();
        work.history.into_inner().unwrap()
    });
    let told = recording.events.iter().enumerate();
    let told = told.filter(|(_, event)| matches!(event, Event::Told(Told::Appended(_))));
    let told: Vec<usize> = told.map(|(nth, _)| nth + 1).collect();
    for moment in told.iter().step_by(told.len() / MOMENTS) {
        let (disk, known) = recording.until(*moment);
        write(&state, &disk.cut(Cut::Nothing, &mut random));
        calls::start_anew();
        go_on(judge(&state, mode, &recording.history, known, |_, _| ()), &state, mode);
    }
}

/// Some times round the log, and a few that only it has.
const MANY: (i64, i64) = (30, 10);

/// A ledger that was written at NORMAL by a process that was killed: nobody brought anything to the medium. The log
/// has so many entries that the ledger file has not, behind some tens that it has.
fn left_by_a_kill(folder: &Path, (tens, unfolded): (i64, i64)) -> Recording {
    fs::create_dir(folder).unwrap();
    record(calls::start_anew(), Disk::default(), Known::default(), folder, || {
        let work = Work::new(folder, "first", History::default());
        let ledger = work.open(Mode { journal: "WAL", synchronous: "NORMAL" });
        for _ in 0..tens {
            work.append(&ledger, 10);
        }
        ledger.flush().unwrap();
        for _ in 0..unfolded / 2 {
            work.append(&ledger, 2);
        }
        tell(Told::Appended(10 * tens + unfolded));
        ledger.close().unwrap();
        work.history.into_inner().unwrap()
    })
}

/// Goes on where that process was killed, on the same start of the machine.
fn go_on_after_the_kill(
    left: &Recording,
    (disk, known): (Disk, Known),
    folder: &Path,
    work: impl FnOnce(&Work<'_>),
) -> (Recording, Disk, Known) {
    write(folder, &disk.cut(Cut::Everything, &mut Random::of(0)));
    calls::go_back_to(left.boot);
    let next = record(left.boot, disk.clone(), known, folder, || {
        let next = Work::new(folder, "second", left.history.clone());
        work(&next);
        next.history.into_inner().unwrap()
    });
    (next, disk, known)
}

#[test]
fn what_is_acknowledged_at_full_does_not_hang_on_what_others_left_at_normal() {
    let _alone = alone();
    let (room, mut random) = (room(), Random::new());
    // With nothing to fold when it is opened, nothing is synced for that.
    for unfolded in [10, 0] {
        let left = left_by_a_kill(&room.path().join(format!("left {unfolded}")), (MANY.0, unfolded));
        for journal in ["WAL", "DELETE"] {
            let (killed, folder) =
                (at_the_last_word(&left), room.path().join(format!("{journal} {unfolded}")));
            let (next, ..) = go_on_after_the_kill(&left, killed, &folder, |work| {
                let ledger = work.open(Mode { journal, synchronous: "FULL" });
                work.append(&ledger, 1);
                ledger.close().unwrap();
            });
            let (disk, known) = at_the_last_word(&next);
            cut_now(&disk, known, &next.history, &room.path().join("state"), &mut random);
        }
    }
}

#[test]
fn what_is_acknowledged_at_full_stays_where_others_fold_it_at_normal() {
    let _alone = alone();
    let (room, mut random) = (room(), Random::new());
    let folder = room.path().join("left");
    fs::create_dir(&folder).unwrap();
    let left = record(calls::start_anew(), Disk::default(), Known::default(), &folder, || {
        let work = Work::new(&folder, "first", History::default());
        let ledger = work.open(Mode { journal: "WAL", synchronous: "FULL" });
        (0..5).for_each(|_| work.append(&ledger, 3));
        ledger.close().unwrap();
        work.history.into_inner().unwrap()
    });
    let killed = at_the_last_word(&left);
    let (next, ..) = go_on_after_the_kill(&left, killed, &room.path().join("next"), |work| {
        let ledger = work.open(Mode { journal: "WAL", synchronous: "NORMAL" });
        // Some times round the log: it has them no more.
        (0..30).for_each(|_| work.append(&ledger, 10));
        ledger.close().unwrap();
    });
    let (disk, known) = at_the_last_word(&next);
    cut_now(&disk, known, &next.history, &room.path().join("state"), &mut random);
}

/// A kill in the middle of a fold leaves a file that may have the entries for as long only as the machine goes on.
#[test]
fn what_a_killed_process_had_just_folded_stays_whoever_opens_the_ledger_next() {
    let _alone = alone();
    let (room, mut random) = (room(), Random::new());
    for journal in ["DELETE", "WAL", "PERSIST"] {
        let folder = room.path().join(journal);
        fs::create_dir(&folder).unwrap();
        let left = record(calls::start_anew(), Disk::default(), Known::default(), &folder, || {
            let work = Work::new(&folder, "first", History::default());
            let ledger = work.open(Mode { journal, synchronous: "FULL" });
            work.append(&ledger, 5);
            work.append(&ledger, 5);
            ledger.flush().unwrap();
            ledger.close().unwrap();
            work.history.into_inner().unwrap()
        });
        let told = |event: &Event| matches!(event, Event::Told(Told::Appended(_)));
        let last = left.events.iter().rposition(told).unwrap();
        for moment in last + 1..left.events.len() {
            if matches!(left.events[moment], Event::Bytes { mapped: true, .. }) {
                continue;
            }
            let next = room.path().join("next");
            let (next, ..) = go_on_after_the_kill(&left, left.until(moment + 1), &next, |work| {
                let ledger = work.open(Mode { journal, synchronous: "NORMAL" });
                work.append(&ledger, 1);
                ledger.close().unwrap();
            });
            let (disk, known) = at_the_last_word(&next);
            cut_now(&disk, known, &next.history, &room.path().join("state"), &mut random);
        }
    }
}

#[test]
fn a_rollback_journal_can_be_cut_at_any_moment() {
    let _alone = alone();
    let (room, mut random) = (room(), Random::new());
    let state = room.path().join("state");
    for journal in ["DELETE", "TRUNCATE", "PERSIST"] {
        let folder = room.path().join(journal);
        fs::create_dir(&folder).unwrap();
        let mode = Mode { journal, synchronous: "NORMAL" };
        let recording = record(calls::start_anew(), Disk::default(), Known::default(), &folder, || {
            let work = Work::new(&folder, "first", History::default());
            let ledger = work.open(mode);
            for _ in 0..2 {
                work.append(&ledger, 30);
                ledger.flush().unwrap();
            }
            ledger.close().unwrap();
            work.history.into_inner().unwrap()
        });
        let told = |event: &Event| matches!(event, Event::Told(Told::Appended(_)));
        let first = recording.events.iter().position(told).unwrap();
        let (mut disk, mut known) = recording.until(first);
        for event in &recording.events[first..] {
            disk.apply(event);
            known.hear(event);
            if matches!(event, Event::Bytes { mapped: true, .. }) {
                continue;
            }
            for _ in 0..TIMES {
                write(&state, &disk.cut(Cut::Mixed, &mut random));
                calls::start_anew();
                go_on(judge(&state, mode, &recording.history, known, |_, _| ()), &state, mode);
            }
        }
    }
}

#[test]
fn an_opening_can_be_cut_at_any_moment() {
    let _alone = alone();
    let (room, mut random) = (room(), Random::new());
    let left = left_by_a_kill(&room.path().join("left"), MANY);
    let state = room.path().join("state");
    // With `commit = log` also where the log does not know yet what the file has.
    let moments = [Some(at_the_last_word(&left)), behind_a_fold(&left).map(|moment| left.until(moment))];
    for (nth, killed) in moments.into_iter().flatten().enumerate() {
        let folder = room.path().join(format!("next {nth}"));
        let (next, disk, known) = go_on_after_the_kill(&left, killed, &folder, |work| {
            work.open(Mode { journal: "WAL", synchronous: "NORMAL" }).close().unwrap();
        });
        cut_at_any_moment(&next, disk, (known, known.of_a_kill()), &state, &mut random);
    }
}

/// The recovery after a power cut, where records are missing: whoever dies in it leaves what is found again.
#[test]
fn an_opening_after_a_power_cut_can_be_cut_at_any_moment() {
    const TIMES: usize = 6;
    let _alone = alone();
    let (room, mut random) = (room(), Random::new());
    // The log has been gone round, or has all that the file may have lost.
    let left =
        [MANY, (3, 10)].map(|amount| left_by_a_kill(&room.path().join(format!("left {amount:?}")), amount));
    let state = room.path().join("state");
    for nth in 0..TIMES {
        let left = &left[nth % left.len()];
        let (lost, known) = at_the_last_word(left);
        let folder = room.path().join(format!("next {nth}"));
        let mut files = lost.cut(Cut::Mixed, &mut random);
        if nth % 2 == 1 {
            // The file has lost all that it could.
            files.retain(|(name, _)| name.ends_with("-log"));
            let others = lost.cut(Cut::Nothing, &mut random).into_iter();
            files.extend(others.filter(|(name, _)| !name.ends_with("-log")));
        }
        write(&folder, &files);
        let boot = calls::start_anew();
        let next = record(boot, Disk::of(&files), known, &folder, || {
            Mode { journal: "WAL", synchronous: "NORMAL" }.open(&folder).unwrap().close().unwrap();
            left.history.clone()
        });
        cut_at_any_moment(&next, Disk::of(&files), (known, known), &state, &mut random);
    }
}

#[test]
fn what_a_killed_process_had_begun_to_append_does_not_come_back_behind_others() {
    /// For a record that was written in part a sector must be as it was before the last of some stores.
    const MIXTURES: usize = 60;
    let _alone = alone();
    let (room, mut random) = (room(), Random::new());
    let mode = Mode { journal: "WAL", synchronous: "NORMAL" };
    let folder = room.path().join("left");
    fs::create_dir(&folder).unwrap();
    let left = record(calls::start_anew(), Disk::default(), Known::default(), &folder, || {
        let work = Work::new(&folder, "first", History::default());
        let ledger = work.open(mode);
        work.append(&ledger, 12);
        ledger.close().unwrap();
        work.history.into_inner().unwrap()
    });
    let opened =
        left.events.iter().rposition(|event| matches!(event, Event::Told(Told::Durable(_)))).unwrap();
    let appended =
        left.events.iter().position(|event| matches!(event, Event::Told(Told::Appended(_)))).unwrap();
    // Killed at each moment of the append; and then, on the same start of the machine, others append, whose records
    // are where those are that were begun, and as long.
    for killed in opened + 1..=appended {
        let (disk, known) = left.until(killed);
        let folder = room.path().join(format!("next {killed}"));
        write(&folder, &disk.cut(Cut::Everything, &mut random));
        calls::go_back_to(left.boot);
        let next = record(left.boot, disk, known, &folder, || {
            let mut found = History::default();
            let ledger = judge(&folder, mode, &left.history, known.of_a_kill(), |_, all| found = all.clone());
            let work = Work::new(&folder, "other", found);
            work.append(&ledger, 12);
            ledger.close().unwrap();
            work.history.into_inner().unwrap()
        });
        let (disk, known) = at_the_last_word(&next);
        for _ in 0..MIXTURES {
            let state = room.path().join("state");
            write(&state, &disk.cut(Cut::Mixed, &mut random));
            calls::start_anew();
            go_on(judge(&state, mode, &next.history, known, |_, _| ()), &state, mode);
        }
    }
}

#[test]
fn what_a_power_cut_left_behind_a_gap_is_not_found_behind_others() {
    const TIMES: usize = 30;
    let _alone = alone();
    let (room, mut random) = (room(), Random::new());
    let mode = Mode { journal: "WAL", synchronous: "NORMAL" };
    let folder = room.path().join("left");
    fs::create_dir(&folder).unwrap();
    let left = record(calls::start_anew(), Disk::default(), Known::default(), &folder, || {
        let work = Work::new(&folder, "first", History::default());
        let ledger = work.open(mode);
        // So that the log alone has them.
        let other = rusqlite::Connection::open(folder.join("ledger.db")).unwrap();
        if ledger.option("commit").unwrap() == "log" {
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
        }
        // The last of them are longer than a sector.
        (0..90).for_each(|_| work.append(&ledger, 1));
        tell(Told::Durable(false));
        drop(other);
        ledger.close().unwrap();
        work.history.into_inner().unwrap()
    });
    let (disk, known) = at_the_last_word(&left);
    let state = room.path().join("state");
    for nth in 0..TIMES {
        let folder = room.path().join(format!("next {nth}"));
        let files = disk.cut(Cut::OneLost, &mut random);
        write(&folder, &files);
        let next = record(calls::start_anew(), Disk::of(&files), known, &folder, || {
            let mut found = History::default();
            let ledger = judge(&folder, mode, &left.history, known, |_, all| found = all.clone());
            let work = Work::new(&folder, "other", found);
            // As many as were lost, some time.
            (0..3).for_each(|_| work.append(&ledger, 1));
            ledger.close().unwrap();
            work.history.into_inner().unwrap()
        });
        for (nth, event) in next.events.iter().enumerate() {
            if matches!(event, Event::Told(Told::Appended(_))) {
                let (disk, known) = next.until(nth + 1);
                // One of them does not come to the medium: what was there before is there then.
                for _ in 0..TIMES / 5 {
                    write(&state, &disk.cut(Cut::OneLost, &mut random));
                    calls::start_anew();
                    go_on(judge(&state, mode, &next.history, known, |_, _| ()), &state, mode);
                }
            }
        }
    }
}

/// Every moment of what is done to the log, and some of the others. `after_a_kill`: what is known where the machine
/// goes on.
fn cut_at_any_moment(
    next: &Recording,
    mut disk: Disk,
    (known, after_a_kill): (Known, Known),
    state: &Path,
    random: &mut Random,
) {
    for (nth, event) in next.events.iter().enumerate() {
        disk.apply(event);
        let is_stored = matches!(event, Event::Bytes { mapped: true, .. });
        if !is_stored && nth % 8 != 0 {
            continue;
        }
        let mode = Mode::any(random);
        // Killed once more, the machine going on.
        write(state, &disk.cut(Cut::Everything, random));
        calls::go_back_to(next.boot);
        go_on(judge(state, mode, &next.history, after_a_kill, |_, _| ()), state, mode);
        if nth % 8 == 0 {
            write(state, &disk.cut(CUTS[nth / 8 % CUTS.len()], random));
            calls::start_anew();
            go_on(judge(state, mode, &next.history, known, |_, _| ()), state, mode);
        }
    }
}

#[test]
fn a_new_log_is_never_there_without_the_ledger_that_it_is_of() {
    let _alone = alone();
    let (room, mut random) = (room(), Random::new());
    let folder = room.path().join("recorded");
    fs::create_dir(&folder).unwrap();
    let recording = record(calls::start_anew(), Disk::default(), Known::default(), &folder, || {
        let work = Work::new(&folder, "first", History::default());
        let ledger = work.open(Mode { journal: "WAL", synchronous: "NORMAL" });
        (0..3).for_each(|_| work.append(&ledger, 1));
        ledger.close().unwrap();
        work.history.into_inner().unwrap()
    });
    let (disk, known) = at_the_last_word(&recording);
    // Of the log everything, and of all else nothing.
    let is_log = |(name, _): &(String, Vec<u8>)| name.ends_with("-log");
    let mut files: Folder = disk.cut(Cut::Nothing, &mut random);
    files.retain(|file| !is_log(file));
    files.extend(disk.cut(Cut::Everything, &mut random).into_iter().filter(is_log));
    let state = room.path().join("state");
    write(&state, &files);
    calls::start_anew();
    let mode = Mode { journal: "WAL", synchronous: "NORMAL" };
    go_on(judge(&state, mode, &recording.history, known, |_, _| ()), &state, mode);
}
