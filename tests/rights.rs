//! Who may read and write what a ledger makes, where it makes it, and what it says of it.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use common::{Place, Process, config, entry, ids, parameter};
use rusqlite::params;
use simledger::{Error, Ledger, Level, NO_LIMIT, Query, Status, test_hooks};

fn is_root() -> bool {
    // SAFETY: it cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// What only root can try; false where it is left out.
fn as_root(what: &str) -> bool {
    if !is_root() {
        println!("skipped: {what} (only root can)");
    }
    is_root()
}

/// The body of a process with its own umask and user, which opens a ledger and keeps it open.
#[test]
#[ignore = "a process with rights of its own"]
fn keeps_a_ledger_open() {
    let Some(path) = parameter("LEDGER") else { return };
    let umask = u32::from_str_radix(&parameter("UMASK").unwrap(), 8).unwrap();
    // SAFETY: numbers; the process has one thread that minds.
    unsafe {
        libc::umask(umask);
        if let Some(user) = parameter("USER_ID") {
            let user = user.parse().unwrap();
            assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
            assert_eq!((libc::setresgid(user, user, user), libc::setresuid(user, user, user)), (0, 0));
        }
    }
    let keys = parameter("KEYS").unwrap();
    let keys: Vec<(&str, &str)> = keys.split(',').map(|pair| pair.split_once('=').unwrap()).collect();
    let mut line = common::Line::to_the_test();
    match Ledger::open(&config(&path, &keys)) {
        Ok(ledger) => {
            let appended = ledger
                .append_json(&entry(f64::from(std::process::id()), "n"))
                .map_err(|error| error.status());
            let read = ledger.count().map_err(|error| error.status());
            line.say(&format!("{appended:?} {read:?}"));
            line.hear();
        }
        Err(error) => line.say(&format!("not opened: {:?} {}", error.status(), error.message())),
    }
}

/// A process that has the ledger open, and what it says of that.
fn keep_open(path: &Path, umask: u32, keys: &str, user: Option<u32>) -> (Process, String) {
    let (path, umask) = (path.to_str().unwrap(), format!("{umask:o}"));
    let user = user.map(|user| user.to_string());
    let mut parameters = vec![("LEDGER", path), ("UMASK", &umask), ("KEYS", keys)];
    parameters.extend(user.as_deref().map(|user| ("USER_ID", user)));
    let mut process = Process::start("keeps_a_ledger_open", &parameters);
    let said = process.line.hear().expect("it says what became of the opening");
    (process, said)
}

/// The files of a folder by their names.
fn files(place: &Place) -> BTreeMap<String, fs::Metadata> {
    let folder = fs::read_dir(place.path("")).unwrap();
    folder
        .map(|file| file.unwrap())
        .map(|file| (file.file_name().into_string().unwrap(), file.metadata().unwrap()))
        .collect()
}

fn mode(file: &fs::Metadata) -> u32 {
    file.permissions().mode() & 0o7777
}

/// In each way of committing: the keys for it, and the companions that an open ledger has then.
const WAYS: [(&str, &[&str]); 3] = [
    ("commit=log,log_bytes=65536", &["", "-log", "-shm", "-wal"]),
    ("commit=sqlite", &["", "-shm", "-wake", "-wal"]),
    ("commit=sqlite,journal_mode=PERSIST", &["", "-journal", "-wake"]),
];

#[test]
fn a_new_ledger_and_its_companions_have_the_rights_that_are_asked_for() {
    let mut tried = 0;
    for (keys, ends) in WAYS {
        for umask in [0, 0o022, 0o027, 0o077] {
            for asked in ["umask", "0600", "640", "0644", "0660", "0666"] {
                if umask == 0o027 && asked != "umask" {
                    continue;
                }
                let place = Place::new();
                let keys = format!("{keys},file_mode={asked}");
                let (_process, said) = keep_open(&place.path("ledger.db"), umask, &keys, None);
                assert_eq!(said, "Ok(1) Ok(1)");
                let expected = u32::from_str_radix(asked, 8).unwrap_or(0o644 & !umask);
                let files = files(&place);
                let names: Vec<&str> =
                    files.keys().map(|name| name.strip_prefix("ledger.db").unwrap()).collect();
                assert_eq!(names, ends);
                for (name, file) in files {
                    assert_eq!(
                        mode(&file),
                        expected,
                        "{name} is {:o}, {asked}, umask {umask:o}",
                        mode(&file)
                    );
                    tried += 1;
                }
            }
        }
    }
    println!("done: {tried} files of new ledgers, each with the rights that were asked for");
}

#[test]
fn an_existing_ledger_keeps_its_rights_and_its_companions_follow() {
    for (keys, ends) in WAYS {
        for existing in [0o600, 0o604, 0o640, 0o664, 0o666] {
            let place = Place::new();
            let path = place.path("ledger.db");
            drop(keep_open(&path, 0o022, keys, None));
            for name in files(&place).keys().filter(|name| *name != "ledger.db") {
                fs::remove_file(place.path(name)).unwrap();
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(existing)).unwrap();
            let (_process, said) = keep_open(&path, 0o077, &format!("{keys},file_mode=0644"), None);
            assert!(said.starts_with("Ok("), "{said}");
            assert_eq!(files(&place).len(), ends.len());
            for (name, file) in files(&place) {
                assert_eq!(mode(&file), existing, "{name} is {:o} and not {existing:o}", mode(&file));
            }
        }
    }
}

#[test]
fn companions_belong_to_whom_the_ledger_belongs() {
    if !as_root("companions that are made by root for others") {
        return;
    }
    for (keys, _) in WAYS {
        let place = Place::new();
        let path = place.path("ledger.db");
        place.open(&[("commit", if keys.contains("log") { "log" } else { "sqlite" })]).close().unwrap();
        chown(&path, Some(1234), Some(5678)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
        let keys = keys.replace(",journal_mode=PERSIST", "");
        let (_process, said) = keep_open(&path, 0o022, &keys, None);
        assert_eq!(said, "Ok(1) Ok(1)");
        for (name, file) in files(&place) {
            assert_eq!((file.uid(), file.gid(), mode(&file)), (1234, 5678, 0o660), "{name}");
        }
    }
}

/// A group that the ledger's rights do not speak of gets none by its companions.
#[test]
fn another_group_gets_no_rights() {
    if !as_root("another user whose group is not the ledger's") {
        return;
    }
    for (keys, _) in &WAYS[..2] {
        let place = Place::new();
        let path = place.path("ledger.db");
        place.open(&[("commit", if keys.contains("log") { "log" } else { "sqlite" })]).close().unwrap();
        fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o777)).unwrap();
        chown(&path, Some(65_534), Some(5678)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
        let (_process, said) = keep_open(&path, 0, keys, Some(65_534));
        assert_eq!(said, "Ok(1) Ok(1)");
        let ours =
            files(&place).into_iter().filter(|(name, _)| name.ends_with("-log") || name.ends_with("-wake"));
        let ours: Vec<_> = ours.map(|(_, file)| (file.gid(), mode(&file))).collect();
        assert_eq!(ours, [(65_534, 0o600)]);
    }
}

#[test]
fn a_ledger_without_the_rights_to_it_is_a_status() {
    if !as_root("a ledger of another user") {
        return;
    }
    for (keys, _) in &WAYS[..2] {
        for (file, folder, said) in [
            (0o600, 0o777, "not opened: "),
            (0o644, 0o777, "not opened: ReadOnly"),
            (0o666, 0o755, "not opened: "),
            (0o666, 0o777, "Ok(1) Ok(1)"),
        ] {
            let place = Place::new();
            let path = place.path("ledger.db");
            place.open(&[("commit", if keys.contains("log") { "log" } else { "sqlite" })]).close().unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(file)).unwrap();
            fs::set_permissions(place.path(""), fs::Permissions::from_mode(folder)).unwrap();
            let (_process, heard) = keep_open(&path, 0, keys, Some(65_534));
            assert!(heard.starts_with(said), "{file:o} in {folder:o}: {heard}");
            let clean = ["Io", "ReadOnly", "Ok"].iter().any(|status| heard.contains(status));
            assert!(clean, "{file:o} in {folder:o}: {heard}");
        }
    }
}

