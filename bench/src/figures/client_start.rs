//! The time from the client's start to its prompt at a terminal, logged in by key, and its memory
//! at that point.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;
use std::time::Instant;

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};

use crate::people::Person;
use crate::process;
use crate::programs::{BenchResult, Failed};
use crate::report::{Bar, Row};
use crate::run::Bench;
use crate::server::ServerProcess;
use crate::statistics::Samples;

const FIGURE: &str = "client_start";
const MEBIBYTE: f64 = 1_024.0 * 1_024.0;

/// The prompt of a logged-in user in no chat.
const PROMPT: &[u8] = b"letschat> ";

/// The query for the cursor's position (ECMA-48, DSR 6). Programs that send it wait for an answer.
const WHERE_IS_THE_CURSOR: &[u8] = b"\x1b[6n";
const IN_THE_CORNER: &[u8] = b"\x1b[1;1R";

/// Ctrl+D on an empty line, which ends the client.
const END: &[u8] = b"\x04";

/// Starts the client repeatedly with the same data.
pub(crate) fn measure(bench: &Bench) -> BenchResult<Vec<Row>> {
    let server = ServerProcess::start(bench)?;
    let data = tempfile::tempdir()?;
    Person::live(&server, bench.accounts.member(0), data.path(), async |person| {
        person.quits().await
    })?;

    let mut times = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..bench.plan.starts {
        let begin = Instant::now();
        let mut terminal = Terminal::start(bench, server.address(), data.path())?;
        terminal.wait_for(PROMPT)?;
        times.push(begin.elapsed());
        memory.push(process::memory(terminal.child.id())? as f64 / MEBIBYTE);
        terminal.finish()?;
    }
    let (times, memory) = (Samples::of_times_ms(times), Samples::new(memory));
    Ok(vec![
        Row::new(FIGURE, "client, start to prompt: median", times.median(), "ms")
            .with_spread(times.least(), times.most())
            .judged(Bar::AtMost(30.0)),
        Row::new(FIGURE, "client memory (PSS) at the prompt: median", memory.median(), "MiB")
            .with_spread(memory.least(), memory.most())
            .judged(Bar::AtMost(10.0)),
    ])
}

/// A terminal that runs the client, which is killed when this is dropped.
struct Terminal {
    pty: Pty,
    child: Child,
    said: Vec<u8>,
    answered: usize,
}

impl Terminal {
    fn start(bench: &Bench, server: SocketAddr, data: &Path) -> BenchResult<Terminal> {
        let (pty, pts) = open()?;
        pty.resize(Size::new(24, 80))?;
        let command = Command::new(&bench.programs.client)
            .args([server.ip().to_string(), server.port().to_string()])
            .args(["--peer-port", "0", "--data"])
            .arg(data)
            // The user's own settings must not affect the measurement.
            .env_clear()
            .env("HOME", data)
            .env("TERM", "xterm-256color");
        let child = command.spawn(pts)?;
        Ok(Terminal { pty, child, said: Vec::new(), answered: 0 })
    }

    /// Reads until these words are on the terminal.
    fn wait_for(&mut self, words: &[u8]) -> BenchResult<()> {
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

    fn finish(mut self) -> BenchResult<()> {
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
