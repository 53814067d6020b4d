//! Unasked messages from the server, over TCP and UDP.

use letschat_protocol::datagram::{ToClient, ToServer};
use letschat_protocol::dialogue::{Broadcast, Introduction, Notice, Request as ServerRequest};

use super::Expected;
use crate::codes::LinkEnd;
use crate::event::{Event, KeyState};
use crate::notice;
use crate::session::{Effect, Session};

impl Session {
    pub(super) fn server_noticed(&mut self, notice: Notice) {
        match notice {
            Notice::Broadcast { entry, own } => self.show_broadcast(&entry, own, "tcp"),
            Notice::Replayed { through } => {
                if self.broadcasts.replayed(&mut self.cx, through) {
                    self.save_position();
                }
            }
            // The driver opens envelopes: see `Input::Mail`.
            Notice::Mail(_) => {}
            Notice::Introduction(who) => self.introduced(who),
            Notice::Meeting(invitation) => self.invited(&invitation),
            Notice::Client { who, is_new } => self.client_introduced(&who, is_new),
            Notice::Joined(usernames) => {
                self.cx.tell(Event::Joined { count: usernames.len() as u64, usernames });
            }
            Notice::Left(usernames) => {
                self.cx.tell(Event::Left { count: usernames.len() as u64, usernames });
            }
            Notice::Crowd { joined, left } => {
                self.cx.tell(Event::Joined { usernames: Vec::new(), count: joined });
                self.cx.tell(Event::Left { usernames: Vec::new(), count: left });
            }
            Notice::Devices { .. } => {
                if let Some(own) = self.account.name().cloned() {
                    self.look_up(&own);
                }
            }
            Notice::Enrolling(enrolling) => self.device_enrolling(enrolling),
            Notice::Unlisted { device, address } => self.device_unlisted(device, address),
            Notice::Say(text) => self.cx.notify(notice::Notice::ServerSays(text)),
            Notice::Closing(why) => self.server_down(LinkEnd::Closed(why)),
        }
    }

    /// Handles the introduction of a client of a classroom: from now on it is reached without the server as well.
    fn client_introduced(&mut self, who: &Introduction, is_new: bool) {
        if !self.cx.config().classroom {
            return;
        }
        let username = who.username.clone();
        if self.account.name() != Some(&username) {
            let receiver = self.server.scoped(who.receiver);
            self.account.add_introduced(&mut self.cx, &username, who.key, receiver);
            if self.account.key_state(&username, &who.key) == KeyState::Changed {
                self.account.note_offer(&username, who.key);
                self.cx.notify(notice::Notice::ClientKeyChanged(username.clone()));
            }
            self.resume_posting(&username);
        }
        if is_new {
            self.cx.tell(Event::Initiated { username });
        }
    }

    pub(in crate::session) fn datagram(&mut self, message: ToClient) {
        if !self.server.datagrams.heard(self.cx.now_ms()) {
            return;
        }
        match message {
            ToClient::Challenge(token) => {
                self.cx.push(Effect::Datagram(ToServer::Answer(token)));
            }
            ToClient::Head(head) => {
                self.server.datagrams.proved();
                self.broadcasts.learn(&self.cx, head);
            }
            ToClient::Broadcast { entry, own } => self.show_broadcast(&entry, own, "udp"),
        }
    }

    fn show_broadcast(&mut self, entry: &Broadcast, own: bool, over: &'static str) {
        let is_blocked = self.account.is_blocked(&entry.sender);
        if self.broadcasts.take(&mut self.cx, entry, own, over, is_blocked) {
            self.save_position();
        }
    }

    pub(in crate::session) fn save_position(&mut self) {
        self.account.save_position(&mut self.cx, self.broadcasts.position());
    }

    /// Requests the missing broadcasts, if a replay is allowed now.
    pub(super) fn repair(&mut self) {
        if let Some(from) = self.broadcasts.begin_repair() {
            self.server.datagrams.hurry(self.cx.now_ms());
            self.server.ask(&mut self.cx, ServerRequest::Replay { from }, Expected::Replay);
        }
    }
}
