//! The conversion of occurrences to inputs of the session.

use letschat_protocol::dialogue::{FromServer, Notice as ServerNotice};
use letschat_protocol::tls::Exported;

use super::{FromFrontEnd, MAX_PEER_LINKS, Running};
use crate::events::Subscription;
use crate::net::peer_link::PeerLink;
use crate::net::server_link::Secured;
use crate::net::{Arrival, Occurrence};
use crate::trust::Verdict;
use letschat_core::event::Event;
use letschat_core::notice::Notice;
use letschat_core::session::{Input, LinkId, Request, RequestId};
use letschat_flags::clock;

impl Running<'_> {
    /// Handles a message of a front end.
    pub(super) fn note_wish(&mut self, wish: FromFrontEnd) -> Option<Input> {
        match wish {
            FromFrontEnd::Request(request, answer) => {
                let id = self.next_request();
                self.answers.insert(id, answer);
                Some(Input::Request { id, request })
            }
            FromFrontEnd::Subscribe(answer) => {
                // The view includes all events up to now, and the subscriber must not get any of
                // them again.
                self.tell_front_ends();
                let subscription =
                    Subscription { view: self.shared.view(), events: self.telling.subscribe() };
                // The receiver of the answer may have gone.
                let _ = answer.try_send(subscription);
                None
            }
        }
    }

    /// Lets the client quit, since nobody can send requests any more.
    pub(super) fn abandon(&mut self) -> Input {
        self.abandoned = true;
        Input::Request { id: self.next_request(), request: Request::Quit }
    }

    /// Handles the session's deadline, or the driver's own.
    pub(super) fn note_deadline(&mut self) -> Option<Input> {
        let now_ms = clock::now().boot_ms;
        if self.position.as_ref().is_some_and(|unsaved| unsaved.due_boot_ms <= now_ms) {
            self.save_position();
        }
        self.telling.looked(now_ms);
        let is_due = self.session.next_deadline().is_some_and(|due_ms| due_ms <= now_ms);
        is_due.then_some(Input::Tick)
    }

    /// Converts an occurrence, or returns `None` if its link is closed already.
    pub(super) fn note(&mut self, occurrence: Occurrence) -> Option<Input> {
        match occurrence {
            Occurrence::ServerSecured(generation, secured) => {
                self.is_current(generation).then(|| self.note_secured(*secured))
            }
            Occurrence::Server(generation, input) => {
                if !self.is_current(generation) {
                    return None;
                }
                if matches!(input, Input::ServerLost | Input::ServerUnreached(_)) {
                    self.server = None;
                    self.secured = None;
                }
                match input {
                    Input::Server(FromServer::Notice(ServerNotice::Mail(mail))) => {
                        self.note_mail(&mail)
                    }
                    input => Some(input),
                }
            }
            Occurrence::Datagram(generation, message) => {
                let is_open = self.datagrams.is_some() && self.is_current(generation);
                is_open.then_some(Input::Datagram(message))
            }
            Occurrence::Connected(stream, from) => {
                self.receiver.admit(self.executor, stream, from);
                None
            }
            Occurrence::Arrived(generation, arrival) => {
                let is_welcome = self.account.is_some()
                    && generation == self.account_generation
                    && self.peers.len() < MAX_PEER_LINKS;
                is_welcome.then(|| self.note_arrival(*arrival))
            }
            Occurrence::FileRead(generation, request, result) => (generation
                == self.account_generation)
                .then_some(Input::FileRead { request, result }),
            Occurrence::History(generation, report) => self.note_history(generation, *report),
            Occurrence::Fetch(transfer, news) => self.note_fetch(transfer, news),
            Occurrence::Serve(link, news) => {
                self.serving.contains_key(&link).then_some(Input::Serve { link, news })
            }
            Occurrence::Peer(link, input) => {
                if !self.peers.contains_key(&link) {
                    return None;
                }
                if matches!(input, Input::PeerLost { .. }) {
                    self.peers.remove(&link);
                }
                Some(input)
            }
        }
    }

    fn note_secured(&mut self, secured: Secured) -> Input {
        let Secured { server, fingerprint, verdict, address, keys } = secured;
        let server = server.to_string();
        let reached = server.clone();
        let notice = match verdict {
            // A class on one machine begins without a question or a notice.
            Verdict::FirstSight
                if self.config.classroom.is_some() && address.ip().is_loopback() =>
            {
                None
            }
            Verdict::FirstSight => Some(Notice::ServerKeyPinned { server, fingerprint }),
            Verdict::KnownAs(known_as) => Some(Notice::ServerKnown { server, known_as }),
            Verdict::Known | Verdict::AsGiven => None,
        };
        if let Some(notice) = notice {
            self.tell(Event::notice(notice));
        }
        let Exported { binding, keys } = keys;
        self.secured = Some((address, keys));
        Input::ServerSecured { server: reached, fingerprint, binding, address }
    }

    fn note_arrival(&mut self, arrival: Arrival) -> Input {
        let Arrival { stream, key, from, met } = arrival;
        self.arrived += 1;
        let link = LinkId::arrived(self.arrived);
        let running = PeerLink::arrived(self.executor, link, stream, self.peer_queue.clone());
        self.peers.insert(link, running);
        if let Some(path) = met {
            self.handle(Input::Met { link, path });
        }
        Input::PeerArrived { link, key, from }
    }

    fn is_current(&self, generation: u64) -> bool {
        self.server.is_some() && generation == self.server_generation
    }

    fn next_request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }
}
