//! Configuration: layers, files, the environment, and what changes while a ledger is open.

mod common;

use std::sync::{Arc, Mutex};

use common::*;
use simledger::*;

fn with_file(place: &Place, text: &str) -> Result<Config> {
    std::fs::write(place.path("config.yaml"), text).unwrap();
    let mut config = Config::with_path(&place.file("ledger.db")).unwrap();
    config.load_file(&place.file("config.yaml")).map(|()| config)
}

#[test]
fn the_file_of_the_python_module_is_read_with_its_other_names_and_what_is_unknown_is_said() {
    let place = Place::new();
    let mut config = with_file(
        &place,
        "
# The simulation's own configuration.
environment: development
simulation: {default_agents: 50, rates: [0.1, 0.2]}
database:
  path: \"from_file.db\"
  connection_pool_size: 7
  timeout: 12.5
  check_same_thread: False
  retry_attempts: 3
  retry_delay: 0.1
  journal_mode: wal
  cache_sizes: 5
logging:
  level: INFO
",
    )
    .unwrap();
    for (key, value) in [
        ("max_connections", "7"),
        ("connection_pool_size", "7"),
        ("timeout", "12.5"),
        ("check_same_thread", "false"),
        ("retry_count", "3"),
        ("retry_delay", "0.1"),
        ("journal_mode", "WAL"),
        ("cache_size", "10000"),
        ("profile", "default"),
    ] {
        assert_eq!(config.get(key).unwrap(), value, "{key}");
    }
    let said = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&said);
    config.set_log(Level::Warn, Arc::new(move |_, line: &str| log.lock().unwrap().push(line.to_string())));
    let ledger = Ledger::open(&config).unwrap();
    assert_eq!(ledger.option("retry_count").unwrap(), "3");
    assert_eq!(metric(&ledger, "connections_max"), 7.0);
    let said = said.lock().unwrap();
    assert!(
        said.len() == 1 && said[0].contains("\"cache_sizes\"") && said[0].contains("\"cache_size\""),
        "{said:?}"
    );
    assert!(said[0].contains("line 13"), "{said:?}");
}

#[test]
fn the_stronger_layer_wins_whatever_the_order_of_the_calls() {
    let place = Place::new();
    std::fs::write(
        place.path("a.yaml"),
        "database: {profile: high_throughput, timeout: 2, retry_delay: 0.5}",
    )
    .unwrap();
    std::fs::write(place.path("b.yaml"), "database: {timeout: 3}").unwrap();
    type Step = fn(&mut Config, &Place);
    let steps: [Step; 3] = [
        |config, place| config.load_file(&place.file("a.yaml")).unwrap(),
        |config, _| config.set("cache_size", "5").unwrap(),
        |config, _| config.set("profile", "low_latency").unwrap(),
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut config = Config::new();
        order.iter().for_each(|index| steps[*index](&mut config, &place));
        let values =
            ["profile", "timeout", "retry_delay", "cache_size", "max_connections", "synchronous_mode"];
        let values = values.map(|key| config.get(key).unwrap());
        assert_eq!(values, ["low_latency", "2", "0.5", "5", "5", "OFF"]);
        config.load_file(&place.file("b.yaml")).unwrap();
        assert_eq!(config.get("timeout").unwrap(), "3", "of two files the later");
        assert_eq!(config.get("retry_delay").unwrap(), "0.5");
    }
}

#[test]
#[ignore = "a process of the_environment_counts_only_when_it_is_asked_for"]
fn in_an_environment() {
    let mut config = Config::new();
    assert_eq!(config.get("timeout").unwrap(), "30", "nothing is read unasked");
    config.set("cache_size", "77").unwrap();
    let place = Place::new();
    std::fs::write(place.path("config.yaml"), "database: {timeout: 9, cache_ttl: 8}").unwrap();
    let loaded = config.load_environment();
    assert_eq!(config.get("cache_ttl").unwrap(), "300");
    match loaded {
        Ok(()) => {
            config.load_file(&place.file("config.yaml")).unwrap();
            let values = ["timeout", "max_connections", "cache_size", "synchronous_mode", "cache_ttl"];
            println!("VALUES {}", values.map(|key| config.get(key).unwrap()).join(" "));
        }
        Err(error) => {
            println!("ERROR {} {} {}", error.field(), config.get("timeout").unwrap(), error.message())
        }
    }
    config.set("path", ":memory:").unwrap();
    config.set_log(Level::Warn, Arc::new(|_, line: &str| println!("SAID {line}")));
    Ledger::open(&config).unwrap();
}

