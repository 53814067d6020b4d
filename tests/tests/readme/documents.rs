//! The links, files and tests that the documents name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use letschat_tests::project::{self, root};

use crate::text::{Checked, quoted};

#[test]
fn every_link_leads_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        assert_eq!(links(&document, &text), Ok(()), "{}", document.display());
    }
    let document = root().join("docs/SECURITY.md");
    for wrong in ["[a](NOWHERE.md)", "[a](#no-such-heading)", "[a](PROTOCOL.md#no-such-heading)"] {
        assert!(links(&document, wrong).is_err(), "{wrong}");
    }
}

#[test]
fn every_file_and_test_that_is_named_exists() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        assert_eq!(names(&text), Ok(()), "{}", document.display());
    }
    let security = fs::read_to_string(root().join("docs/SECURITY.md")).unwrap();
    assert!(quoted(&security).filter(|word| is_test_name(word)).count() >= 40);
    for wrong in ["`server/src/nowhere.rs`", "`a_test_that_is_not_there`"] {
        assert!(names(wrong).is_err(), "{wrong}");
    }
}

/// Checks links to other files and to headings. External links are not followed.
fn links(document: &Path, text: &str) -> Checked {
    let targets = text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    for target in targets.filter(|target| !target.contains("://")) {
        let (path, heading) = target.split_once('#').unwrap_or((target, ""));
        let path = match path {
            "" => document.to_owned(),
            path => document.parent().unwrap().join(path),
        };
        if !path.exists() {
            return Err(format!("{target}: there is no such file"));
        }
        if !heading.is_empty() && !headings(&path).contains(heading) {
            return Err(format!("{target}: there is no such heading"));
        }
    }
    Ok(())
}

/// Returns the anchors of a document's headings: in lower case, without punctuation, with hyphens for
/// spaces.
fn headings(document: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(document).unwrap();
    let slug = |heading: &str| -> String {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        heading.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
    };
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| slug(line.trim_start_matches('#')))
        .collect()
}

const FOLDERS: &[&str] = &[
    "protocol/",
    "flags/",
    "server/",
    "client/",
    "tests/",
    "bench/",
    "fuzz/",
    "docs/",
    "lua/",
    "scripts/",
    ".ci/",
];

/// Checks the names of files and tests.
fn names(text: &str) -> Checked {
    for word in quoted(text) {
        let is_of_the_tree = FOLDERS.iter().any(|folder| word.starts_with(folder));
        if is_of_the_tree && !root().join(word).exists() {
            return Err(format!("there is no {word}"));
        }
        // A test is a function or an entry in the list of behaviours of all stores.
        let as_function = format!("fn {word}(");
        let as_item = format!(" {word},\n");
        if is_test_name(word) && !sources().contains(&as_function) && !sources().contains(&as_item)
        {
            return Err(format!("there is no test {word}"));
        }
    }
    Ok(())
}

/// Returns true for a name with many words: only tests have such names.
fn is_test_name(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && word.matches('_').count() >= 3
}

/// Returns all sources as one text.
fn sources() -> &'static str {
    static SOURCES: LazyLock<String> =
        LazyLock::new(|| project::sources().into_iter().map(|(_, text)| text).collect());
    &SOURCES
}

fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    docs.chain(["README.md", "CHANGELOG.md"].map(|name| root().join(name))).collect()
}
