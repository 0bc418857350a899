//! A process of its own that tries out ledgers which may be anything: it opens each and does with it what there is to
//! do. It has little memory and little time, so that a crash, a hang and memory without bounds are its death.

use std::path::Path;
use std::sync::{Arc, Mutex};

use simledger::{Ledger, Level, NO_LIMIT, Query, Status, Vacuum};

use super::{Line, Process, config, entry, parameter};

/// What the process may have of memory: many times what it needs.
const MEMORY_BYTES: u64 = 3 << 29;
/// Seconds that a ledger may take. Most take a hundredth of one.
const SECONDS: u32 = 60;
/// In the message of what SQLite says when it computes what was planted.
pub const BOMB: &str = "abs(id*0-9223372036854775807-1)";
const EXPLOSION: &str = "integer overflow";

/// What a call may return on a file that is not what it should be.
const CLEAN: &[Status] = &[
    Status::Ok,
    Status::NotFound,
    Status::Duplicate,
    Status::Busy,
    Status::Interrupted,
    Status::ReadOnly,
    Status::NoSpace,
    Status::Io,
    Status::Corrupt,
    Status::Incompatible,
    Status::LimitExceeded,
    Status::Unsupported,
    Status::OutOfMemory,
];

/// What is said where a setting of the file is another than before, which it is by itself where the page of
/// the settings is one of another table as well.
const CHANGED: &str = "the way of committing has changed meanwhile";

/// The process, begun anew when it died.
#[derive(Default)]
pub struct Jury(Option<Process>);

/// What became of a ledger: the calls and what they returned.
#[derive(Debug)]
pub struct Verdict(Vec<(String, Status, String)>);

impl Verdict {
    /// What the call returned; `None` where it was not made.
    pub fn status(&self, call: &str) -> Option<Status> {
        self.0.iter().find(|(name, ..)| name == call).map(|(_, status, _)| *status)
    }

    /// What is wrong with it, whatever the file was.
    fn defects(&self) -> Vec<String> {
        let mut defects = Vec::new();
        for (call, status, message) in &self.0 {
            let is_said = call == "log" || *status == Status::Ok || !message.is_empty();
            // What SQLite says of a statement is taken for the statement's fault.
            let is_clean = CLEAN.contains(status)
                || (call.ends_with(" sql") && *status == Status::InvalidArgument)
                || (*status == Status::Closed && message.contains(CHANGED));
            if !is_clean || !is_said || message.contains("panic") || message.contains(EXPLOSION) {
                defects.push(format!("{call}: {status:?} {message}"));
            }
        }
        defects
    }
}

impl Jury {
    /// Tries the ledger at a path; `Err` is what is wrong.
    pub fn hear(&mut self, path: &Path, keys: &[(&str, &str)]) -> Result<Verdict, String> {
        let process = self.0.get_or_insert_with(|| Process::start("tries_ledgers_out", &[("JURY", "1")]));
        let keys: Vec<String> = keys.iter().map(|(key, value)| format!("\t{key}\t{value}")).collect();
        process.line.say(&format!("{}{}", path.display(), keys.concat()));
        let Some(answer) = process.line.hear() else {
            let ended = self.0.take().map(|mut process| process.outcome());
            return Err(format!("the process that opened it died: {ended:?}"));
        };
        let fields: Vec<&str> = answer.split('\t').collect();
        let verdict = fields.chunks_exact(3).map(|fields| {
            let status = Status::from_code(fields[1].parse().expect("a number")).expect("a status");
            (fields[0].to_string(), status, fields[2].to_string())
        });
        let verdict = Verdict(verdict.collect());
        let defects = verdict.defects();
        if defects.is_empty() { Ok(verdict) } else { Err(defects.join("; ")) }
    }
}

/// The body of the process.
pub fn try_out() {
    if parameter("JURY").is_none() {
        return;
    }
    // AddressSanitizer takes more addresses than any such limit leaves.
    if std::env::var_os("ASAN_OPTIONS").is_none() {
        let limit = libc::rlimit { rlim_cur: MEMORY_BYTES, rlim_max: MEMORY_BYTES };
        // SAFETY: a place to read from.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
    }
    let mut line = Line::to_the_test();
    while let Some(asked) = line.hear() {
        let mut fields = asked.split('\t');
        let path = fields.next().expect("a path");
        let fields: Vec<&str> = fields.collect();
        let keys: Vec<(&str, &str)> = fields.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        // SAFETY: numbers. When the time is up, the signal ends the process.
        unsafe { libc::alarm(SECONDS) };
        let said: Vec<String> = trial(path, &keys)
            .into_iter()
            .map(|(call, status, message)| {
                format!("{call}\t{}\t{}", status.code(), message.replace(['\t', '\n'], " "))
            })
            .collect();
        // SAFETY: as above.
        unsafe { libc::alarm(0) };
        line.say(&said.join("\t"));
    }
}

