//! Every function of the C header with NULL in one pointer position at a time, and valid arguments in
//! all others.
//!
//! The C program that does it is generated from the header; what must come out of it stands in
//! `null_arguments/table.txt`. A function or pointer that the table does not know fails the test.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A function as the header declares it.
#[derive(Debug, PartialEq)]
struct Function {
    name: String,
    returns: String,
    parameters: Vec<Parameter>,
}

#[derive(Debug, PartialEq)]
struct Parameter {
    kind: String,
    name: String,
}

impl Function {
    /// A function that can fail says so by its last argument.
    fn can_fail(&self) -> bool {
        self.parameters.last().is_some_and(Parameter::is_error)
    }

    /// Its pointers, but for the last argument of every function that can fail.
    fn pointers(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| parameter.is_pointer() && !parameter.is_error())
    }
}

impl Parameter {
    fn is_error(&self) -> bool {
        self.kind == "simledger_error **"
    }

    fn is_pointer(&self) -> bool {
        self.kind.ends_with('*') || self.kind.ends_with("_callback")
    }

    /// What is behind the pointer, where a result goes through it.
    fn result(&self) -> Option<&str> {
        let behind = self.kind.strip_suffix('*')?.trim_end();
        let is_number = ["int32_t", "int64_t", "size_t", "double", "bool"].contains(&behind);
        // An array has another name.
        (behind.ends_with('*') || (is_number && self.name != "values")).then_some(behind)
    }

    /// A C expression for a valid argument of this function.
    fn valid(&self, function: &str) -> String {
        if self.result().is_some() {
            return format!("&{}", self.name);
        }
        let expression = match (self.kind.as_str(), self.name.as_str()) {
            ("const char *", "pointer") => match function.rsplit('_').next() {
                Some("number" | "type") => "\"/number\"",
                Some("integer") => "\"/integer\"",
                Some("boolean") => "\"/boolean\"",
                Some("text") => "\"/text\"",
                _ => "\"/numbers\"",
            },
            ("const char *", "path") if function.contains("load_file") => "\"config.yaml\"",
            ("simledger_transaction *" | "const simledger_transaction *", _) => "valid.transaction",
            ("simledger_features *" | "const simledger_features *", _) => "valid.features",
            ("simledger_watch *", _) => "valid.watch",
            ("double", "timeout_seconds") => "0",
            ("simledger_query *" | "const simledger_query *", _) => "valid.query",
            ("simledger_entry_view *", _) => "&valid.view",
            ("simledger_columns *", _) => "&valid.columns",
            ("double *" | "const double *", "values") => "valid.numbers",
            ("const int64_t *", "values") => "valid.integers",
            ("simledger_progress_callback", _) => "on_progress",
            ("const char *", "sql") => "\"SELECT 1\"",
            ("const char *", "parameters_json") => "\"[]\"",
            ("const char *", "name") => "\"entries\"",
            ("size_t", "rows_max" | "lines_max" | "findings_max") => "10",
            ("size_t", "views_max" | "values_max" | "len") => "1",
            ("size_t", "first" | "chunk") => "0",
            ("int64_t" | "double", "first" | "from") => "1",
            ("int64_t" | "double", "last" | "to" | "value") => "2",
            ("double", "min_confidence") => "0.5",
            ("bool", "value") => "true",
            ("int32_t", "order") => "SIMLEDGER_ORDER_ID_DESCENDING",
            ("int32_t", "how") => "SIMLEDGER_VACUUM_FULL",
            ("simledger_ledger *", _) => "valid.ledger",
            ("simledger_config *" | "const simledger_config *", _) => "valid.config",
            ("const simledger_entries *", _) => "valid.entries",
            ("const simledger_entry *", _) => "valid.entry",
            ("const simledger_error *", _) => "valid.failure",
            ("simledger_log_callback", _) => "on_log",
            ("simledger_drop_callback", _) => "on_drop",
            ("void *", "user_data") => "&valid",
            ("const char *", "path") => "\":memory:\"",
            ("const char *", "key") => "\"timeout\"",
            ("const char *", "value") => "\"5\"",
            ("const char *", "node_id") => "\"node\"",
            ("const char *", "features_json") => "\"{}\"",
            ("const char *", "json") => {
                r#""{\"timestamp\":2,\"node_id\":\"node\",\"features\":{},\"confidence\":1}""#
            }
            ("size_t", name) if name.ends_with("_len") => "SIMLEDGER_NUL_TERMINATED",
            ("size_t", "limit") => "10",
            ("size_t", "index") => "0",
            ("int64_t", "last_seen_id") => "0",
            ("int64_t", "id") => "1",
            ("double", "timestamp" | "max_age_seconds") => "2",
            ("double", "confidence") => "0.5",
            ("int32_t", "level") => "SIMLEDGER_LOG_INFO",
            (kind, name) => panic!("say in `valid` what a valid argument for `{kind} {name}` is"),
        };
        expression.to_string()
    }
}

