//! Attempts to reach peers in the session's world, and meetings with them.

use letschat_core::conversation::LinkPath;
use letschat_core::files::FetchNews;
use letschat_core::session::{Dial, Input};
use letschat_protocol::dialogue::{Invitation, MeetingToken};

use super::{World, key};

impl World<'_> {
    /// Has an attempt want a meeting, or tells that a link was made at a meeting.
    pub(super) fn meet(&mut self) {
        let links = self.dialled.iter().copied().map(Dial::Link);
        let transfers = self.files.fetching().iter().copied().map(Dial::Transfer);
        let dials: Vec<Dial> = links.chain(transfers).collect();
        let Some(dial) = self.choices.one(&dials) else {
            return;
        };
        match dial {
            Dial::Link(link) if self.choices.flip() => {
                let path = if self.choices.flip() { LinkPath::Relay } else { LinkPath::Direct };
                self.handle(Input::Met { link, path });
            }
            Dial::Transfer(transfer) => {
                self.wanted.push(dial);
                self.handle(Input::Fetch { transfer, news: FetchNews::MeetingWanted });
            }
            Dial::Link(_) => {
                self.wanted.push(dial);
                let key = key(self.choices.below(3));
                self.handle(Input::MeetingWanted { dial, key });
            }
        }
    }

    /// Notes that an attempt got a token, or none.
    pub(super) fn met(&mut self, dial: Dial) {
        let place = self.wanted.iter().position(|wanted| *wanted == dial);
        self.wanted.remove(place.expect("only who wants a meeting is answered, once"));
    }

    pub(super) fn invitation(&mut self) -> Invitation {
        let token = MeetingToken(self.choices.number().into());
        Invitation { username: self.name(), key: key(self.choices.below(3)), token, server: None }
    }
}
