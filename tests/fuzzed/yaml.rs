//! YAML: its section is read or refused; what is read is what stands there written in another way, and a key that is
//! taken has a value that it takes again.

use std::fs;

use simledger::internals::yaml_section;
use simledger::{Config, Status};

pub fn run(data: &[u8]) {
    let members = std::str::from_utf8(data).ok().and_then(section).unwrap_or_default();
    // The bytes as they are, no text or too many of them included.
    let folder = super::folder();
    let path = folder.path().join("config.yaml");
    fs::write(&path, data).unwrap();
    let mut config = Config::new();
    config.set("timeout", "7").unwrap();
    let loaded = config.load_file(path.to_str().unwrap());
    assert_eq!(config.get("timeout").unwrap(), "7", "what is set goes before a file");
    if let Err(error) = &loaded {
        assert!([Status::InvalidConfig, Status::InvalidArgument].contains(&error.status()), "{error}");
    }
    let mut again = Config::new();
    for (key, value, _) in members.iter().take(10).filter(|(key, ..)| key != "timeout") {
        let Ok(taken) = config.get(key) else { continue };
        if loaded.is_err() {
            assert_eq!(taken, Config::new().get(key).unwrap(), "nothing of it counts");
            continue;
        }
        again.set(key, value).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.get(key).unwrap(), taken);
        again.set(key, &taken).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.get(key).unwrap(), taken);
    }
}

type Members = Vec<(String, String, usize)>;

fn section(text: &str) -> Option<Members> {
    let read = match yaml_section(text) {
        Ok(Some(members)) => members,
        Ok(None) => return None,
        Err(error) => {
            assert_eq!(error.status(), Status::InvalidConfig);
            assert!(!error.message().contains('\n') && error.message().len() < 2000, "{error}");
            return None;
        }
    };
    let lines = text.split(['\n', '\r']).count();
    let mut written = String::from("database:\n");
    for (index, (key, value, line)) in read.iter().enumerate() {
        assert!((1..=lines).contains(line), "line {line} of {lines}");
        assert!(read[..index].iter().all(|(other, ..)| other != key), "{key:?} stands twice");
        // With marks, since a key without one may have 1,024 characters (7.4.2), and escapes take more.
        written += &format!("  ? {}\n  : {}\n", quoted(key), quoted(value));
    }
    let again = yaml_section(&written).unwrap_or_else(|error| panic!("{written:?}: {error}")).unwrap();
    let told = |members: &Members| -> Vec<(String, String)> {
        members.iter().map(|(key, value, _)| (key.clone(), value.clone())).collect()
    };
    assert_eq!(told(&again), told(&read));
    Some(read)
}

/// As YAML writes any text in double quotes (1.2, 5.7).
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            ' '..='~' if !matches!(character, '"' | '\\') => out.push(character),
            _ => out += &format!("\\U{:08X}", u32::from(character)),
        }
    }
    out + "\""
}
