//! The links over which own files are sent.
//!
//! Each file is sent to those accounts alone to which it was offered, and to the other devices of the own account.

use letschat_protocol::identity::PublicKey;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::peer::Refusal;
use letschat_protocol::username::Username;

use super::MAX_TRANSFERS;
use crate::event::Event;
use crate::failure::Failure;
use crate::files::{FileState, ServeNews};
use crate::session::links::LinkUse;
use crate::session::{Effect, LinkId, Session};

/// The most files that are sent to one person at a time.
const MAX_TO_ONE: usize = 4;

/// A link over which a file is sent.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) id: MessageId,
    pub(super) to: Username,
}

impl Session {
    /// Handles a request for an own file over a link that has arrived.
    pub(in crate::session) fn file_asked_for(
        &mut self,
        link: LinkId,
        key: PublicKey,
        id: MessageId,
    ) {
        match self.try_to_serve(link, &key, id) {
            Ok(()) => {}
            Err(why) => self.cx.refuse(link, why),
        }
    }

    fn try_to_serve(
        &mut self,
        link: LinkId,
        key: &PublicKey,
        id: MessageId,
    ) -> Result<(), Refusal> {
        let who = self.person_with(key)?;
        let file = self.files.get(&id).filter(|file| self.offers_to(file, &who));
        let file = file.ok_or(Refusal::Unknown)?;
        let path = file.path.clone().filter(|_| file.state == FileState::Offered);
        let (path, info) = (path.ok_or(Refusal::Over)?, file.info);
        let serving = &self.files.serving;
        let to_them = serving.values().filter(|serving| serving.to == who).count();
        if serving.len() >= MAX_TRANSFERS || to_them >= MAX_TO_ONE {
            return Err(Refusal::Busy);
        }
        self.cx.links.serve(link, LinkUse::Serve);
        self.files.serving.insert(link, Serving { id, to: who });
        self.cx.push(Effect::ServeFile { link, path, info });
        Ok(())
    }

    /// Returns the person with this key. That of a known person is held here. Of another one in a common group the server
    /// says whose key it is, and the roster has to vouch for it.
    fn person_with(&mut self, key: &PublicKey) -> Result<Username, Refusal> {
        if self.account.own_list().is_some_and(|list| list.contains(key)) {
            return self.account.name().cloned().ok_or(Refusal::Unknown);
        }
        if let Some(who) = self.account.name_of(key) {
            return Ok(who);
        }
        let introduction = self.requests.introduction(self.cx.now_ms(), key);
        let who = introduction.map(|who| who.username.clone()).ok_or(Refusal::Unknown)?;
        if self.account.is_blocked(&who) {
            return Err(Refusal::Unknown);
        }
        if !self.is_trusted_device(&who, key) {
            // It may be a new device of theirs. They ask again.
            self.look_up(&who);
            return Err(Refusal::Unknown);
        }
        Ok(who)
    }

    /// Handles news of a link over which a file is sent.
    pub(in crate::session) fn serve_news(&mut self, link: LinkId, news: ServeNews) {
        let Some(Serving { id, to }) = self.files.serving.get(&link) else {
            return;
        };
        let (id, to) = (*id, to.clone());
        if let ServeNews::Progress(bytes) = news {
            if let Some(file) = self.files.get(&id) {
                let file = self.shown_file(file, Some(to));
                self.cx.tell(Event::FileProgress { file, bytes });
            }
            return;
        }
        self.files.serving.remove(&link);
        self.cx.close(link);
        match news {
            ServeNews::Done => {
                if let Some(file) = self.files.get(&id) {
                    let file = self.shown_file(file, Some(to));
                    self.cx.tell(Event::FileDone { file, path: None });
                }
            }
            ServeNews::Changed => {
                self.stop_serving(|serving| serving.id == id);
                if let Some(own) = self.account.name().cloned() {
                    self.fail_file(&id, Failure::FileChanged(own));
                }
            }
            ServeNews::Ended | ServeNews::Progress(_) => {}
        }
    }

    /// Cuts the links over which these are sent.
    pub(super) fn stop_serving(&mut self, is_meant: impl Fn(&Serving) -> bool) {
        let meant = self.files.serving.iter().filter(|(_, serving)| is_meant(serving));
        let links: Vec<LinkId> = meant.map(|(link, _)| *link).collect();
        for link in links {
            self.files.serving.remove(&link);
            self.cx.close(link);
        }
    }
}
