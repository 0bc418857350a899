//! Waiting for what others append: nothing is missed, and nobody is left asleep.

mod common;

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use common::{Line, Place, Process, Random, config, entry, ids, metric, parameter, wait_until};
use simledger::{Ledger, NO_LIMIT, Query, Status};

/// Longer than any wait takes that is ended by what it waits for.
const LONG: Duration = Duration::from_secs(100);

fn number(name: &str, usually: usize) -> usize {
    std::env::var(name).map_or(usually, |value| value.parse().expect("a number"))
}

/// Whether ledgers in files have a commit log in this run.
fn is_logged(ledger: &Ledger) -> bool {
    ledger.option("commit").unwrap() == "log"
}

#[test]
fn what_is_there_is_given_at_once_and_what_is_not_after_the_time() {
    let place = Place::new();
    let ledger = place.open(&[]);
    ledger.append_json(&entry(1.0, "a")).unwrap();
    ledger.append_json(&entry(2.0, "b")).unwrap();
    assert_eq!(ids(&ledger.wait_since(0, NO_LIMIT, LONG).unwrap()), [1, 2]);
    assert_eq!(ids(&ledger.wait_since(0, 1, LONG).unwrap()), [1]);
    let nothing = ledger.wait_since(2, NO_LIMIT, Duration::ZERO).unwrap();
    assert_eq!((nothing.len(), nothing.position()), (0, 2));
    let begun = Instant::now();
    let nothing = ledger.wait_since(2, NO_LIMIT, Duration::from_millis(30)).unwrap();
    assert_eq!((nothing.len(), nothing.position()), (0, 2));
    assert!(begun.elapsed() >= Duration::from_millis(30), "it returned before its time");
    assert!(metric(&ledger, "latency_seconds.wait.count") >= 4.0);
}

#[test]
fn a_filter_is_waited_for_and_the_position_passes_over_the_rest() {
    let place = Place::new();
    let ledger = place.open(&[]);
    let mut query = Query::new();
    query.node("wanted").unwrap();
    for k in 0..5 {
        ledger.append_json(&entry(f64::from(k), "other")).unwrap();
    }
    let nothing = ledger.wait_query(&query, 0, NO_LIMIT, Duration::from_millis(1)).unwrap();
    assert_eq!((nothing.len(), nothing.position()), (0, 5));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| ledger.wait_query(&query, 0, NO_LIMIT, LONG).unwrap());
        wait_until(|| metric(&ledger, "waiting") == 1.0);
        ledger.append_json(&entry(10.0, "other")).unwrap();
        ledger.append_json(&entry(11.0, "wanted")).unwrap();
        let found = waiting.join().unwrap();
        assert_eq!((ids(&found), found.position()), (vec![7], 7));
    });
    query.limit(1).unwrap();
    ledger.append_json(&entry(12.0, "wanted")).unwrap();
    assert_eq!(ids(&ledger.wait_query(&query, 0, NO_LIMIT, LONG).unwrap()), [7]);
}

#[test]
fn what_cleanup_took_from_a_waiter_is_told_with_what_comes_next() {
    let place = Place::new();
    let ledger = place.open(&[]);
    for k in 0..10 {
        ledger.append_json(&entry(f64::from(k), "n")).unwrap();
    }
    ledger.cleanup_before_id(11).unwrap();
    let nothing = ledger.wait_since(3, NO_LIMIT, Duration::from_millis(1)).unwrap();
    assert_eq!((nothing.len(), nothing.position(), nothing.gap_before()), (0, 10, 10));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| ledger.wait_since(3, NO_LIMIT, LONG).unwrap());
        wait_until(|| metric(&ledger, "waiting") == 1.0);
        ledger.append_json(&entry(100.0, "n")).unwrap();
        let found = waiting.join().unwrap();
        assert_eq!((ids(&found), found.gap_before()), (vec![11], 10));
    });
}

#[test]
fn an_interruption_ends_a_wait_and_a_change_of_mode_does_not() {
    // Whoever is not told of it sleeps for ever.
    let mut process = Process::start("body_of_a_process_whose_waits_end", &[("LOOKS", "never")]);
    assert!(process.end(), "its messages are above");
}