/// The functions of the header. It is generated, so that its form is regular.
fn functions(header: &str) -> Vec<Function> {
    let mut code = String::new();
    let mut rest = header;
    while let Some((before, comment)) = rest.split_once("/*") {
        code += before;
        rest = comment.split_once("*/").expect("comments end").1;
    }
    code += rest;
    let lines = code.lines().filter(|line| !line.starts_with('#'));
    let words = lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
    words
        .split(['{', '}', ';'])
        .filter(|declaration| !declaration.contains("typedef"))
        .filter_map(|declaration| declaration.trim().strip_suffix(')')?.split_once('('))
        .map(|(head, parameters)| {
            let Parameter { kind: returns, name } = parameter(head);
            let parameters = parameters.split(',').filter(|one| *one != "void").map(parameter).collect();
            Function { name, returns, parameters }
        })
        .collect()
}

/// A type and a name: `const char *path`.
fn parameter(declaration: &str) -> Parameter {
    let start =
        declaration.rfind(|c: char| !c.is_alphanumeric() && c != '_').expect("a type before a name") + 1;
    let (kind, name) = declaration.split_at(start);
    Parameter { kind: kind.trim().to_string(), name: name.to_string() }
}

/// The table: what NULL means, by function and parameter.
struct Table(HashMap<(String, String), String>);

impl Table {
    fn parse(text: &str) -> Table {
        let mut rows = HashMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut words = line.split_whitespace().map(str::to_string);
            let (Some(function), Some(parameter)) = (words.next(), words.next()) else {
                panic!("table.txt: `{line}` is not a function, a parameter and a meaning");
            };
            let meaning = words.collect::<Vec<_>>().join(" ");
            let known = ["required", "optional", "nothing", "-"].contains(&&*meaning);
            assert!(known || meaning.starts_with("gives "), "table.txt: `{meaning}` has no meaning: {line}");
            let before = rows.insert((function, parameter), meaning);
            assert!(before.is_none(), "table.txt: two rows for one parameter: {line}");
        }
        Table(rows)
    }

    /// What NULL means for a parameter; of a function without pointers, for "-".
    fn meaning(&self, function: &str, parameter: &str) -> &str {
        self.0.get(&(function.to_string(), parameter.to_string())).map_or("", String::as_str)
    }

    /// What the table and the header do not agree on.
    fn disagreements(&self, functions: &[Function]) -> Vec<String> {
        let mut wanted = Vec::from([("*", "error")]);
        for function in functions {
            let before = wanted.len();
            wanted.extend(function.pointers().map(|parameter| (&*function.name, &*parameter.name)));
            if wanted.len() == before {
                wanted.push((&function.name, "-"));
            }
        }
        let no_row = wanted
            .iter()
            .filter(|(function, parameter)| self.meaning(function, parameter).is_empty())
            .map(|(function, parameter)| {
                format!("simledger.h has `{function} {parameter}`, table.txt has no row for it")
            });
        let no_function =
            self.0.keys().filter(|(function, parameter)| !wanted.contains(&(function, parameter))).map(
                |(function, parameter)| {
                    format!("table.txt has `{function} {parameter}`, simledger.h has not")
                },
            );
        let mut all: Vec<String> = no_row.chain(no_function).collect();
        all.sort();
        all
    }
}

/// What stands for NULL in the arguments of a call.
#[derive(Clone, Copy, PartialEq)]
enum Missing<'a> {
    Nothing,
    Parameter(&'a str),
}

/// The C program.
fn program(functions: &[Function], table: &Table) -> String {
    let mut calls = String::new();
    for function in functions {
        if function.can_fail() {
            fallible(&mut calls, function, Missing::Nothing, "optional");
        }
        for Parameter { name, .. } in function.pointers() {
            let meaning = table.meaning(&function.name, name);
            if function.can_fail() {
                fallible(&mut calls, function, Missing::Parameter(name), meaning);
            } else {
                accessor(&mut calls, function, name, meaning);
            }
        }
    }
    format!("#include \"program.h\"\n\nint main(void) {{\n{calls}    return failures == 0 ? 0 : 1;\n}}\n")
}