#[test]
fn rights_that_no_ledger_can_have_are_refused() {
    for value in [
        "", "0", "400", "0200", "0755", "1644", "4600", "0648", "00640", "-640", "+600", "640 ", "rw-",
        "0o640",
    ] {
        let error = config_with_mode(value).unwrap_err();
        assert_eq!((error.status(), error.field()), (Status::InvalidConfig, "file_mode"), "{value}: {error}");
    }
    for (value, normal) in [("0640", "0640"), ("640", "0640"), ("666", "0666"), ("UMASK", "umask")] {
        assert_eq!(config_with_mode(value).unwrap(), normal);
    }
    let place = Place::new();
    let ledger = place.open(&[("file_mode", "600")]);
    assert_eq!(ledger.option("file_mode").unwrap(), "0600");
    assert_eq!(ledger.set_option("file_mode", "0644").unwrap_err().status(), Status::InvalidConfig);
}

fn config_with_mode(value: &str) -> simledger::Result<String> {
    let mut config = simledger::Config::with_path("ledger.db")?;
    config.set("file_mode", value)?;
    config.get("file_mode")
}

/// The folder of an open ledger is moved away, and a link to another one takes its place.
#[test]
fn a_folder_that_is_swapped_leads_to_nothing_else() {
    for (commit, journal_mode) in [("log", "WAL"), ("sqlite", "WAL"), ("sqlite", "DELETE")] {
        let (place, elsewhere) = (Place::new(), Place::new());
        let names = ["", "-wal", "-shm", "-journal", "-log", "-wake"].map(|end| format!("ledger.db{end}"));
        for name in &names {
            fs::write(elsewhere.path(name), "precious").unwrap();
        }
        fs::create_dir(place.path("folder")).unwrap();
        let keys = [("commit", commit), ("journal_mode", journal_mode)];
        let ledger = Ledger::open(&config(&place.file("folder/ledger.db"), &keys)).unwrap();
        ledger.append_json(&entry(1.0, "n")).unwrap();
        fs::rename(place.path("folder"), place.path("away")).unwrap();
        symlink(elsewhere.path(""), place.path("folder")).unwrap();
        // Until it is noticed, which takes up to a second.
        let appended = std::cell::Cell::new(1);
        common::wait_until(|| match ledger.append_json(&entry(f64::from(appended.get()) + 1.0, "n")) {
            Ok(id) => {
                appended.set(appended.get() + 1);
                assert_eq!(id, i64::from(appended.get()));
                false
            }
            Err(error) => {
                assert_eq!(error.status(), Status::Io, "{error}");
                true
            }
        });
        let _ = ledger.checkpoint();
        let _ = ledger.close();
        for name in &names {
            assert_eq!(fs::read(elsewhere.path(name)).unwrap(), b"precious", "{name}, commit = {commit}");
        }
        assert_eq!(files(&elsewhere).len(), names.len());
        fs::remove_file(place.path("folder")).unwrap();
        let ledger = Ledger::open_path(&place.file("away/ledger.db")).unwrap();
        let all: Vec<i64> = (1..=appended.get().into()).collect();
        assert_eq!(ids(&ledger.read_all().unwrap()), all, "commit = {commit}");
    }
}

