//! Plain lines, for shell scripts and for people who want nothing on their screen to move.
//!
//! What happens and what commands say goes to standard output, failures to standard error. There
//! are no control sequences. At a terminal long lines are broken, and their rests moved in.

use letschat_flags::output::Stream;
use letschat_protocol::rows::wrap;

use super::lines::Entries;
use super::{Dialect, Entry, Outcome, OutputClosed, Stage, render};
use crate::event::Event;
use crate::events::Receipt;

/// Runs the front end; the result is the exit status.
pub fn run(stage: Stage) -> u8 {
    super::run(stage, Plain)
}

struct Plain;

impl Dialect for Plain {
    type Input = Entries;

    fn input(&self) -> Entries {
        Entries::start(read)
    }

    async fn event(&self, event: &Event, receipt: Receipt) -> Result<(), OutputClosed> {
        let text = render::event(event);
        match event {
            Event::Error { .. } => write(Stream::Error, &text)?,
            _ => write(Stream::Output, &text)?,
        }
        receipt.confirm();
        Ok(())
    }

    async fn result(&self, outcome: &Outcome) -> Result<(), OutputClosed> {
        match &outcome.result {
            Ok(reply) => match render::reply(reply) {
                Some(text) => write(Stream::Output, &text),
                None => Ok(()),
            },
            Err(failure) => write(Stream::Error, &render::failure(failure)),
        }
    }
}

fn read(line: &str) -> Option<Entry> {
    (!line.trim().is_empty()).then(|| Entry::Typed(line.to_owned()))
}

fn write(stream: Stream, text: &str) -> Result<(), OutputClosed> {
    Ok(stream.write_line(&wrap(text, stream.columns()))?)
}
