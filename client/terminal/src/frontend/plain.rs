//! Plain lines, for shell scripts, screen readers, and terminals without cursor control.
//!
//! Events and replies go to standard output, failures to standard error. There
//! are no control sequences. At a terminal long lines are wrapped with an indent.

use letschat_flags::output::Stream;
use letschat_protocol::rows::wrap;

use super::lines::Entries;
use super::{CommandResult, Dialect, Entry, FIRST_COMMANDS, FirstLogin, FrontEnd, OutputClosed};
use letschat_commands::render;
use letschat_core::event::Event;
use letschat_core::session::Reply;
use letschat_engine::client::Client;
use letschat_engine::events::Receipt;

/// Runs the front end. Returns the exit status.
pub fn run(mut front_end: FrontEnd, screen_reader: bool) -> u8 {
    let (client, interactive) = (front_end.dispatcher.client().clone(), front_end.interactive);
    if front_end.interactive {
        // A terminal in line mode does not show whether a line has been begun.
        front_end.dispatcher = front_end.dispatcher.at_a_prompt();
        if front_end.login == FirstLogin::None {
            // The first event reports a closed output.
            let _ = write(Stream::Output, FIRST_COMMANDS);
        }
    }
    super::run(front_end, Plain { client, interactive, screen_reader })
}

struct Plain {
    client: Client,
    /// True if a person types at a terminal.
    interactive: bool,
    /// True if each line of a message begins with its sender.
    screen_reader: bool,
}

impl Plain {
    /// Says how to reach a chat that has opened, if lines go to another one.
    fn way_there(&self, reply: &Reply) -> Option<String> {
        let (true, Reply::Chat { with, .. }) = (self.interactive, reply) else { return None };
        render::way_to(with, &self.client.typing())
    }
}

impl Dialect for Plain {
    type Input = Entries;

    fn input(&self) -> Entries {
        Entries::start(read)
    }

    async fn event(&self, event: &Event, receipt: Receipt) -> Result<(), OutputClosed> {
        let text = self.client.read_view(|view| render::event(event, &view.session));
        let text = text.map(|text| if self.screen_reader { spoken(event, &text) } else { text });
        match (text, event) {
            (None, _) => {}
            (Some(text), Event::Error { .. }) => write(Stream::Error, &text)?,
            (Some(text), _) => write(Stream::Output, &text)?,
        }
        receipt.confirm();
        Ok(())
    }

    async fn result(&self, outcome: &CommandResult) -> Result<(), OutputClosed> {
        match &outcome.result {
            Ok(reply) => {
                let mut lines = render::reply(reply).into_iter().chain(self.way_there(reply));
                lines.try_for_each(|text| write(Stream::Output, &text))
            }
            Err(failure) => write(Stream::Error, &render::failure(failure)),
        }
    }
}

/// Puts the sender before each line of a message.
fn spoken(event: &Event, text: &str) -> String {
    match event {
        Event::Message { from, .. } => text.replace(render::NEXT_LINE, &format!("\n{from}: ")),
        _ => text.to_owned(),
    }
}

fn read(line: &str) -> Option<Entry> {
    (!line.trim().is_empty()).then(|| Entry::Typed(line.to_owned()))
}

fn write(stream: Stream, text: &str) -> Result<(), OutputClosed> {
    match stream.write_line(&wrap(text, stream.columns())) {
        // A closed standard error does not end the run; its failures still count.
        Err(error) if stream == Stream::Error && error.is_not_read() => Ok(()),
        written => Ok(written?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_core::conversation::{ConversationId, Via};
    use letschat_core::view::SessionState;
    use letschat_protocol::message_id::MessageId;

    #[test]
    fn each_line_for_a_screen_reader_begins_with_its_sender() {
        let event = Event::Message {
            from: "bob".parse().unwrap(),
            number: Some(1),
            text: "one\ntwo".into(),
            time_ms: 0,
            sent_ms: 0,
            conversation: ConversationId::Person("bob".parse().unwrap()),
            id: MessageId::of_broadcast(1, 1),
            own: false,
            device: None,
            via: Via::Direct,
        };
        let text = render::event(&event, &SessionState::default()).unwrap();
        assert_eq!(spoken(&event, &text), "bob: one\nbob: two");
    }
}