/// A call of a function that can fail: twice, with an error object and without.
fn fallible(out: &mut String, function: &Function, missing: Missing<'_>, meaning: &str) {
    for error in ["&error", "NULL"] {
        let what = match missing {
            Missing::Nothing => format!("{} with error {error}", function.name),
            Missing::Parameter(name) => format!("{} with {name} NULL and error {error}", function.name),
        };
        let call = call(function, missing, error);
        let mut checks = match (meaning, error) {
            ("optional", "&error") => "check_ok(status, error);".to_string(),
            ("optional", _) => "CHECK(status == SIMLEDGER_OK);".to_string(),
            ("required", "&error") => {
                let Missing::Parameter(name) = missing else { unreachable!("a parameter is required") };
                format!("check_missing(\"{name}\", status, error);")
            }
            ("required", _) => "CHECK(status == SIMLEDGER_INVALID_ARGUMENT);".to_string(),
            _ => panic!("table.txt: {}: `{meaning}` is for functions that cannot fail", function.name),
        };
        for parameter in given_results(function, missing) {
            let Parameter { name, .. } = parameter;
            let behind = parameter.result().unwrap_or_default();
            if meaning == "required" {
                // 0 is a descriptor.
                let nothing = if name == "descriptor" { -1 } else { 0 };
                write!(checks, " CHECK({name} == {nothing});").unwrap();
            } else {
                write!(checks, " CHECK({name} != ({behind})GARBAGE); {}", release(parameter)).unwrap();
            }
        }
        if gives_columns(function, missing) {
            let comparison = if meaning == "required" { "==" } else { "!=" };
            write!(checks, " CHECK(valid.columns.ids {comparison} NULL);").unwrap();
        }
        let declared = if error == "NULL" {
            String::new()
        } else {
            "simledger_error *error = (simledger_error *)GARBAGE; ".to_string()
        };
        case(out, &what, function, missing, &format!("{declared}simledger_status status = {call}; {checks}"));
    }
}

/// A call of a function that cannot fail.
fn accessor(out: &mut String, function: &Function, name: &str, meaning: &str) {
    let missing = Missing::Parameter(name);
    let call = call(function, missing, "");
    let body = match meaning.split_once(' ').unwrap_or((meaning, "")) {
        ("nothing", _) => format!("{call};"),
        ("gives", what) => {
            let is_text = what.starts_with('"');
            let mut checks = if is_text {
                format!("CHECK(strcmp({call}, {what}) == 0);")
            } else {
                format!("CHECK({call} == {what});")
            };
            for Parameter { name, .. } in given_results(function, missing) {
                write!(checks, " CHECK({name} == 0);").unwrap();
            }
            checks
        }
        ("optional", _) => format!("CHECK({call} == {});", self::call(function, Missing::Nothing, "")),
        _ => panic!("table.txt: {} cannot answer `{meaning}`", function.name),
    };
    case(out, &format!("{} with {name} NULL", function.name), function, missing, &body);
}

/// One call and its checks, with results that hold garbage before it.
fn case(out: &mut String, what: &str, function: &Function, missing: Missing<'_>, body: &str) {
    let is_compared = missing != Missing::Nothing && !function.can_fail();
    let results = function.parameters.iter().filter_map(|parameter| {
        let missing = !is_compared && missing == Missing::Parameter(&parameter.name);
        let behind = parameter.result().filter(|_| !missing && !parameter.is_error())?;
        Some(format!("{behind} {} = ({behind})GARBAGE; ", parameter.name))
    });
    let results: String = results.collect();
    writeln!(out, "    begin(\"{what}\");\n    {{ {results}{body} }}\n    end();").unwrap();
}

fn call(function: &Function, missing: Missing<'_>, error: &str) -> String {
    let arguments: Vec<String> = function
        .parameters
        .iter()
        .map(|parameter| match parameter {
            _ if parameter.is_error() => error.to_string(),
            _ if missing == Missing::Parameter(&parameter.name) => "NULL".to_string(),
            _ => parameter.valid(&function.name),
        })
        .collect();
    format!("{}({})", function.name, arguments.join(", "))
}

/// The results that a call is asked for.
fn given_results<'a>(function: &'a Function, missing: Missing<'a>) -> impl Iterator<Item = &'a Parameter> {
    function.parameters.iter().filter(move |parameter| {
        parameter.result().is_some()
            && !parameter.is_error()
            && missing != Missing::Parameter(&parameter.name)
    })
}

/// Whether the call fills the struct of columns: a result that is neither a number nor a pointer.
fn gives_columns(function: &Function, missing: Missing<'_>) -> bool {
    let mut parameters = function.parameters.iter();
    parameters
        .any(|Parameter { kind, name }| kind == "simledger_columns *" && missing != Missing::Parameter(name))
}