#[test]
#[ignore = "a process of the test above"]
fn body_of_a_process_whose_waits_end() {
    let place = Place::new();
    let ledger = place.open(&[]);
    thread::scope(|scope| {
        let wait = || ledger.wait_since(0, NO_LIMIT, LONG).unwrap_err().status();
        let waiting: Vec<_> = (0..3).map(|_| scope.spawn(wait)).collect();
        wait_until(|| metric(&ledger, "waiting") == 3.0);
        ledger.interrupt().unwrap();
        for waiting in waiting {
            assert_eq!(waiting.join().unwrap(), Status::Interrupted);
        }
    });
    let modes = if is_logged(&ledger) { ["sqlite", "log"] } else { ["log", "sqlite"] };
    for (k, mode) in modes.into_iter().enumerate() {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| ledger.wait_since(k as i64, NO_LIMIT, LONG).unwrap());
            wait_until(|| metric(&ledger, "waiting") == 1.0);
            ledger.set_option("commit", mode).unwrap();
            ledger.append_json(&entry(k as f64, "n")).unwrap();
            assert_eq!(ids(&waiting.join().unwrap()), [k as i64 + 1]);
        });
    }
    // The thread of the watches ends at the close.
    let watch = ledger.watch(2, None).unwrap();
    wait_until(|| metric(&ledger, "waiting") == 1.0);
    ledger.close().unwrap();
    drop(watch);
    let left: Vec<_> =
        std::fs::read_dir(place.path("")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["ledger.db"], "whoever leaves last takes his files away");
}

#[test]
fn a_thousand_wait_and_all_are_woken() {
    const WAITERS: usize = 1000;
    let place = Place::new();
    let ledger = place.open(&[("max_connections", "4"), ("timeout", "100")]);
    thread::scope(|scope| {
        let ledger = &ledger;
        let waiting: Vec<_> = (0..WAITERS)
            .map(|k| {
                let wait = move || {
                    let found = ledger.wait_since(0, NO_LIMIT, LONG).unwrap();
                    assert_eq!(found.get(0).unwrap().id(), 1);
                    // Some go on, so that there are leaders who leave while others still sleep.
                    if k % 3 == 0 {
                        let found = ledger.wait_since(1, NO_LIMIT, LONG).unwrap();
                        assert_eq!(found.get(0).unwrap().id(), 2);
                    }
                };
                thread::Builder::new().stack_size(128 << 10).spawn_scoped(scope, wait).unwrap()
            })
            .collect();
        wait_until(|| metric(ledger, "waiting") == WAITERS as f64);
        ledger.append_json(&entry(1.0, "n")).unwrap();
        wait_until(|| metric(ledger, "waiting") == WAITERS.div_ceil(3) as f64);
        ledger.append_json(&entry(2.0, "n")).unwrap();
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
    });
    assert_eq!(metric(&ledger, "waiting"), 0.0);
}

/// Hands a turn from agent to agent: each waits for the entry of the one before, and appends the next one.
/// Nothing else ever happens, so that a wake-up that is lost ends everything.
fn take_turns(ledger: &Ledger, agent: usize, agents: usize, turns: usize) {
    let mut seen = 0;
    for turn in (agent..turns).step_by(agents) {
        while seen < turn as i64 {
            let found = ledger.wait_since(seen, NO_LIMIT, LONG).unwrap();
            let fresh = ids(&found);
            assert!(!fresh.is_empty(), "agent {agent} slept through entry {}", seen + 1);
            assert_eq!(fresh, (seen + 1..=found.position()).collect::<Vec<_>>(), "ids were missed");
            seen = found.position();
        }
        assert_eq!(seen, turn as i64, "somebody appended out of turn");
        assert_eq!(ledger.append_json(&entry(turn as f64, "n")).unwrap(), turn as i64 + 1);
    }
}

