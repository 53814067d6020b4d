//! A namespace that a test makes for itself, for programs that run in it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A namespace. It ends with this value.
pub struct Namespace {
    kind: &'static str,
    /// Holds it until its standard input closes.
    holder: Child,
    is_of_user: bool,
}

impl Namespace {
    /// Makes a namespace of this kind, as unshare(1) names it, and runs a shell script in it. The script prints a line
    /// that begins with `ready` and waits for the end of its input. Returns the rest of the line, too. `None` if this
    /// machine does not allow it to anybody here.
    pub fn make(
        kind: &'static str,
        script: &str,
        arguments: &[&str],
    ) -> Option<(Namespace, String)> {
        let root: &[&str] = &[kind];
        let anybody: &[&str] = &["--user", "--map-root-user", kind];
        [root, anybody].into_iter().find_map(|flags| {
            let mut holder = Command::new("unshare")
                .args(flags)
                .args(["sh", "-c", script, "sh"])
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .ok()?;
            let mut said = String::new();
            BufReader::new(holder.stdout.take()?).read_line(&mut said).unwrap();
            let Some(said) = said.trim_end().strip_prefix("ready") else {
                holder.wait().unwrap();
                return None;
            };
            let said = said.trim_start().to_owned();
            Some((Namespace { kind, holder, is_of_user: flags.contains(&"--user") }, said))
        })
    }

    /// Returns the process id of the script.
    pub fn pid(&self) -> String {
        self.holder.id().to_string()
    }

    /// Returns the words that start a program in the namespace of this process.
    pub fn by(&self, pid: &str) -> Vec<String> {
        let mut by = vec!["nsenter", self.kind, "--target", pid];
        if self.is_of_user {
            by.extend(["--user", "--preserve-credentials"]);
        }
        by.into_iter().map(str::to_owned).collect()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