#[test]
fn the_environment_counts_only_when_it_is_asked_for() {
    let run = |variables: &[(&str, &str)]| {
        let mut command = again("in_an_environment");
        let output = command.envs(variables.iter().copied()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let said = run(&[
        ("SIMLEDGER_TIMEOUT", "1.5"),
        ("SIMLEDGER_CONNECTION_POOL_SIZE", "9"),
        ("SIMLEDGER_CACHE_SIZE", "5"),
        ("SIMLEDGER_PROFILE", "low_latency"),
        ("SIMLEDGER_TIMEOUTS", "5"),
        ("OTHER_TIMEOUT", "6"),
    ]);
    assert!(said.contains("VALUES 1.5 9 77 OFF 8"), "{said}");
    assert!(said.contains("SAID the environment variable SIMLEDGER_TIMEOUTS names no"), "{said}");
    assert_eq!(said.matches("SAID").count(), 1, "{said}");
    let said = run(&[("SIMLEDGER_TIMEOUT", "1.5"), ("SIMLEDGER_MAX_CONNECTIONS", "many")]);
    assert!(
        said.contains("ERROR max_connections 30 SIMLEDGER_MAX_CONNECTIONS: max_connections is \"many\""),
        "{said}"
    );
}

#[test]
fn a_file_that_is_missing_wrong_or_hostile_is_an_error_and_changes_nothing() {
    let place = Place::new();
    let mut config = Config::new();
    std::fs::create_dir(place.path("folder")).unwrap();
    std::fs::write(place.path("latin.yaml"), b"database: {path: \xe9}").unwrap();
    std::fs::write(place.path("huge.yaml"), vec![b' '; (1 << 20) + 1]).unwrap();
    nix_fifo(&place.file("fifo"));
    for (name, status, part) in [
        ("missing", Status::Io, "missing"),
        ("folder", Status::Io, "regular file"),
        ("fifo", Status::Io, "regular file"),
        ("latin.yaml", Status::InvalidConfig, "UTF-8 at byte 17"),
        ("huge.yaml", Status::LimitExceeded, "1048576"),
    ] {
        let error = config.load_file(&place.file(name)).unwrap_err();
        assert_eq!((error.status(), error.field()), (status, "path"), "{error}");
        assert!(error.message().contains(part) && error.message().contains(name), "{error}");
    }
    for (text, field, part) in [
        ("database: {timeout: 2, max_connections: 0}", "max_connections", "from 1 to 1000"),
        ("database: {timeout: 2, max_connections: ten}", "max_connections", "line 1"),
        ("database:\n  timeout: [2]", "path", "line 2"),
        ("database:\n  timeout: {a: 1}", "path", "one value"),
        ("database: {timeout: true}", "timeout", "number of seconds"),
        ("database: {journal_mode: OFF}", "journal_mode", "could damage"),
        ("database: {profile: fastest}", "profile", "low_latency"),
        ("database: {timeout: }", "path", "no value"),
        ("database: [timeout]", "path", "no mapping"),
        ("x: &x {a: 1}\ndatabase: *x", "path", "no mapping"),
        ("database: {timeout: 2", "path", "line"),
        ("database:\n\ttimeout: 2", "path", "line 2"),
        ("%YAML 9.9\n---\ndatabase: {timeout: 2, path: [}", "path", ""),
    ] {
        std::fs::write(place.path("config.yaml"), text).unwrap();
        let loaded = config.load_file(&place.file("config.yaml"));
        let error = loaded.expect_err(text);
        assert_eq!((error.status(), error.field()), (Status::InvalidConfig, field), "{text}: {error}");
        assert!(error.message().contains(part) && error.message().contains("config.yaml"), "{error}");
        assert_eq!(config.get("timeout").unwrap(), "30", "{text}");
    }
    with_file(&place, "other: 5\n").expect("a file without the section says so in the log");
}

/// A FIFO, from which nobody will ever write.
fn nix_fifo(path: &str) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn every_key_has_a_description_and_a_default_that_holds() {
    let place = Place::new();
    let ledger = place.open(&[]);
    for key in KEYS {
        assert!(key.doc.ends_with('.') && !key.range().is_empty(), "{}", key.name);
        let default = match key.name {
            "path" => continue,
            "commit" => std::env::var("LEDGER_TEST_COMMIT").unwrap_or(key.default.to_string()),
            _ => key.default.to_string(),
        };
        assert_eq!(ledger.option(key.name).unwrap(), default, "{}", key.name);
    }
    assert!(ledger.option("path").unwrap().ends_with("ledger.db"));
    for error in [ledger.option("time_out").unwrap_err(), ledger.set_option("time_out", "1").unwrap_err()] {
        assert_eq!((error.status(), error.field()), (Status::InvalidConfig, "time_out"));
        assert!(error.message().contains("\"timeout\""), "{error}");
    }
}

#[test]
fn what_can_change_does_and_what_cannot_says_so() {
    let place = Place::new();
    let ledger = place.open(&[]);
    let other = place.open(&[]);
    for key in KEYS {
        let value = match key.name {
            "on_duplicate" => "ignore",
            "strict_fields" => "true",
            "clock" => "simulated",
            "unique" => "none",
            "guards" => "off",
            "commit" => "sqlite",
            "entry_bytes_max" => "7000",
            _ => "7",
        };
        match key.change {
            Change::Anytime => {
                ledger.set_option(key.name, value).unwrap();
                assert_eq!(ledger.option(key.name).unwrap(), value, "{}", key.name);
                // Of a handle it is the handle's alone.
                let theirs = other.option(key.name).unwrap();
                assert_eq!(theirs == value, key.scope == Scope::Engine, "{}: {theirs}", key.name);
            }
            Change::Alone => {
                let error = ledger.set_option(key.name, value).unwrap_err();
                assert_eq!((error.status(), error.field()), (Status::InvalidConfig, key.name));
                assert!(error.message().contains("no other handle"), "{error}");
            }
            Change::Never => {
                let value = if key.name == "journal_mode" { "DELETE" } else { key.default };
                let error = ledger.set_option(key.name, value).unwrap_err();
                assert_eq!((error.status(), error.field()), (Status::InvalidConfig, key.name));
                assert!(error.message().contains("cannot change"), "{error}");
            }
        }
    }
    ledger.set_option("retention_seconds", "0").unwrap();
    let error = ledger.set_option("timeout", "soon").unwrap_err();
    assert_eq!((error.status(), ledger.option("timeout").unwrap().as_str()), (Status::InvalidConfig, "7"));
    // And they count from the next call on.
    ledger.append_json(&entry(1.0, "n")).unwrap();
    assert_eq!(ledger.append_json(&entry(1.0, "n")).unwrap(), 1, "on_duplicate = ignore");
    assert_eq!(other.append_json(&entry(1.0, "n")).unwrap_err().status(), Status::Duplicate);
    ledger.set_option("entry_bytes_max", "20").unwrap();
    assert_eq!(ledger.append_json(&entry(2.0, "n")).unwrap_err().status(), Status::InvalidEntry);
    other.append_json(&entry(2.0, "n")).unwrap();
}

#[test]
fn the_clock_and_the_guards_of_a_file_change_for_everybody() {
    let place = Place::new();
    let ledger = place.open(&[]);
    ledger.append_json(&entry(1.0, "n")).unwrap();
    ledger.append_json(&entry(100.0, "n")).unwrap();
    ledger.set_option("clock", "simulated").unwrap();
    assert_eq!(ledger.cleanup(200.0).unwrap(), 0, "by the system's clock both are old");
    let update = "UPDATE ledger SET confidence = 0 WHERE id = 2";
    place.sqlite().execute(update, []).unwrap_err();
    ledger.set_option("guards", "off").unwrap();
    place.sqlite().execute(update, []).unwrap();
    ledger.set_option("guards", "on").unwrap();
    place.sqlite().execute(update, []).unwrap_err();
    assert_eq!(ledger.integrity_check(NO_LIMIT, None).unwrap(), [""; 0]);
    ledger.close().unwrap();
    let ledger = place.open(&[]);
    assert_eq!(ledger.option("clock").unwrap(), "simulated");
}

#[test]
fn uniqueness_is_given_up_and_taken_on_without_losing_anything() {
    for journal in ["WAL", "DELETE"] {
        let place = Place::new();
        let ledger = place.open(&[("journal_mode", journal)]);
        for second in 0..10 {
            ledger.append_json(&entry(f64::from(second), "n")).unwrap();
        }
        ledger.cleanup_before_id(3).unwrap();
        ledger.append_json(&entry(50.0, "gone")).unwrap();
        let before = ledger.read_all().unwrap();
        for round in 0..3 {
            ledger.set_option("unique", "none").unwrap();
            assert_eq!(ledger.read_all().unwrap().json(), before.json(), "round {round}");
            assert_eq!(ledger.integrity_check(NO_LIMIT, None).unwrap(), [""; 0]);
            assert_eq!((ledger.last_id().unwrap(), ledger.poll_since(0, 1).unwrap().gap_before()), (11, 2));
            place.sqlite().execute("DELETE FROM ledger WHERE id = 5", []).unwrap_err();
            ledger.set_option("unique", "timestamp_node_id").unwrap();
            assert_eq!(ledger.read_all().unwrap().json(), before.json(), "round {round}");
            assert_eq!(ledger.integrity_check(NO_LIMIT, None).unwrap(), [""; 0]);
            assert_eq!(ledger.append_json(&entry(9.0, "n")).unwrap_err().entry_id(), Some(10));
            place.sqlite().execute("DELETE FROM ledger WHERE id = 5", []).unwrap_err();
        }
        ledger.set_option("unique", "none").unwrap();
        assert_eq!(ledger.append_json(&entry(9.0, "n")).unwrap(), 12, "ids go on");
        let error = ledger.set_option("unique", "timestamp_node_id").unwrap_err();
        assert_eq!((error.status(), error.field()), (Status::Duplicate, "unique"), "{error}");
        assert_eq!(ledger.option("unique").unwrap(), "none");
        assert_eq!(ledger.append_json(&entry(9.0, "n")).unwrap(), 13, "and nothing has changed");
        ledger.close().unwrap();
        let ledger = place.open(&[("unique", "none")]);
        assert_eq!(ledger.count().unwrap(), 11);
    }
}

#[test]
fn ids_that_only_sqlite_remembers_are_not_used_again_after_a_change() {
    let place = Place::new();
    let ledger = place.open(&[("guards", "off")]);
    for second in 0..5 {
        ledger.append_json(&entry(f64::from(second), "n")).unwrap();
    }
    place.sqlite().execute("DELETE FROM ledger WHERE id > 2", []).unwrap();
    ledger.set_option("unique", "none").unwrap();
    assert_eq!(ledger.last_id().unwrap(), 5);
    assert_eq!(ledger.append_json(&entry(9.0, "n")).unwrap(), 6);
}

#[test]
fn what_other_programs_added_to_the_table_survives_a_change() {
    for commit in ["sqlite", "log"] {
        what_they_added_survives(commit);
    }
}

fn what_they_added_survives(commit: &str) {
    let place = Place::new();
    let ledger = place.open(&[("commit", commit)]);
    ledger.append_json(&entry(1.0, "n")).unwrap();
    place
        .sqlite()
        .execute_batch(
            "CREATE VIEW theirs AS SELECT node_id FROM ledger;
             CREATE INDEX their_index ON ledger(created_at);
             CREATE TABLE their_log (id);
             CREATE TRIGGER their_trigger AFTER INSERT ON ledger BEGIN INSERT INTO their_log VALUES (NEW.id); END;",
        )
        .unwrap();
    let schema = || {
        let other = place.sqlite();
        let sql = "SELECT name FROM sqlite_schema WHERE name LIKE 'their%' ORDER BY name";
        let mut statement = other.prepare(sql).unwrap();
        let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        names.collect::<rusqlite::Result<Vec<_>>>().unwrap()
    };
    let before = schema();
    assert_eq!(before.len(), 4);
    ledger.set_option("unique", "none").unwrap();
    assert_eq!(schema(), before);
    let other = place.sqlite();
    let node: String = other.query_row("SELECT node_id FROM theirs", [], |row| row.get(0)).unwrap();
    assert_eq!(node, "n");
    let insert = "INSERT INTO ledger (timestamp, node_id, features, confidence) VALUES (2, 'n', '{}', 1)";
    if commit == "log" {
        let refused = other.execute(insert, []).unwrap_err().to_string();
        assert!(refused.contains("commit = sqlite"), "{refused}");
    } else {
        other.execute(insert, []).unwrap();
        assert_eq!(other.query_row("SELECT id FROM their_log", [], |row| row.get::<_, i64>(0)).unwrap(), 2);
    }
    ledger.set_option("unique", "timestamp_node_id").unwrap();
    assert_eq!(schema(), before);
}

/// What is planted in a file's schema is run by nobody, not even where a change makes it anew.
#[test]
fn what_is_planted_in_the_schema_does_not_run_when_a_setting_changes() {
    let place = Place::new();
    let victim = rusqlite::Connection::open(place.path("victim.db")).unwrap();
    victim.execute_batch("CREATE TABLE precious (x); INSERT INTO precious VALUES (1)").unwrap();
    drop(victim);
    let attack =
        format!("ATTACH '{}' AS e; DELETE FROM e.precious; DELETE FROM ledger", place.file("victim.db"));
    let ledger = place.open(&[]);
    ledger.append_json(&entry(1.0, "n")).unwrap();
    ledger.close().unwrap();
    let other = place.sqlite();
    let index = format!("CREATE INDEX theirs ON ledger(created_at); {attack}").replace('\'', "''");
    let name = format!("simledger_guard_x\"; {attack}; --").replace('"', "\"\"");
    other
        .execute_batch(&format!(
            "CREATE INDEX theirs ON ledger(created_at);
             CREATE TRIGGER simledger_guard_x AFTER INSERT ON ledger BEGIN SELECT 1; END;
             CREATE TRIGGER \"{name}\" AFTER INSERT ON ledger BEGIN SELECT 1; END;
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = '{index}' WHERE name = 'theirs';"
        ))
        .unwrap();
    drop(other);
    let ledger = place.open(&[]);
    // Done or refused: nothing else happens.
    let _ = ledger.set_option("guards", "off");
    let _ = ledger.set_option("unique", "none");
    assert_eq!(ledger.count().unwrap(), 1);
    let victim = rusqlite::Connection::open(place.path("victim.db")).unwrap();
    assert_eq!(victim.query_row("SELECT count(*) FROM precious", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[test]
fn uniqueness_that_another_programs_index_keeps_cannot_be_given_up() {
    let place = Place::new();
    let ledger = place.open(&[]);
    place.sqlite().execute_batch("CREATE UNIQUE INDEX theirs ON ledger(timestamp, node_id)").unwrap();
    let error = ledger.set_option("unique", "none").unwrap_err();
    assert_eq!((error.status(), error.field()), (Status::InvalidConfig, "unique"), "{error}");
    assert_eq!(ledger.option("unique").unwrap(), "timestamp_node_id");
    assert_eq!(ledger.append_json(&entry(1.0, "n")).unwrap(), 1);
    assert_eq!(ledger.append_json(&entry(1.0, "n")).unwrap_err().status(), Status::Duplicate);
}

#[test]
fn a_handle_that_may_only_read_cannot_let_entries_be_deleted() {
    let place = Place::new();
    let writing = place.open(&[]);
    writing.append_json(&entry(1.0, "n")).unwrap();
    let reading = place.open(&[("read_only", "true")]);
    let error = reading.set_option("retention_seconds", "1").unwrap_err();
    assert_eq!((error.status(), error.field()), (Status::ReadOnly, "read_only"));
    assert_eq!(writing.option("retention_seconds").unwrap(), "0");
}

/// As the Python module is configured: three attempts with a tenth of a second between them are not
/// used up in a moment.
#[test]
fn few_retries_are_waits_of_the_delay_and_not_moments() {
    let place = Place::new();
    let ledger = place.open(&[("retry_attempts", "3"), ("retry_delay", "0.02"), ("commit", "sqlite")]);
    let other = place.sqlite();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = ledger.append_json(&entry(1.0, "n")).unwrap_err();
    assert_eq!((error.status(), error.field()), (Status::Busy, "retry_count"), "{error}");
    // Nine waits that grow from 50 microseconds to the delay, then three of it.
    assert_eq!(metric(&ledger, "retries"), 12.0);
    ledger.set_option("retry_count", "0").unwrap();
    let error = ledger.append_json(&entry(1.0, "n")).unwrap_err();
    assert_eq!(error.field(), "retry_count", "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(ledger.append_json(&entry(1.0, "n")).unwrap(), 1);
}

#[test]
fn a_change_that_is_not_committed_changes_nothing() {
    let place = Place::new();
    let ledger = place.open(&[]);
    ledger.append_json(&entry(1.0, "n")).unwrap();
    for (key, value) in [("unique", "none"), ("guards", "off"), ("clock", "simulated")] {
        test_hooks::panic_here_at("schema.change");
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ledger.set_option(key, value))).unwrap_err();
        let default = KEYS.iter().find(|known| known.name == key).unwrap().default;
        assert_eq!(ledger.option(key).unwrap(), default);
        assert_eq!(ledger.append_json(&entry(1.0, "n")).unwrap_err().status(), Status::Duplicate);
        assert_eq!(ledger.integrity_check(NO_LIMIT, None).unwrap(), [""; 0]);
    }
}