/// How a result is ended, if it is to be.
fn release(parameter: &Parameter) -> String {
    let name = &parameter.name;
    match parameter.result() {
        Some("simledger_ledger *") => format!("CHECK(simledger_close({name}, NULL) == SIMLEDGER_OK);"),
        Some("simledger_entries *") => format!("simledger_entries_free({name});"),
        Some("simledger_entry *") => format!("simledger_entry_free({name});"),
        Some("char *") => format!("simledger_string_free({name});"),
        Some("simledger_watch *") => format!("CHECK(simledger_watch_close({name}, NULL) == SIMLEDGER_OK);"),
        Some("simledger_transaction *") => format!("simledger_transaction_free({name});"),
        Some("int32_t" | "int64_t" | "size_t" | "double" | "bool") => String::new(),
        other => panic!("say in `release` how {other:?} is ended"),
    }
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_pointer_of_every_function_may_be_null() {
    let functions = functions(&read("include/simledger.h"));
    let table = Table::parse(&read("tests/null_arguments/table.txt"));
    let disagreements = table.disagreements(&functions);
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));

    let folder = tempfile::tempdir().expect("a temporary folder");
    let (source, binary) = (folder.path().join("program.c"), folder.path().join("program"));
    std::fs::write(&source, program(&functions, &table)).expect("the program is written");
    let config = folder.path().join("config.yaml");
    std::fs::write(config, "database: {timeout: 5}").expect("the configuration is written");

    // Cargo builds the shared library for this test and puts it beside it. It is found at run time
    // by the name that is recorded in it.
    let test = std::env::current_exe().expect("the path of this test");
    let library = test.with_file_name("libsimledger.so");
    let soname = format!("libsimledger.so.{}", env!("CARGO_PKG_VERSION_MAJOR"));
    std::os::unix::fs::symlink(&library, folder.path().join(soname)).expect("a link to the library");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_string());
    let compiled = Command::new(compiler)
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .args([
            root("include"),
            "-I".into(),
            root("tests/null_arguments"),
            source,
            library,
            "-o".into(),
            binary.clone(),
        ])
        .arg(format!("-Wl,-rpath,{}", folder.path().display()))
        .output()
        .expect("there is a C compiler");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));

    // In a folder of its own: the defaults open a file in the current one.
    let ran = Command::new(binary).current_dir(folder.path()).output().expect("the program starts");
    assert!(ran.status.success(), "{}\n{}", ran.status, String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn a_function_without_a_row_and_a_row_without_a_function_are_noticed() {
    let header =
        "simledger_status simledger_new(simledger_ledger *ledger,\n int64_t id, simledger_error **error);\n
        /* ; */ void simledger_plain(void);";
    let functions = functions(header);
    assert_eq!(
        functions.iter().map(|function| &*function.name).collect::<Vec<_>>(),
        ["simledger_new", "simledger_plain"]
    );
    let table = Table::parse("simledger_new id required\nsimledger_gone - -\n* error optional");
    assert_eq!(
        table.disagreements(&functions),
        [
            "simledger.h has `simledger_new ledger`, table.txt has no row for it",
            "simledger.h has `simledger_plain -`, table.txt has no row for it",
            "table.txt has `simledger_gone -`, simledger.h has not",
            "table.txt has `simledger_new id`, simledger.h has not",
        ]
    );
}

#[test]
fn the_parser_finds_every_function_that_the_header_names() {
    let header = read("include/simledger.h");
    let functions = functions(&header);
    // Whatever is written like a call outside of a comment.
    let is_comment = |line: &str| ["*", "/*"].iter().any(|mark| line.trim_start().starts_with(mark));
    let names: Vec<&str> = header
        .lines()
        .filter(|line| !is_comment(line) && !line.contains("typedef"))
        .filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*']).next())
        .filter(|name| name.starts_with("simledger_"))
        .collect();
    assert!(names.len() > 40, "{names:?}");
    assert_eq!(functions.iter().map(|function| &*function.name).collect::<Vec<_>>(), names);
    for function in &functions {
        assert_eq!(
            function.can_fail(),
            function.returns == "simledger_status" && function.name != "simledger_error_status"
        );
    }
}

/// The C tests of closed and inherited handles make every call that there is on a ledger.
#[test]
fn the_c_tests_make_every_call_on_a_ledger() {
    let calls = read("tests/c/every_call.h");
    for Function { name, parameters, .. } in functions(&read("include/simledger.h")) {
        let takes_ledger = parameters.iter().any(|parameter| parameter.kind == "simledger_ledger *");
        assert!(
            !takes_ledger || calls.contains(&format!("{name}(")),
            "tests/c/every_call.h does not call {name}"
        );
    }
}