/// Everything there is to do with a ledger.
fn trial(path: &str, keys: &[(&str, &str)]) -> Vec<(String, Status, String)> {
    let said: Arc<Mutex<Vec<(String, Status, String)>>> = Arc::default();
    let put = |call: &str, result: Result<(), simledger::Error>| {
        let (status, message) = match result {
            Ok(()) => (Status::Ok, String::new()),
            Err(error) => (error.status(), error.message().to_string()),
        };
        said.lock().unwrap().push((call.to_string(), status, message));
    };
    let mut config = config(path, keys);
    // A small log, where one is made: there are many.
    config.set("log_bytes", "65536").unwrap();
    // Nobody else has it: what is waited for is a lock that only a damaged file says there is.
    for (key, value) in [("timeout", "0.1"), ("sql_timeout", "2"), ("result_bytes_max", "100000000")] {
        config.set(key, value).unwrap();
    }
    let lines = Arc::clone(&said);
    config.set_log(
        Level::Debug,
        Arc::new(move |_, line| {
            lines.lock().unwrap().push(("log".to_string(), Status::Ok, line.to_string()))
        }),
    );
    let ledger = match Ledger::open(&config) {
        Ok(ledger) => ledger,
        Err(error) => {
            put("open", Err(error));
            return std::mem::take(&mut *said.lock().unwrap());
        }
    };
    put("open", Ok(()));
    let mut query = Query::new();
    query.min_confidence(0.1).unwrap();
    let read = |call: &str| {
        put(&format!("{call} poll_since"), ledger.poll_since(0, NO_LIMIT).map(touch));
        put(&format!("{call} read_all"), ledger.read_all().map(touch));
        put(&format!("{call} query"), ledger.query(&query).map(touch));
        put(&format!("{call} get_by_id"), ledger.get_by_id(7).map(drop));
        put(&format!("{call} read_by_node"), ledger.read_by_node("n1", NO_LIMIT).map(touch));
        put(&format!("{call} count"), ledger.count().map(drop));
        put(&format!("{call} ends"), ledger.first_id().and(ledger.last_id()).map(drop));
        put(
            &format!("{call} sql"),
            ledger.sql("SELECT count(*), max(features) FROM ledger", None, 10).map(drop),
        );
    };
    read("first");
    put("append", ledger.append_json(&entry(1e6, "later")).map(drop));
    let many: Vec<String> = (1..20).map(|i| entry(1e6 + f64::from(i), "n1")).collect();
    put("append_many", ledger.append_many_json(&many.join("\n")).map(drop));
    put("flush", ledger.flush());
    put("integrity_check", ledger.integrity_check(NO_LIMIT, None).map(drop));
    put("cleanup", ledger.cleanup_before_id(12).map(drop));
    put("cleanup by age", ledger.cleanup(1e12).map(drop));
    put("optimize", ledger.optimize());
    put("reindex", ledger.reindex());
    put("vacuum in steps", ledger.vacuum(Vacuum::Incremental).map(drop));
    put("vacuum", ledger.vacuum(Vacuum::Full).map(drop));
    put("set_option", ledger.set_option("unique", "none"));
    put("metrics", ledger.metrics().map(drop));
    put("checkpoint", ledger.checkpoint());
    put("append again", ledger.append_json(&entry(2e6, "later")).map(drop));
    read("last");
    put("close", ledger.close());
    std::mem::take(&mut *said.lock().unwrap())
}

/// Reads every byte of a result.
fn touch(entries: simledger::Entries) {
    let mut bytes = 0;
    for entry in entries.iter() {
        bytes += entry.node_id().len() + entry.features().len();
        std::hint::black_box((entry.id(), entry.timestamp(), entry.confidence(), entry.created_at()));
        for text in [entry.node_id(), entry.features()] {
            std::hint::black_box(text.bytes().fold(0_u8, |all, byte| all ^ byte));
        }
    }
    std::hint::black_box(bytes);
}
