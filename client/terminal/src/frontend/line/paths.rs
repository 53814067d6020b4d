//! Completion of paths.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use crate::line_editor::Candidate;

/// The most entries of a folder that are read. A larger folder is completed in part.
const MAX_ENTRIES: usize = 4_096;

/// Returns the files and folders whose path begins like this, in order. `~/` is the home folder, and stays as typed.
pub(super) fn candidates(start: &str, home: Option<&Path>) -> Vec<Candidate> {
    let (folder, name_start) = start.split_at(start.rfind('/').map_or(0, |slash| slash + 1));
    let Ok(entries) = fs::read_dir(folder_path(folder, home)) else { return Vec::new() };
    let names = entries.take(MAX_ENTRIES).flatten();
    let names = names.filter_map(|entry| fitting_name(&entry, name_start));
    let mut paths: Vec<String> = names.map(|name| format!("{folder}{name}")).collect();
    paths.sort_unstable();
    paths.into_iter().map(Candidate::open).collect()
}

fn folder_path(typed: &str, home: Option<&Path>) -> PathBuf {
    match (typed.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ if typed.is_empty() => ".".into(),
        _ => typed.into(),
    }
}

/// Returns the name of an entry, with a slash behind a folder's, if it begins like this and can be typed.
fn fitting_name(entry: &DirEntry, start: &str) -> Option<String> {
    let name = entry.file_name().into_string().ok()?;
    let is_hidden = name.starts_with('.') && !start.starts_with('.');
    if !name.starts_with(start) || is_hidden || name.contains(char::is_control) {
        return None;
    }
    Some(if is_folder(entry) { format!("{name}/") } else { name })
}

fn is_folder(entry: &DirEntry) -> bool {
    match entry.file_type() {
        Ok(kind) if kind.is_symlink() => entry.path().is_dir(),
        kind => kind.is_ok_and(|kind| kind.is_dir()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(start: &str, home: Option<&Path>) -> Vec<String> {
        candidates(start, home).into_iter().map(|candidate| candidate.value).collect()
    }

    #[test]
    fn files_and_folders_are_completed() {
        let top = tempfile::tempdir().unwrap();
        for folder in ["photos", "photos/old"] {
            fs::create_dir(top.path().join(folder)).unwrap();
        }
        for file in ["photo one.jpg", ".hidden", "phony\n", "other", "photos/new"] {
            fs::write(top.path().join(file), "").unwrap();
        }
        std::os::unix::fs::symlink("photos", top.path().join("phlink")).unwrap();
        let home = Some(top.path());

        assert_eq!(values("~/ph", home), ["~/phlink/", "~/photo one.jpg", "~/photos/"]);
        assert_eq!(values("~/photo ", home), ["~/photo one.jpg"]);
        assert_eq!(values("~/photos/", home), ["~/photos/new", "~/photos/old/"]);
        assert_eq!(values("~/.", home), ["~/.hidden"]);
        assert!(values("~/", home).iter().all(|value| !value.contains("hidden")));
        let absolute = format!("{}/oth", top.path().display());
        assert_eq!(values(&absolute, None), [format!("{absolute}er")]);
        for nothing in ["~/nothing", "~/other/", "~/no folder/x"] {
            assert_eq!(values(nothing, home), Vec::<String>::new(), "{nothing}");
        }
    }

    #[test]
    fn large_folder_is_read_in_part() {
        let top = tempfile::tempdir().unwrap();
        for number in 0..MAX_ENTRIES + 9 {
            fs::write(top.path().join(number.to_string()), "").unwrap();
        }
        assert_eq!(values("~/", Some(top.path())).len(), MAX_ENTRIES);
    }
}
