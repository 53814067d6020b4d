//! Taking a line off the screen while it is being typed, and putting it back.

use std::io::{self, Write as _};

use crossterm::{cursor, queue};
use reedline::{EditCommand, Reedline, Signal};

use crate::frontend::line::prompt::LinePrompt;
use letschat_core::session::Typing;

/// A line that was called away from.
pub(crate) struct Unfinished {
    text: String,
    /// In bytes.
    cursor: usize,
}

impl Unfinished {
    /// Takes prompt and line off the screen; `None` if nothing was typed.
    pub(crate) fn take(reedline: &mut Reedline) -> Option<Unfinished> {
        let text = reedline.current_buffer_contents().to_owned();
        let cursor = reedline.current_insertion_point();
        reedline.run_edit_commands(&[EditCommand::Clear]);
        // An empty line that is accepted at once: the editor then forgets where its prompt stood.
        accept_at_once(reedline, true);
        while let Ok(Signal::ExternalBreak(_)) = reedline.read_line(&LinePrompt::blank()) {}
        accept_at_once(reedline, false);
        let mut output = io::stdout().lock();
        // A terminal that is gone is noticed by the next read.
        let _ = queue!(output, cursor::MoveToPreviousLine(1)).and_then(|()| output.flush());
        (!text.is_empty()).then_some(Unfinished { text, cursor })
    }

    /// Goes on with the line where it was.
    pub(crate) fn put_back(self, reedline: &mut Reedline) {
        reedline.run_edit_commands(&[
            EditCommand::InsertString(self.text),
            EditCommand::MoveToPosition { position: self.cursor, select: false },
        ]);
    }
}

fn accept_at_once(reedline: &mut Reedline, at_once: bool) {
    let taken = std::mem::replace(reedline, Reedline::create());
    *reedline = taken.with_immediately_accept(at_once);
}

/// Says where a line goes that was begun while lines went there, and others go elsewhere by now.
pub(super) fn place(target: &Typing, others: &Typing) -> String {
    match target.chat() {
        Some(name) if *others == Typing::Over(name.clone()) => {
            format!("The chat with {name} is over; this line goes nowhere.")
        }
        Some(name) => format!("This line still goes to {name}."),
        None => "This line is still a command.".into(),
    }
}
