//! Meetings in the hub's world.

use letschat_protocol::dialogue::{MeetingToken, Request};
use letschat_protocol::frame::Frame;

use super::{NAMES, World};

impl World<'_> {
    /// Returns a request about meetings, often with a token that the hub has given.
    pub(super) fn meeting_line(&mut self) -> Request {
        let name = self.choices.one(&NAMES[..3]).unwrap_or("bob").to_owned();
        match self.choices.below(4) {
            0 => Request::Meet { name, key: self.identity.public_key() },
            1 | 2 => {
                let given = self.choices.one(&self.meeting_tokens);
                let token = given.unwrap_or(MeetingToken(self.choices.number().into()));
                Request::Join { token, local: ([192, 168, 1, 2], 50_000).into() }
            }
            _ => Request::Relay,
        }
    }

    /// Notes the tokens in a frame of the hub.
    pub(super) fn note_tokens(&mut self, frame: &Frame) {
        self.meeting_tokens
            .extend(frame.words().filter_map(|word| word.parse::<MeetingToken>().ok()));
    }
}
