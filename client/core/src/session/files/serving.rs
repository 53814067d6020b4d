//! The links over which own files are sent.
//!
//! Each file is sent to those accounts alone to which it was offered, and to the other devices of the own account.

use letschat_protocol::identity::PublicKey;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::peer::Refusal;
use letschat_protocol::username::Username;

use super::MAX_TRANSFERS;
use crate::conversation::ConversationId;
use crate::event::{Event, KeyState};
use crate::failure::Failure;
use crate::files::{FileState, ServeNews, StoredFile};
use crate::session::links::LinkUse;
use crate::session::{Effect, LinkId, Session};

/// The most files that are sent to one person at a time.
const MAX_TO_ONE: usize = 4;

/// A link over which a file is sent.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) id: MessageId,
    pub(super) to: Username,
    /// The key of the device.
    key: PublicKey,
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
        let who = self.person_with(key).ok_or(Refusal::Unknown)?;
        let file = self.files.get(&id).filter(|file| self.offers_to(file, &who, key));
        let Some(file) = file else {
            // A device that is known need not ask again, but a new one may be known soon.
            let is_known = !self.account.is_blocked(&who) && self.is_trusted_device(&who, key);
            if !is_known {
                self.look_up(&who);
            }
            return Err(if is_known { Refusal::Over } else { Refusal::Unknown });
        };
        let path = file.path.clone().filter(|_| file.state == FileState::Offered);
        let (path, info) = (path.ok_or(Refusal::Over)?, file.info);
        let serving = &self.files.serving;
        let to_them = serving.values().filter(|serving| serving.to == who).count();
        if serving.len() >= MAX_TRANSFERS || to_them >= MAX_TO_ONE {
            return Err(Refusal::Busy);
        }
        self.cx.links.serve(link, LinkUse::Serve);
        self.files.serving.insert(link, Serving { id, to: who, key: *key });
        self.cx.push(Effect::ServeFile { link, path, info });
        Ok(())
    }

    /// Returns the person with this key, as it is stored here or as the server claims. The claim proves nothing.
    fn person_with(&self, key: &PublicKey) -> Option<Username> {
        if self.account.own_list().is_some_and(|list| list.contains(key)) {
            return self.account.name().cloned();
        }
        let introduced = || {
            let introduction = self.requests.introduction(self.cx.now_ms(), key);
            introduction.map(|who| who.username.clone())
        };
        self.account.name_of(key).or_else(introduced)
    }

    /// Returns true if this device offers a file to a device of a person: it was offered to them, they are still in its
    /// group, and the device is known as theirs, by the user's decision or by the roster of that group.
    fn offers_to(&self, file: &StoredFile, who: &Username, key: &PublicKey) -> bool {
        if !file.is_offered_here() || self.account.is_blocked(who) {
            return false;
        }
        if self.account.name() == Some(who) {
            return self.account.own_list().is_some_and(|list| list.contains(key));
        }
        let is_known = || self.account.key_state(who, key).is_known();
        let is_theirs = match &file.conversation {
            ConversationId::Group(label) => {
                self.groups.has_joined(label, who)
                    && match self.account.key_state(who, key) {
                        KeyState::New => {
                            let list = self.account.list(who).filter(|list| list.contains(key));
                            list.is_some_and(|list| self.groups.vouches_in(label, who, list))
                        }
                        state => state.is_known(),
                    }
            }
            ConversationId::Person(_) => is_known(),
            ConversationId::Everyone => false,
        };
        file.audience.contains(who) && is_theirs
    }

    /// Cuts the links of those who may not have the file any more, such as a member who was removed.
    pub(super) fn stop_serving_others(&mut self) {
        let may_have = |serving: &Serving| {
            let file = self.files.get(&serving.id);
            file.is_some_and(|file| self.offers_to(file, &serving.to, &serving.key))
        };
        let others = self.files.serving.iter().filter(|(_, serving)| !may_have(serving));
        let links = others.map(|(link, _)| *link).collect();
        self.cut_links(links);
    }

    /// Handles news of a link over which a file is sent.
    pub(in crate::session) fn serve_news(&mut self, link: LinkId, news: ServeNews) {
        let Some(Serving { id, to, .. }) = self.files.serving.get(&link) else {
            return;
        };
        let (id, to) = (*id, to.clone());
        if !matches!(news, ServeNews::Progress(_)) {
            self.files.serving.remove(&link);
            self.cx.close(link);
        }
        let file = self.files.get(&id).map(|file| self.shown_file(file, Some(to)));
        match (news, file) {
            (ServeNews::Progress(bytes), Some(file)) => {
                let link = self.cx.links.path(link);
                self.cx.tell(Event::FileProgress { file, bytes, link });
            }
            (ServeNews::Done, Some(file)) => self.cx.tell(Event::FileDone { file, path: None }),
            (ServeNews::Changed, Some(_)) => {
                self.stop_serving(|serving| serving.id == id);
                self.fail_file(&id, Failure::SourceChanged);
            }
            (_, None) | (ServeNews::Ended, _) => {}
        }
    }

    /// Cuts the links over which these are sent.
    pub(super) fn stop_serving(&mut self, is_meant: impl Fn(&Serving) -> bool) {
        let meant = self.files.serving.iter().filter(|(_, serving)| is_meant(serving));
        let links = meant.map(|(link, _)| *link).collect();
        self.cut_links(links);
    }

    fn cut_links(&mut self, links: Vec<LinkId>) {
        for link in links {
            self.files.serving.remove(&link);
            self.cx.close(link);
        }
    }
}