#[test]
fn no_wake_up_is_lost_between_threads_and_processes() {
    const PROCESSES: usize = 3;
    const THREADS: usize = 2;
    let place = Place::new();
    let ledger = place.open(&[("log_bytes", "262144")]);
    let turns = number("LEDGER_WAIT_TURNS", if is_logged(&ledger) { 200_000 } else { 30_000 });
    let mut processes: Vec<Process> = (0..PROCESSES)
        .map(|process| {
            let parameters = [
                ("PATH", &*place.file("ledger.db")),
                ("FIRST", &*(process * THREADS).to_string()),
                ("THREADS", &*THREADS.to_string()),
                ("AGENTS", &*(PROCESSES * THREADS).to_string()),
                ("TURNS", &*turns.to_string()),
                ("LOOKS", "never"),
                ("SIGNALS", if process == 0 { "many" } else { "none" }),
            ];
            Process::start("body_of_a_process_that_takes_turns", &parameters)
        })
        .collect();
    for process in &mut processes {
        assert!(process.end(), "a process failed; its messages are above");
    }
    assert_eq!(ledger.count().unwrap(), turns as i64);
    println!("{turns} turns");
}

/// From now on this process gets ten thousand signals a second, which end system calls early.
fn begin_signals() {
    extern "C" fn ignore(_: libc::c_int) {}
    let interval = libc::timeval { tv_sec: 0, tv_usec: 100 };
    let timer = libc::itimerval { it_interval: interval, it_value: interval };
    // SAFETY: all of a sigaction may be zero; the handler does nothing; both calls get what they ask for.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ignore as extern "C" fn(libc::c_int) as usize;
        assert_eq!(libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()), 0);
        assert_eq!(libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()), 0);
    }
}

#[test]
#[ignore = "a process of the test above"]
fn body_of_a_process_that_takes_turns() {
    let get = |name| parameter(name).expect("a parameter");
    let [first, threads, agents, turns] =
        ["FIRST", "THREADS", "AGENTS", "TURNS"].map(|name| get(name).parse::<usize>().unwrap());
    if get("SIGNALS") == "many" {
        begin_signals();
    }
    let ledger = Ledger::open_path(&get("PATH")).unwrap();
    thread::scope(|scope| {
        for agent in first..first + threads {
            let ledger = &ledger;
            scope.spawn(move || take_turns(ledger, agent, agents, turns));
        }
    });
}

#[test]
fn producers_and_consumers_see_all_of_one_another() {
    const PROCESSES: usize = 2;
    let place = Place::new();
    let ledger = place.open(&[("timeout", "100")]);
    let each = number("LEDGER_WAIT_ENTRIES", if is_logged(&ledger) { 340_000 } else { 20_000 });
    let total = (each * (PROCESSES + 1)) as i64;
    let mut processes: Vec<Process> = (0..PROCESSES)
        .map(|process| {
            let parameters = [
                ("PATH", &*place.file("ledger.db")),
                ("NAME", &*process.to_string()),
                ("ENTRIES", &*each.to_string()),
                ("TOTAL", &*total.to_string()),
            ];
            Process::start("body_of_a_process_that_appends_and_waits", &parameters)
        })
        .collect();
    append_and_wait(&ledger, "here", each, total);
    for process in &mut processes {
        assert!(process.end(), "a process failed; its messages are above");
    }
    println!("{total} entries");
}

#[test]
#[ignore = "a process of the test above"]
fn body_of_a_process_that_appends_and_waits() {
    let get = |name| parameter(name).expect("a parameter");
    let ledger = Ledger::open(&config(&get("PATH"), &[("timeout", "100")])).unwrap();
    append_and_wait(&ledger, &get("NAME"), get("ENTRIES").parse().unwrap(), get("TOTAL").parse().unwrap());
}

/// One thread appends, others wait for all that anybody appends: each id, once, in order.
fn append_and_wait(ledger: &Ledger, name: &str, entries: usize, total: i64) {
    thread::scope(|scope| {
        for limit in [NO_LIMIT, 7] {
            scope.spawn(move || {
                let mut seen = 0;
                while seen < total {
                    let found = ledger.wait_since(seen, limit, LONG).unwrap();
                    assert!(!found.is_empty(), "{name} slept through entry {}", seen + 1);
                    found.iter().zip(seen + 1..).for_each(|(entry, id)| assert_eq!(entry.id(), id));
                    seen = found.position();
                }
            });
        }
        scope.spawn(move || {
            for k in 0..entries {
                ledger.append_json(&entry(k as f64, name)).unwrap();
            }
        });
    });
}