/// What SQL of callers sorts is in files without a name, which nobody else may read.
#[test]
fn temporary_files_are_nobody_elses_and_have_no_name() {
    let place = Place::new();
    let ledger = place.open(&[("cache_size", "100")]);
    let line = |i: usize| {
        format!(r#"{{"timestamp":{i},"node_id":"n","features":["{}"],"confidence":1}}"#, "x".repeat(4000))
    };
    ledger.append_many_json(&(0..2000).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    ledger.flush().unwrap();
    let found = Mutex::new(Vec::new());
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while found.lock().unwrap().is_empty() && !ended.load(Ordering::Relaxed) {
                for descriptor in fs::read_dir("/proc/self/fd").unwrap().flatten() {
                    let (name, file) = (fs::read_link(descriptor.path()), fs::metadata(descriptor.path()));
                    if let (Ok(name), Ok(file)) = (name, file)
                        && name.to_string_lossy().contains("etilqs_")
                    {
                        found.lock().unwrap().push((name.display().to_string(), mode(&file), file.nlink()));
                    }
                }
            }
        });
        for _ in 0..500 {
            let sorted = "SELECT count(*) FROM (SELECT features || id FROM ledger ORDER BY 1 LIMIT 1500)";
            ledger.sql(sorted, None, 1).unwrap();
            if !found.lock().unwrap().is_empty() {
                break;
            }
        }
        ended.store(true, Ordering::Relaxed);
    });
    let found = found.into_inner().unwrap();
    assert!(!found.is_empty(), "nothing was sorted in a file");
    for (name, mode, links) in found {
        // Between its making and its unlinking it may still be seen by its name.
        assert!(mode == 0o600 && (links == 0 || name.contains("etilqs_")), "{name} {mode:o}");
    }
}

