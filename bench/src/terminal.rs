//! A pseudoterminal that runs the client.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};

use crate::programs::{BenchResult, Failed};
use crate::run::Bench;

/// The query for the cursor's position (ECMA-48, DSR 6). Programs that send it wait for an answer.
const WHERE_IS_THE_CURSOR: &[u8] = b"\x1b[6n";
const IN_THE_CORNER: &[u8] = b"\x1b[1;1R";

/// Ctrl+D on an empty line, which ends the client.
const END: &[u8] = b"\x04";

/// A terminal that runs the client, which is killed when this is dropped.
pub(crate) struct Terminal {
    pty: Pty,
    child: Child,
    said: Vec<u8>,
    answered: usize,
}

impl Terminal {
    /// Starts the client with the data in this folder, in a window of 80 columns and 24 rows.
    pub(crate) fn start(
        bench: &Bench,
        server: SocketAddr,
        data: &Path,
        flags: &[&str],
    ) -> BenchResult<Terminal> {
        let (pty, pts) = open()?;
        pty.resize(Size::new(24, 80))?;
        let command = Command::new(&bench.programs.client)
            .args([server.ip().to_string(), server.port().to_string()])
            .args(["--peer-port", "0", "--data"])
            .arg(data)
            .args(flags)
            // The user's own settings must not affect the measurement.
            .env_clear()
            .env("HOME", data)
            .env("TERM", "xterm-256color");
        let child = command.spawn(pts)?;
        Ok(Terminal { pty, child, said: Vec::new(), answered: 0 })
    }

    /// Returns the id of the client's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Types these keys.
    pub(crate) fn press(&mut self, keys: &[u8]) -> BenchResult<()> {
        Ok(self.pty.write_all(keys)?)
    }

    /// Forgets what was on the terminal.
    pub(crate) fn forget(&mut self) {
        self.said.clear();
        self.answered = 0;
    }

    /// Reads until these words are on the terminal.
    pub(crate) fn wait_for(&mut self, words: &[u8]) -> BenchResult<()> {
        while !self.said.windows(words.len()).any(|window| window == words) {
            if self.read()? == 0 {
                let said = String::from_utf8_lossy(&self.said).into_owned();
                return Err(Failed(format!("the client ended without a prompt: {said:?}")).into());
            }
        }
        Ok(())
    }

    fn read(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 4_096];
        // Linux reports the end of a pseudoterminal's other side as an error.
        let length = self.pty.read(&mut chunk).unwrap_or(0);
        self.said.extend_from_slice(&chunk[..length]);
        let asked = self.said.windows(WHERE_IS_THE_CURSOR.len());
        let asked = asked.filter(|window| *window == WHERE_IS_THE_CURSOR).count();
        for _ in self.answered..asked {
            self.pty.write_all(IN_THE_CORNER)?;
        }
        self.answered = asked;
        Ok(length)
    }

    /// Ends the client.
    pub(crate) fn finish(mut self) -> BenchResult<()> {
        self.pty.write_all(END)?;
        while self.read()? > 0 {}
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // This fails only if the client has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