#[test]
fn who_dies_between_an_append_and_the_waking_leaves_nobody_asleep() {
    let place = Place::new();
    let ledger = place.open(&[]);
    let readers = [place.open(&[("read_only", "true")])];
    for round in 0..10 {
        let last = ledger.last_id().unwrap();
        let parameters = [
            ("PATH", &*place.file("ledger.db")),
            ("KILL", "append.notify:1"),
            ("FIRST", &*round.to_string()),
        ];
        let mut process = Process::start("body_of_a_process_that_dies_before_it_wakes", &parameters);
        thread::scope(|scope| {
            for ledger in readers.iter().chain([&ledger]) {
                scope.spawn(move || {
                    let mut seen = last;
                    while seen < last + 2 {
                        let found = ledger.wait_since(seen, NO_LIMIT, LONG).unwrap();
                        assert!(!found.is_empty(), "asleep since {seen}");
                        seen = found.position();
                    }
                });
            }
            assert!(!process.end(), "it was to be killed");
        });
    }
}

#[test]
#[ignore = "a process of the test above"]
fn body_of_a_process_that_dies_before_it_wakes() {
    let get = |name| parameter(name).expect("a parameter");
    let ledger = Ledger::open_path(&get("PATH")).unwrap();
    let first: f64 = get("FIRST").parse().unwrap();
    ledger.append_json(&entry(first, "a")).unwrap();
    let _ = ledger.append_json(&entry(first, "b"));
}

#[test]
fn what_programs_append_that_know_nothing_of_this_is_found() {
    for journal_mode in ["WAL", "DELETE"] {
        let place = Place::new();
        let ledger = place.open(&[("commit", "sqlite"), ("journal_mode", journal_mode)]);
        let other = place.sqlite();
        other.busy_timeout(LONG).unwrap();
        for k in 0..20 {
            thread::scope(|scope| {
                // Within the 50 milliseconds of the documentation, and what the machine may take.
                let wait = || ledger.wait_since(k, NO_LIMIT, Duration::from_secs(5)).unwrap();
                let waiting: Vec<_> = (0..3).map(|_| scope.spawn(wait)).collect();
                wait_until(|| metric(&ledger, "waiting") == 3.0);
                let append =
                    "INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES (?, 'n', '{}', 1)";
                other.execute(append, [k]).unwrap();
                for waiting in waiting {
                    assert_eq!(ids(&waiting.join().unwrap()), [k + 1]);
                }
            });
        }
    }
}

#[test]
fn whoever_cannot_write_finds_what_others_append() {
    let place = Place::new();
    let writer = place.open(&[]);
    writer.append_json(&entry(0.0, "n")).unwrap();
    writer.close().unwrap();
    let reader = place.open(&[("read_only", "true")]);
    let parameters = [("PATH", &*place.file("ledger.db"))];
    let mut process = Process::start("body_of_a_process_that_appends_when_told", &parameters);
    for id in 2..20 {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| reader.wait_since(id - 1, NO_LIMIT, LONG).unwrap());
            wait_until(|| metric(&reader, "waiting") == 1.0);
            assert_eq!(process.ask("append"), id.to_string());
            assert_eq!(ids(&waiting.join().unwrap()), [id]);
        });
    }
}

#[test]
#[ignore = "a process of the tests beside it"]
fn body_of_a_process_that_appends_when_told() {
    let ledger = Ledger::open_path(&parameter("PATH").expect("a path")).unwrap();
    let mut line = Line::to_the_test();
    let mut timestamp = 1.0;
    while line.hear().is_some() {
        line.say(&ledger.append_json(&entry(timestamp, "n")).unwrap().to_string());
        timestamp += 1.0;
    }
}

