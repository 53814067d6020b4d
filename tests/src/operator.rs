//! `letschat-server` with a subcommand, run to its end.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::programs::{program, without_settings};

/// The result of a command.
pub struct CommandOutput {
    /// The exit status, or -1 after a signal.
    pub status: i32,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub errors: String,
}

/// Returns the program for a data folder, without any settings of the machine.
pub fn letschat_server(data: &Path) -> Command {
    let mut command = Command::new(program("letschat-server"));
    without_settings(&mut command);
    command.arg("--data").arg(data);
    command
}

/// Runs a program to its end with this input.
pub fn run(command: &mut Command, input: &str) -> CommandOutput {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // The program may end before it has read the input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let [said, errors] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    CommandOutput { status: output.status.code().unwrap_or(-1), output: said, errors }
}

impl CommandOutput {
    /// Expects success and returns the standard output.
    pub fn ok(self) -> String {
        assert_eq!(self.status, 0, "{}{}", self.output, self.errors);
        self.output
    }

    /// Expects this status and one sentence on standard error, which it returns.
    pub fn refused(self, status: i32) -> String {
        let CommandOutput { output, errors, .. } = &self;
        assert_eq!(self.status, status, "{output}{errors}");
        assert_eq!(output, "", "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.starts_with("letschat-server: "), "{errors}");
        for trace in ["panicked", " { ", "Some(", "Err("] {
            assert!(!errors.contains(trace), "{errors}");
        }
        self.errors
    }

    /// Expects an import to refuse this number of rows and import none. Returns the report.
    pub fn refused_rows(self, bad: usize) -> String {
        assert_eq!((self.status, self.output.as_str()), (1, ""), "{}", self.errors);
        let (rows, end) = self.errors.trim_end().rsplit_once('\n').unwrap();
        let said = format!("letschat-server: nothing was imported: {bad} of ");
        assert!(end.starts_with(&said), "{end}");
        assert_eq!(rows.lines().count(), bad, "{rows}");
        rows.to_owned()
    }
}
