//! The lines of this run, and the commands of earlier runs.
//!
//! The file holds commands only. Texts for other people stay in memory, and a line that could
//! contain a password is not kept at all.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use letschat_commands::command::{self, Asks, Call, parse_line};
use letschat_engine::private_file;
use letschat_flags::files;

/// The maximum number of lines.
const MAX_LINES: usize = 1_000;

/// The typed lines, oldest first.
#[derive(Default)]
pub(in crate::frontend) struct Memory {
    lines: Vec<String>,
    file: Option<File>,
}

impl Memory {
    /// Reads the file and opens it for appending. If that fails, the history lasts for this run only.
    pub(in crate::frontend) fn open(path: &Path) -> Memory {
        let mut memory = Memory::default();
        if let Ok(earlier) = read(path) {
            earlier.into_iter().for_each(|line| memory.push(line));
            memory.file = private_file::open_append(path).ok();
        }
        memory
    }

    pub(in crate::frontend) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Keeps a line in memory, and in the file if it may be there.
    pub(in crate::frontend) fn keep(&mut self, line: &str, in_chat: bool) {
        match keeping(line, in_chat) {
            Keeping::Nowhere => return,
            Keeping::InMemory => {}
            Keeping::InFile => self.write(line),
        }
        self.push(line.to_owned());
    }

    /// Adds a line, once if it is repeated.
    fn push(&mut self, line: String) {
        if line.trim().is_empty() || self.lines.last() == Some(&line) {
            return;
        }
        if self.lines.len() == MAX_LINES {
            self.lines.remove(0);
        }
        self.lines.push(line);
    }

    fn write(&mut self, line: &str) {
        if let Some(file) = &mut self.file
            && file.write_all(format!("{line}\n").as_bytes()).is_err()
        {
            self.file = None;
        }
    }
}

/// Returns the last lines of the file, and truncates the file to them if it has far more.
fn read(path: &Path) -> io::Result<Vec<String>> {
    let (content, is_cut) = private_file::read_last_lines(path)?;
    let content = String::from_utf8_lossy(&content);
    let lines: Vec<&str> = content.lines().collect();
    let last = &lines[lines.len().saturating_sub(MAX_LINES)..];
    if is_cut || lines.len() > 2 * MAX_LINES {
        let kept: String = last.iter().flat_map(|line| [line, "\n"]).collect();
        files::write_private(path, kept.as_bytes())?;
    }
    Ok(last.iter().map(|line| (*line).to_owned()).collect())
}

/// The permitted storage of a line.
#[derive(Debug, PartialEq, Eq)]
enum Keeping {
    Nowhere,
    InMemory,
    InFile,
}

fn keeping(line: &str, in_chat: bool) -> Keeping {
    let line = line.trim_start();
    let is_command = !in_chat || (line.starts_with('/') && !line.starts_with("//"));
    if !is_command {
        return Keeping::InMemory;
    }
    let word = line.trim_start().trim_start_matches('/').split_whitespace().next().unwrap_or("");
    let asks = command::find(word).map(|command| command.asks);
    match (asks, parse_line(line, in_chat)) {
        // The user may have typed a password as an argument.
        (
            Ok(
                Asks::Password(_)
                | Asks::NewPassword(_)
                | Asks::ChangedPassword
                | Asks::Passphrase { .. },
            ),
            Err(_),
        ) => Keeping::Nowhere,
        // The words of a search were said to somebody.
        (Ok(Asks::Passphrase { .. }), Ok(_)) => Keeping::InMemory,
        (Ok(_), Ok(call)) if !is_said(&call) && !line.contains('\n') => Keeping::InFile,
        (Ok(_), _) => Keeping::InMemory,
        // Not a command: it may be anything, such as an answer typed too early.
        (Err(_), _) => Keeping::Nowhere,
    }
}

/// Returns true for text for other people, which no file keeps.
fn is_said(call: &Call) -> bool {
    call.command().says.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn commands_are_kept_for_the_next_run_of_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let mut memory = Memory::open(&path);
        memory.keep("list", false);
        memory.keep("connect bob", false);
        assert_eq!(fs::read_to_string(&path).unwrap(), "list\nconnect bob\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let memory = Memory::open(&path);
        assert_eq!(memory.lines(), ["list", "connect bob"]);
    }

    #[test]
    fn a_line_that_could_hold_a_password_is_kept_nowhere() {
        for line in ["login alice hunter22", "/signup alice hunter22", "hunter22", "correct horse"]
        {
            assert_eq!(keeping(line, false), Keeping::Nowhere, "{line}");
        }
        assert_eq!(keeping("login alice", false), Keeping::InFile);
        assert_eq!(keeping("/login alice hunter22", true), Keeping::Nowhere);
    }

    #[test]
    fn what_is_said_in_a_chat_is_not_written() {
        assert_eq!(keeping("list", true), Keeping::InMemory);
        assert_eq!(keeping("/say hello", true), Keeping::InMemory);
        assert_eq!(keeping("broadcast hello", false), Keeping::InMemory);
        assert_eq!(keeping("//list", true), Keeping::InMemory);
        assert_eq!(keeping("/list", true), Keeping::InFile);
    }

    #[test]
    fn a_long_file_is_cut_down_to_its_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let lines: String = (0..2 * MAX_LINES + 1).map(|n| format!("help {n}\n")).collect();
        fs::write(&path, lines).unwrap();
        let memory = Memory::open(&path);
        assert_eq!(memory.lines().len(), MAX_LINES);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), MAX_LINES);
    }

    #[test]
    fn enormous_file_is_cut_down_to_its_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let long = "x".repeat(4 * 1024 * 1024);
        for (content, kept) in [
            (format!("help {long}\nlist\nconnect bob\n"), "list\nconnect bob\n"),
            (format!("list\nhelp {long}"), ""),
        ] {
            fs::write(&path, content).unwrap();
            let mut memory = Memory::open(&path);
            assert_eq!(memory.lines().len(), kept.lines().count());
            memory.keep("status", false);
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{kept}status\n"));
        }
    }
}