#[test]
fn a_reader_that_is_asked_right_after_an_append_elsewhere_sees_it() {
    let place = Place::new();
    // A small ring, so that it is wrapped and drained all the time.
    let ledger = place.open(&[("log_bytes", "65536")]);
    let rounds = number("LEDGER_FRESHNESS_ROUNDS", 100_000);
    let parameters = [("PATH", &*place.file("ledger.db"))];
    let mut process = Process::start("body_of_a_process_that_appends_when_told", &parameters);
    for id in 1..=rounds as i64 {
        assert_eq!(process.ask("append"), id.to_string());
        let seen = match id % 4 {
            0 => ledger.poll_since(id - 1, NO_LIMIT).unwrap().position(),
            1 => ledger.get_by_id(id).unwrap().map_or(0, |entry| entry.as_ref().id()),
            2 => ledger.last_id().unwrap(),
            _ => ledger.read_by_node("n", 1).unwrap().get(0).map_or(0, |entry| entry.id()),
        };
        assert_eq!(seen, id, "acknowledged, and not seen");
        if id % 1000 == 0 {
            // The WAL begins anew after it.
            ledger.checkpoint().unwrap();
        }
    }
}

#[test]
fn waiters_come_and_go_while_others_append() {
    let place = Place::new();
    let ledger = Arc::new(place.open(&[]));
    let done = Arc::new(AtomicBool::new(false));
    let start = Arc::new(Barrier::new(9));
    let threads: Vec<_> = (0..8)
        .map(|k| {
            let (ledger, done, start) = (Arc::clone(&ledger), Arc::clone(&done), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                let mut seen = 0;
                while !done.load(Ordering::SeqCst) || seen < 3000 {
                    // Most leave before anything comes.
                    let found = ledger.wait_since(seen, 5, Duration::from_micros(10 << k)).unwrap();
                    found.iter().zip(seen + 1..).for_each(|(entry, id)| assert_eq!(entry.id(), id));
                    seen = found.position();
                }
            })
        })
        .collect();
    start.wait();
    for k in 0..3000 {
        ledger.append_json(&entry(f64::from(k), "n")).unwrap();
    }
    done.store(true, Ordering::SeqCst);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn what_lies_where_the_file_to_wake_by_would_be_stays_as_it_is() {
    let place = Place::new();
    std::fs::write(place.path("ledger.db-wake"), "mine").unwrap();
    let ledger = place.open(&[("commit", "sqlite")]);
    ledger.append_json(&entry(1.0, "n")).unwrap();
    assert_eq!(ids(&ledger.wait_since(0, NO_LIMIT, LONG).unwrap()), [1]);
    ledger.close().unwrap();
    assert_eq!(std::fs::read_to_string(place.path("ledger.db-wake")).unwrap(), "mine");
}

#[test]
fn a_watch_is_told_of_what_comes_while_it_looks() {
    let place = Place::new();
    let parameters = [("PATH", &*place.file("ledger.db")), ("LOOKS", "never")];
    assert!(Process::start("body_of_a_process_that_watches_while_it_appends", &parameters).end());
}

#[test]
#[ignore = "a process of the test above"]
fn body_of_a_process_that_watches_while_it_appends() {
    let ledger = Ledger::open_path(&parameter("PATH").expect("a path")).unwrap();
    // So many that to look through them takes longer than to be woken.
    for first in (0..100_000).step_by(1000) {
        let lines: Vec<_> = (first..first + 1000).map(|k| entry(f64::from(k), "other")).collect();
        ledger.append_many_json(&lines.join("\n")).unwrap();
    }
    let mut random = Random::new();
    for round in 0..40 {
        let confidence = format!("0.{}", 59 + round);
        let wanted = entry(f64::from(round), "wanted").replace("0.5", &confidence);
        let mut query = Query::new();
        query.other_than_node("other").unwrap().min_confidence(confidence.parse().unwrap()).unwrap();
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                random.pass_microseconds(5000);
                ledger.append_json(&wanted).unwrap();
            });
            start.wait();
            let watch = ledger.watch(0, Some(&query)).unwrap();
            let descriptor = File::from(watch.as_fd().try_clone_to_owned().unwrap());
            wait_until(|| (&descriptor).read(&mut [0; 8]).is_ok());
        });
    }
}
