//! The client of an open room: sends each line to the room, and shows the messages of others.
//!
//! * `link` – the socket: greets, sends, receives
//! * `prompt` – the prompt `] ` at a terminal
//!
//! At a terminal messages appear above the prompt. Elsewhere, and with `--plain`, there is no prompt.
//! At the end of input everything has been sent, and the client waits a moment for replies.
//!
//! Deliberately absent: sessions, accounts, keys and files.

mod link;
mod prompt;

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_channel::Receiver;
use async_io::{Timer, block_on};
use futures_lite::FutureExt as _;
use letschat_flags::output::{self, OutputError, Stream};
use letschat_protocol::open_room::Incoming;
use letschat_protocol::printable::{Printable, is_blank};
use letschat_protocol::rows::wrap;

use crate::frontend::line::theme::Theme;
use crate::frontend::lines::Entries;
use crate::frontend::{Entry, Input as _, Terminal};
use crate::line_editor::BRACKETS_OFF;
use letschat_commands::exit_status;
use letschat_engine::address::ServerAddress;
use link::{Heard, Link};
use prompt::Prompt;

/// The time that replies may take after the end of input.
const GRACE: Duration = Duration::from_secs(1);

/// The failure of an open room's client.
#[derive(Debug, thiserror::Error)]
pub enum OpenRoomError {
    /// The host has no address, or none that can be reached.
    #[error("can't reach {room}: {source}")]
    Unreachable {
        /// The address.
        room: String,
        /// The reason.
        source: io::Error,
    },
    /// The terminal can't be opened.
    #[error("the terminal can't be opened: {0}")]
    Terminal(io::Error),
    /// The terminal refuses output.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl OpenRoomError {
    /// Returns the exit status.
    pub fn exit_status(&self) -> u8 {
        match self {
            OpenRoomError::Unreachable { .. } => exit_status::NO_SERVER,
            OpenRoomError::Terminal(_) | OpenRoomError::Output(_) => exit_status::FAILED,
        }
    }
}

/// Runs the client until the end of input or a request to stop. Returns the exit status. With a
/// theme there is a prompt.
///
/// # Errors
///
/// The room's host can't be reached, or the output fails.
pub fn run(
    room: &ServerAddress,
    theme: Option<Theme>,
    terminal: &Arc<Terminal>,
    stop: &Receiver<()>,
) -> Result<u8, OpenRoomError> {
    let opened = async { Link::open(room).await.map(Some) };
    let stopped = async {
        let _ = stop.recv().await;
        Ok(None)
    };
    let opened = block_on(opened.or(stopped));
    let opened =
        opened.map_err(|source| OpenRoomError::Unreachable { room: room.to_string(), source })?;
    match (opened, theme) {
        (None, _) => Ok(exit_status::SUCCESS),
        (Some(link), Some(theme)) => run_at_terminal(&link, theme, terminal, stop),
        (Some(link), None) => run_plainly(&link, stop),
    }
}

/// Formats a message on one line that is safe for a terminal. Invalid UTF-8 is replaced.
pub fn shown(incoming: &Incoming<'_>) -> String {
    let text = String::from_utf8_lossy(incoming.text);
    format!("<From {}>: {}", incoming.from, Printable(&text))
}

fn run_at_terminal(
    link: &Link,
    theme: Theme,
    terminal: &Arc<Terminal>,
    stop: &Receiver<()>,
) -> Result<u8, OpenRoomError> {
    // A terminal with echo works too.
    let _ = terminal.take_keys(BRACKETS_OFF);
    let (prompt, lines, texts) = Prompt::open(terminal, theme).map_err(OpenRoomError::Terminal)?;
    let typing = async {
        while let Ok(line) = lines.recv().await {
            if let Err(error) = link.say(&line).await {
                // The prompt may have ended.
                let _ = texts.send(error.to_string()).await;
            }
        }
    };
    let hearing = async {
        loop {
            let _ = texts.send(link.hear().await.to_string()).await;
        }
    };
    let stopped = async {
        let _ = stop.recv().await;
    };
    let talking = async {
        stopped.or(typing).or(hearing).or(link.greet()).await;
        // The prompt ends as well.
        texts.close();
        pending::<()>().await;
    };
    block_on(prompt.run().or(talking));
    Ok(exit_status::SUCCESS)
}

fn run_plainly(link: &Link, stop: &Receiver<()>) -> Result<u8, OpenRoomError> {
    let mut lines = Entries::start(|line| (!is_blank(line)).then(|| Entry::Typed(line.to_owned())));
    let status = Cell::new(exit_status::SUCCESS);
    let fail = |why: String| {
        status.set(exit_status::FAILED);
        output::complain("letschat", why);
    };
    let typing = async {
        while let Some(entry) = lines.next().await {
            match entry {
                Entry::Typed(line) => {
                    if let Err(error) = link.say(&line).await {
                        fail(error.to_string());
                    }
                }
                Entry::Malformed { failure, .. } => fail(failure.message),
                Entry::Object { .. } | Entry::Call { .. } => {}
            }
        }
        Timer::after(GRACE).await;
        Ok::<(), OutputError>(())
    };
    let hearing = async {
        loop {
            match link.hear().await {
                heard @ Heard::Said(_) => {
                    let text = wrap(&heard.to_string(), Stream::Output.columns());
                    Stream::Output.write_line(&text)?;
                }
                heard @ Heard::Nobody(_) => output::complain("letschat", heard),
            }
        }
    };
    let greeting = async {
        link.greet().await;
        Ok(())
    };
    let stopped = async {
        let _ = stop.recv().await;
        Ok(())
    };
    match block_on(stopped.or(typing).or(hearing).or(greeting)) {
        Err(error) if !error.is_not_read() => Err(error.into()),
        // The reader may close the output.
        Err(_) => Ok(status.get()),
        Ok(()) if link.is_nobody_there() => Ok(exit_status::NO_SERVER),
        Ok(()) => Ok(status.get()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_said_is_one_printable_line() {
        let from = "[::1]:5000".parse().unwrap();
        let incoming = Incoming { from, text: "a\nb\u{1b}[2J\u{202e}".as_bytes() };
        assert_eq!(shown(&incoming), r"<From [::1]:5000>: a\nb\u{1b}[2J\u{202e}");
        let incoming = Incoming { from, text: b"gr\xfc\xdfe" };
        assert_eq!(shown(&incoming), "<From [::1]:5000>: gr\u{fffd}\u{fffd}e");
    }
}
