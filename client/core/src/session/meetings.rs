//! Meetings at the server with peers whose receivers are not reached.

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Invitation, Request as ServerRequest};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::links::LinkUse;
use super::server::Expected;
use super::{Dial, Effect, NoMeeting, Session};
use crate::failure::Failure;

impl Session {
    /// Asks the server for a meeting with a peer that is not reached so far.
    pub(super) fn meeting_wanted(&mut self, dial: Dial, key: PublicKey) {
        let name = self.dialled_person(dial).filter(|_| self.server.has_meetings());
        match name {
            Some(name) => {
                let request = ServerRequest::Meet { name: name.to_string(), key };
                self.server.ask(&mut self.cx, request, Expected::Meet(dial));
            }
            None => self.cx.push(Effect::Meet { dial, answer: Err(NoMeeting::Never) }),
        }
    }

    /// Returns the person whom an attempt is to reach. Deliveries are for times without the server.
    fn dialled_person(&mut self, dial: Dial) -> Option<Username> {
        match dial {
            Dial::Link(link) => match self.cx.links.purpose(link)? {
                LinkUse::Call(who) | LinkUse::Chat(who) => Some(who.clone()),
                _ => None,
            },
            Dial::Transfer(transfer) => self.files.fetched_from(transfer),
        }
    }

    /// Handles the server's refusal of a meeting.
    pub(super) fn meeting_refused(&mut self, dial: Dial, why: &Failure) {
        let is = |code: Code| matches!(why, Failure::Refused { code: refused, .. } if *refused == code.into());
        if is(Code::UnknownCommand) {
            // A server of version 0.1.
            self.server.note_no_meetings();
        }
        let no_meeting = if is(Code::SlowDown) { NoMeeting::Later } else { NoMeeting::Never };
        self.cx.push(Effect::Meet { dial, answer: Err(no_meeting) });
    }

    /// Handles a peer's wish for a meeting. The session decides what the peer may do once it has arrived.
    pub(super) fn invited(&mut self, invitation: &Invitation) {
        let Invitation { username, key, token, server } = invitation;
        let is_welcome = self.account.opened().is_some()
            && self.quitting.is_none()
            && !self.account.is_blocked(username);
        if is_welcome {
            self.cx.push(Effect::Attend { key: *key, token: *token, server: *server });
        }
    }
}
