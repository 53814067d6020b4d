//! A fresh hub is told what another one was told, step by step, and does the same.

use std::io::{self, BufRead};

use super::lines::{Born, Line};
use super::outline;
use crate::clock::Now;
use crate::hub::{Effect, Hub, Input};

/// A trace that is being replayed: an iterator over its steps.
pub struct Replay<R> {
    lines: io::Split<R>,
    number: usize,
    hub: Option<Hub>,
    /// Read ahead and not used yet.
    next: Option<Line>,
}

/// What was heard, and what the fresh hub did.
#[derive(Debug)]
pub struct Step {
    /// The line of the file that has the input.
    pub line: usize,
    /// When it was heard.
    pub now: Now,
    /// What was heard, with stand-ins for passwords and texts.
    pub input: Input,
    /// What is to be done about it, with the stand-ins.
    pub effects: Vec<Effect>,
    /// Whether the hub of the trace did the same. `None` if it never said: the trace ends here.
    pub same: Option<bool>,
}

/// Why a trace can't be replayed from here on.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line that is no line of a trace.
    #[error("line {0} is no line of a trace: {1}")]
    Line(usize, serde_json::Error),
    /// Something was heard, or done, by no hub.
    #[error("line {0} stands where a server's start is expected")]
    Order(usize),
}

impl<R: BufRead> Replay<R> {
    /// Replays what is read.
    pub fn new(trace: R) -> Replay<R> {
        Replay { lines: trace.split(b'\n'), number: 0, hub: None, next: None }
    }

    fn step(&mut self) -> Result<Option<Step>, ReplayError> {
        while let Some(line) = self.line()? {
            match line {
                Line::Born(born) => {
                    let Born { settings, birth, log, now, .. } = *born;
                    self.hub = Some(Hub::new(settings, birth, log, now));
                }
                Line::Heard { now, input } => return self.tell(now, input).map(Some),
                Line::Did(_) => return Err(ReplayError::Order(self.number)),
            }
        }
        Ok(None)
    }

    fn tell(&mut self, now: Now, input: Input) -> Result<Step, ReplayError> {
        let line = self.number;
        let hub = self.hub.as_mut().ok_or(ReplayError::Order(line))?;
        let effects = hub.handle(now, input.clone());
        let did = outline::hash(&effects, hub.next_deadline());
        let same = match self.line()? {
            Some(Line::Did(told)) => Some(told == did),
            other => {
                self.next = other;
                None
            }
        };
        Ok(Step { line, now, input, effects, same })
    }

    /// The next line. One that breaks off is the last of a server that was killed: after it comes
    /// another server's start, or nothing.
    fn line(&mut self) -> Result<Option<Line>, ReplayError> {
        if self.next.is_some() {
            return Ok(self.next.take());
        }
        let mut broken = None;
        for text in self.lines.by_ref() {
            // A line may break off within a character.
            let text = String::from_utf8_lossy(&text?).into_owned();
            self.number += 1;
            if text.is_empty() {
                continue;
            }
            match (serde_json::from_str(&text), broken.take()) {
                (Ok(line @ Line::Born(_)), _) | (Ok(line), None) => return Ok(Some(line)),
                (Ok(_), Some(error)) => return Err(error),
                (Err(error), None) if error.is_eof() => {
                    broken = Some(ReplayError::Line(self.number, error));
                }
                (Err(error), _) => return Err(ReplayError::Line(self.number, error)),
            }
        }
        Ok(None)
    }
}

impl<R: BufRead> Iterator for Replay<R> {
    type Item = Result<Step, ReplayError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}