const MARK: &str = "MARK-of-what-nobody-may-see";

/// All that was said: messages of errors and lines of the log.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl Said {
    fn put(&self, what: impl std::fmt::Debug) {
        self.0.lock().unwrap().push(format!("{what:?}"));
    }

    /// The call fails, with this status.
    fn fails<T: std::fmt::Debug>(&self, status: Status, result: Result<T, Error>) {
        let error = result.unwrap_err();
        assert_eq!(error.status(), status, "{error}");
        self.put((error.message(), error.field(), error.to_string()));
        self.put(error);
    }
}

/// Entries that hold the mark in their features, as a key and as a value, are appended in every way that fails, and
/// read in every way that fails.
#[test]
fn neither_errors_nor_the_log_say_what_features_hold() {
    for commit in ["log", "sqlite"] {
        let (place, said) = (Place::new(), Said::default());
        let mut keys =
            config(&place.file("ledger.db"), &[("commit", commit), ("log_bytes", "65536"), ("timeout", "1")]);
        let lines = said.clone();
        keys.set_log(Level::Debug, Arc::new(move |_, line: &str| lines.put(line)));
        let open = || Ledger::open(&keys);
        let ledger = open().unwrap();
        let with = |timestamp: f64, features: &str| {
            format!(r#"{{"timestamp":{timestamp},"node_id":"n","features":{features},"confidence":0.5}}"#)
        };
        let good = format!(r#"{{"{MARK}":["{MARK}",1.5,1e999]}}"#);
        ledger.append_json(&with(1.0, &good)).unwrap();
        for bad in [
            format!(r#"{{"{MARK}":1,"{MARK}":2}}"#),
            format!(r#"{{"a":{{"{MARK}":1,"b":2,"{MARK}":2}}}}"#),
            format!(r#"["{MARK}\ud800"]"#),
            format!(r#"["{MARK}\x"]"#),
            format!("[\"{MARK}\n\"]"),
            format!(r#"["{MARK}""#),
            format!(r#"["{MARK}",NaN]"#),
            format!(r#"["{MARK}" "{MARK}"]"#),
            format!(r#"["{MARK}",01]"#),
            format!(r#"["{MARK}",{MARK}]"#),
            format!("\"{MARK}\""),
            MARK.to_string(),
            format!("{}\"{MARK}\"{}", "[".repeat(200), "]".repeat(200)),
            format!("[\"{MARK}\",\"{}\"]", "x".repeat(17 << 20)),
        ] {
            said.fails(Status::InvalidEntry, ledger.append_json(&with(2.0, &bad)));
            said.fails(Status::InvalidEntry, ledger.append_parts(2.0, "n", &bad, 0.5));
            said.fails(
                Status::InvalidEntry,
                ledger.append_many_json(&format!("{}\n{}", with(2.0, &good), with(3.0, &bad))),
            );
        }
        for bad in [with(f64::from(2), &good).replace("0.5", "5"), with(2.0, &good).replace("\"n\"", "\" \"")]
        {
            said.fails(Status::InvalidEntry, ledger.append_json(&bad));
            said.fails(Status::InvalidEntry, ledger.append_json(&format!("{bad} {good}")));
        }
        said.fails(Status::Duplicate, ledger.append_json(&with(1.0, &good)));
        ledger.set_option("on_duplicate", "ignore").unwrap();
        said.fails(Status::Duplicate, ledger.append_json(&with(1.0, &good.replace("1.5", "2"))));
        said.fails(
            Status::Duplicate,
            ledger.append_many_json(&format!("{}\n{}", with(2.0, &good), with(1.0, "[]"))),
        );
        let mut conflict = ledger.transaction();
        conflict.append_json(&with(5.0, &good)).unwrap();
        conflict.expect_last_id(77).unwrap();
        said.fails(Status::Conflict, ledger.commit(&mut conflict));
        // Parts of the features, asked for as what they are not.
        let first = ledger.get_by_id(1).unwrap().unwrap();
        let part = |pointer: &str| first.as_ref().feature(pointer).unwrap().unwrap();
        let text = format!("/{MARK}/0");
        let pointers =
            [text.as_str(), &text.replace("/0", "/1"), &text.replace("/0", "/2"), &text.replace("/0", "")];
        said.fails(Status::InvalidArgument, part(pointers[0]).number());
        said.fails(Status::InvalidArgument, part(pointers[0]).integer());
        said.fails(Status::InvalidArgument, part(pointers[1]).integer());
        said.fails(Status::LimitExceeded, part(pointers[2]).number());
        said.fails(Status::LimitExceeded, part(pointers[2]).integer());
        said.fails(Status::InvalidArgument, part(pointers[3]).number());
        // Limits of results, and time that is up.
        ledger.set_option("result_bytes_max", "10").unwrap();
        said.fails(Status::LimitExceeded, ledger.read_all());
        said.fails(Status::LimitExceeded, ledger.query(&Query::new()));
        ledger.set_option("result_bytes_max", "100000000").unwrap();
        ledger.flush().unwrap();
        let other = place.sqlite();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        if commit == "sqlite" {
            said.fails(Status::Busy, ledger.append_json(&with(6.0, &good)));
        } else {
            let filling = format!("[\"{MARK}{}\"]", "x".repeat(20_000));
            let full =
                (0..10).map(|i| ledger.append_json(&with(f64::from(100 + i), &filling))).find(Result::is_err);
            said.fails(Status::Busy, full.expect("the log is full"));
        }
        other.execute_batch("ROLLBACK").unwrap();
        // A panic in the middle of it.
        let panicked = if commit == "log" { "log.put" } else { "writer.insert" };
        test_hooks::panic_here_at(panicked);
        let append = || ledger.append_json(&with(7.0, &good));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(append)).unwrap_err();
        said.put(panicked.downcast_ref::<String>());
        // Rows that are no entries.
        ledger.flush().unwrap();
        ledger.close().unwrap();
        other.execute_batch("DROP TRIGGER simledger_guard_update").unwrap();
        for (id, features) in [(1, format!("{{\"{MARK}\":")), (2, MARK.to_string())] {
            other.execute("UPDATE ledger SET features = ?2 WHERE id = ?1", params![id, features]).unwrap();
        }
        let ledger = open().unwrap();
        said.fails(Status::Corrupt, ledger.get_by_id(1));
        said.put(ledger.read_all().map(|all| all.len()));
        let findings = ledger.integrity_check(NO_LIMIT, None).unwrap();
        assert!(findings.iter().any(|finding| finding.contains("row 1 is no valid entry")), "{findings:?}");
        said.put(findings);
        said.put(ledger.metrics().unwrap().to_json());
        said.put(ledger.metrics().unwrap().to_prometheus());
        said.put(ledger.query_plan(&Query::new()).unwrap());
        // Entries that the file does not take.
        other.execute_batch("CREATE TABLE theirs (id REFERENCES ledger(id))").unwrap();
        match ledger.append_json(&with(8.0, &good)) {
            Ok(_) => said.fails(Status::Corrupt, ledger.flush()),
            refused => said.fails(Status::Corrupt, refused),
        }
        said.put(ledger.close());
        let said = said.0.lock().unwrap();
        assert!(said.len() > 80, "{} lines", said.len());
        let told: Vec<_> = said.iter().filter(|line| line.contains(MARK)).collect();
        assert!(told.is_empty(), "{told:#?}");
        println!(
            "done: {} messages and lines of the log, none with what features hold, commit = {commit}",
            said.len()
        );
    }
}
