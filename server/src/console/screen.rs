//! The screen of a classroom's server: newcomers, and what clients say.
//!
//! A thread of its own prints the lines, so that a stopped terminal blocks nothing else.

use std::io;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use letschat_flags::output::{OutputError, Stream};
use letschat_protocol::rows::wrap;
use letschat_server::hub::Shown;

/// The longest wait for the last lines when the program exits.
const FINISH: Duration = Duration::from_millis(500);

/// The running thread.
pub(crate) struct Screen {
    finished: Receiver<()>,
}

impl Screen {
    /// Starts to print lines until they end. Outside of a classroom there are none.
    pub(crate) fn start(lines: async_channel::Receiver<Shown>) -> io::Result<Screen> {
        let (done, finished) = sync_channel(1);
        // Never joined: a write to a stopped terminal may block forever.
        thread::Builder::new().name("screen".into()).spawn(move || {
            show_all(&lines, print);
            let _ = done.try_send(());
        })?;
        Ok(Screen { finished })
    }

    /// Waits a moment for the last lines.
    pub(crate) fn finish(self) {
        let _ = self.finished.recv_timeout(FINISH);
    }
}

/// Prints a line in one write, so that other lines never split it.
fn print(line: &str) -> Result<(), OutputError> {
    Stream::Output.write_line(&wrap(line, Stream::Output.columns()))
}

fn show_all(
    lines: &async_channel::Receiver<Shown>,
    mut print: impl FnMut(&str) -> Result<(), OutputError>,
) {
    let mut is_shown = true;
    while let Ok(line) = lines.recv_blocking() {
        let printed = print(&line.to_string());
        if let Err(error) = &printed
            && is_shown
            && !error.is_not_read()
        {
            tracing::warn!("what the clients say is not shown: {error}");
        }
        is_shown = printed.is_ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_shown_printable_and_in_order() {
        let (send, lines) = async_channel::unbounded();
        let client = || "2".parse().unwrap();
        let text = "hello\u{1b}[2J".into();
        for line in [
            Shown::Initiated { client: client() },
            Shown::Reconnected { client: client() },
            Shown::Said { client: client(), text },
            Shown::Lost { lines: 3 },
        ] {
            send.try_send(line).unwrap();
        }
        drop(send);
        let mut shown = Vec::new();
        show_all(&lines, |line| {
            shown.push(line.to_owned());
            Ok(())
        });
        let expected = [
            "Client 2: initiated",
            "Client 2: reconnected",
            "Client 2: hello\\u{1b}[2J",
            "(3 lines were lost: too many at once)",
        ];
        assert_eq!(shown, expected);
    }
}
