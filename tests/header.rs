//! The C header is what the sources say.

use std::path::Path;

/// One file for each section of the header, in this order.
const SECTIONS: &[&str] = &[
    "status",
    "version",
    "error",
    "config",
    "open",
    "options",
    "append",
    "transaction",
    "features",
    "read",
    "query",
    "wait",
    "entries",
    "bulk",
    "entry",
    "feature",
    "maintenance",
    "observe",
];

fn generated() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is valid");
    let mut out = Vec::new();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for section in SECTIONS {
        builder = builder.with_src(root.join(format!("src/ffi/{section}.rs")));
    }
    builder.generate().expect("the header can be generated").write(&mut out);
    let text = String::from_utf8(out).expect("the header is UTF-8");
    without_rust_sections(&text)
}

/// The `# Safety` part of a comment is for Rust; C has the same in the words above it.
fn without_rust_sections(text: &str) -> String {
    let mut kept = String::new();
    let mut skipping = false;
    for line in text.lines() {
        if line.trim() == "* # Safety" {
            skipping = true;
            // The blank line before it goes as well.
            if kept.ends_with(" *\n") {
                kept.truncate(kept.len() - " *\n".len());
            }
        } else if line.trim() == "*/" {
            skipping = false;
        }
        if !skipping {
            kept.push_str(line.trim_end());
            kept.push('\n');
        }
    }
    kept
}

fn header_path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include/simledger.h")
}

#[test]
fn the_header_in_the_tree_is_the_one_that_the_sources_make() {
    let generated = generated();
    if std::env::var_os("SIMLEDGER_UPDATE_HEADER").is_some() {
        std::fs::write(header_path(), &generated).expect("the header can be written");
    }
    let committed = std::fs::read_to_string(header_path()).expect("include/simledger.h is there");
    assert!(committed == generated, "include/simledger.h is not what src/ffi makes; run `make header`");
}

#[test]
fn every_file_with_functions_for_c_is_a_section_of_the_header() {
    let modules = include_str!("../src/ffi/mod.rs");
    let exported = modules.lines().filter_map(|line| line.strip_prefix("pub use ")?.strip_suffix("::*;"));
    let mut exported: Vec<&str> = exported.collect();
    let mut sections = SECTIONS.to_vec();
    exported.sort_unstable();
    sections.sort_unstable();
    assert_eq!(exported, sections);
}

#[test]
fn the_macros_that_rust_cannot_make_are_there_and_right() {
    let header = std::fs::read_to_string(header_path()).expect("include/simledger.h is there");
    let [major, minor, patch] = ["MAJOR", "MINOR", "PATCH"].map(|part| {
        let values = [
            env!("CARGO_PKG_VERSION_MAJOR"),
            env!("CARGO_PKG_VERSION_MINOR"),
            env!("CARGO_PKG_VERSION_PATCH"),
        ];
        let index = ["MAJOR", "MINOR", "PATCH"].iter().position(|name| *name == part).unwrap();
        format!("#define SIMLEDGER_VERSION_{part} {}", values[index])
    });
    // SAFETY: no arguments.
    let abi = simledger::ffi::simledger_abi_version();
    for line in [
        "#define SIMLEDGER_NUL_TERMINATED SIZE_MAX",
        "#define SIMLEDGER_NO_LIMIT SIZE_MAX",
        "#define SIMLEDGER_NO_INDEX SIZE_MAX",
        &format!("#define SIMLEDGER_VERSION \"{}\"", env!("CARGO_PKG_VERSION")),
        &major,
        &minor,
        &patch,
        &format!("#define SIMLEDGER_ABI_VERSION {abi}"),
        &format!("#define SIMLEDGER_SQLITE_VERSION \"{}\"", simledger::sqlite_version()),
    ] {
        assert!(header.lines().any(|found| found == line), "{line} is missing in the header");
    }
}

#[test]
fn every_function_says_what_it_returns_and_who_may_call_it() {
    let header = std::fs::read_to_string(header_path()).expect("include/simledger.h is there");
    let mut fallible = 0;
    let mut comment = String::new();
    for line in header.lines() {
        if line.starts_with("/**") {
            comment.clear();
        }
        if line.starts_with(" *") || line.starts_with("/**") {
            comment.push_str(line);
        }
        if line.starts_with("simledger_status simledger_") && !line.contains("_error_status(") {
            fallible += 1;
            assert!(comment.contains("eturns"), "{line} does not say what it returns");
            for word in ["INVALID_ARGUMENT", "INTERNAL"] {
                let refers = comment.contains("Returns what `simledger_");
                assert!(refers || comment.contains(word), "{line} does not say when it returns {word}");
            }
        }
    }
    assert!(fallible > 15, "only {fallible} functions were found");
}

#[test]
fn every_function_is_among_all_calls() {
    let header = std::fs::read_to_string(header_path()).expect("include/simledger.h is there");
    let calls = concat!(include_str!("c/all_calls.h"), include_str!("c/check.h"));
    let mut functions = 0;
    for line in
        header.lines().filter(|line| !line.starts_with([' ', '/', '#']) && !line.starts_with("typedef"))
    {
        let Some(name) = line
            .split(['(', ' ', '*'])
            .find(|word| word.starts_with("simledger_") && line.contains(&format!("{word}(")))
        else {
            continue;
        };
        functions += 1;
        assert!(calls.contains(&format!("{name}(")), "{name} is not called in tests/c/all_calls.h");
    }
    assert!(functions > 100, "only {functions} functions were found");
}

/// What happens to a call on each fault stands at the top, by kinds.
#[test]
fn every_function_says_of_which_kind_its_faults_are() {
    let header = std::fs::read_to_string(header_path()).expect("include/simledger.h is there");
    let (_, faults) = header.split_once("\n * Faults\n").expect("a section about faults");
    let (kinds, _) = faults.split_once("\n * Never\n").expect("its end");
    let (mut functions, mut comment) = (0, String::new());
    for line in header.lines().skip_while(|line| !line.starts_with("#ifndef")) {
        if line.starts_with("/**") {
            comment.clear();
        }
        comment.push_str(line);
        comment.push('\n');
        // A function begins at the margin, and its name is followed by a parenthesis.
        if line.starts_with([' ', '*', '/', '#', '}']) || !line.contains("simledger_") || !line.contains('(')
        {
            continue;
        }
        if line.starts_with("typedef") {
            continue;
        }
        functions += 1;
        let kind = comment.lines().find_map(|line| line.strip_prefix(" * Faults: ")?.strip_suffix('.'));
        let kind = kind.unwrap_or_else(|| panic!("{line} says nothing of its faults"));
        assert!(kinds.contains(&format!(" *     {kind} ")), "{line}: {kind} is no kind of faults");
    }
    assert!(functions > 120, "only {functions} functions were found");
}
