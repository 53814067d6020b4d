//! Rules for every Rust source file: short files, short names, and no exceptions for modules or unused
//! code.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use letschat_tests::project;

/// The maximum length of a file. A longer one has a second topic.
const MAX_LINES: usize = 500;

/// The maximum length of a test's name, which is a short sentence.
const MAX_NAME: usize = 60;

#[test]
fn file_has_at_most_500_lines() {
    assert_nowhere(too_many_lines);
    assert_eq!(too_many_lines(&"\n".repeat(MAX_LINES)), None);
    assert!(too_many_lines(&"\n".repeat(MAX_LINES + 1)).is_some());
}

#[test]
fn name_of_a_test_has_at_most_60_characters() {
    assert_nowhere(long_name);
    let test = |name: String| format!("#[test]\nfn {name}() {{}}\n");
    assert_eq!(long_name(&test("a".repeat(MAX_NAME))), None);
    assert!(long_name(&test("a".repeat(MAX_NAME + 1))).is_some());
}

#[test]
fn module_lies_where_its_name_says() {
    assert_nowhere(stray_module);
    assert!(stray_module(&["    #[", "path = \"../a.rs\"]\n    mod a;\n"].concat()).is_some());
}

#[test]
fn unused_code_is_not_kept() {
    assert_nowhere(unused_code);
    for attribute in ["#[allow(dead", "#![allow(unused, dead", "struct A(#[expect(dead"] {
        assert!(unused_code(&[attribute, "_code)]\n"].concat()).is_some(), "{attribute}");
    }
}

/// Expects a check to find nothing in any file. A check returns its finding in a text.
fn assert_nowhere(check: fn(&str) -> Option<String>) {
    let sources = project::sources();
    assert!(sources.len() > 300, "only {} files", sources.len());
    let mut found = Vec::new();
    for (path, text) in &sources {
        found.extend(check(text).map(|what| format!("{}: {what}", path.display())));
    }
    assert!(found.is_empty(), "{found:#?}");
}

fn too_many_lines(text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > MAX_LINES).then(|| format!("{lines} lines"))
}

/// Checks every function name, since macros turn some into tests.
fn long_name(text: &str) -> Option<String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let names = text.split("fn ").skip(1).filter_map(|rest| rest.split(|c| !is_part(c)).next());
    names.filter(|name| name.len() > MAX_NAME).map(str::to_owned).next()
}

fn stray_module(text: &str) -> Option<String> {
    let attribute = ["#[", "path"].concat();
    text.lines().find(|line| line.trim_start().starts_with(&attribute)).map(str::to_owned)
}

fn unused_code(text: &str) -> Option<String> {
    let lint = ["dead", "_code"].concat();
    text.lines().find(|line| line.contains(&lint)).map(str::to_owned)
}
