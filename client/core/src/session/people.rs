//! The user's decisions about people: whom to trust, deny and block. And what front ends know of people and groups.

use std::collections::BTreeSet;

use letschat_protocol::peer::Refusal;
use letschat_protocol::username::Username;

use super::{Reply, Session};
use crate::event::Event;
use crate::failure::{Among, Cancel, Failure};
use crate::mail::Membership;
use crate::view::Contacts;

impl Session {
    /// Tells the known keys and the groups if they have changed.
    pub(super) fn tell_contacts(&mut self) {
        let Some(keys) = self.account.take_news() else { return };
        let mut contacts = Contacts { keys, ..Contacts::default() };
        for (_, group) in self.groups.all() {
            let label = group.label.clone();
            match group.membership {
                Membership::Joined => {
                    let joined = group.roster.roster().joined().cloned().collect();
                    contacts.groups.insert(label, joined);
                }
                Membership::Invited => drop(contacts.invitations.insert(label)),
                Membership::Left => {}
            }
        }
        self.cx.tell(Event::Contacts(Box::new(contacts)));
    }

    /// Computes the safety number with a peer, by the key that they use now or were known by.
    pub(super) fn verify(&mut self, who: &str, matches: bool) -> Result<Reply, Failure> {
        let unknown = || Failure::UnknownPeer(who.to_owned());
        let who: Username = who.parse().map_err(|_| unknown())?;
        let key = self.chats.key(&who).or_else(|| self.account.known_key(&who));
        let reply = self.account.verify(&mut self.cx, &who, key.ok_or_else(unknown)?, matches)?;
        if matches {
            self.share_person(&who);
        }
        Ok(reply)
    }

    /// Accepts a peer's changed key, and shows their held messages.
    pub(super) fn trust(&mut self, who: &str) -> Result<Reply, Failure> {
        if let Ok(own) = who.parse()
            && self.account.name() == Some(&own)
            && self.trust_own_list(&own)?
        {
            return Ok(Reply::Done {});
        }
        let reply = self.account.trust(&mut self.cx, who)?;
        if let Ok(who) = who.parse() {
            if let Some(key) = self.account.known_key(&who) {
                let change = self.account.accept_list(&mut self.cx, &who, &key);
                self.record_list(change);
            }
            self.share_person(&who);
            self.release_held(&who);
            self.forget_peer(&who);
            self.resume_posting(&who);
        }
        Ok(reply)
    }

    /// Denies a request for a chat or for messages.
    pub(super) fn deny(&mut self, who: Option<&str>) -> Result<Reply, Failure> {
        if let Some(label) = self.choose_invitation(who)? {
            return self.deny_group(&label);
        }
        let who = self.choose_asking(who)?;
        self.requests.turn_down(&mut self.cx, &mut self.account, &who, Refusal::Denied);
        self.deny_messages(&who);
        Ok(Reply::Done {})
    }

    /// Returns the group that the user means who names nobody: the only one that they are invited to, if nobody else asks.
    pub(super) fn choose_invitation(&self, who: Option<&str>) -> Result<Option<String>, Failure> {
        let groups = self.groups.all().map(|(_, group)| group).filter(|group| group.is_invited());
        let groups: BTreeSet<String> = groups.map(|group| group.label.to_string()).collect();
        let people = self.asking();
        match who {
            Some(_) => Ok(None),
            None if groups.len() + people.len() > 1 && !groups.is_empty() => {
                let people = people.iter().map(Username::to_string);
                Err(Failure::WhichOne(people.chain(groups).collect()))
            }
            None => Ok(groups.into_iter().next()),
        }
    }

    pub(super) fn choose_asking(&self, who: Option<&str>) -> Result<Username, Failure> {
        choose(Among::Asking, who, self.asking().iter())
    }

    /// Blocks or unblocks a user. A block ends every request and chat with them.
    pub(super) fn block(&mut self, who: &str, on: bool) -> Result<Reply, Failure> {
        let who: Username = who.parse().map_err(|_| Failure::WhomToBlock)?;
        let changed = self.set_blocked(&who, on)?;
        self.share_person(&who);
        Ok(Reply::BlockSet { who: who.to_string(), on, changed })
    }

    /// Blocks or unblocks a user. Returns true if that changed anything.
    pub(super) fn set_blocked(&mut self, who: &Username, on: bool) -> Result<bool, Failure> {
        let changed = self.account.block(&mut self.cx, who, on)?;
        if on {
            self.requests.turn_down(&mut self.cx, &mut self.account, who, Refusal::Denied);
            self.calls.end(&mut self.cx, who, &Failure::Cancelled(Cancel::Blocked));
            self.chats.end(&mut self.cx, who, None);
            self.deny_messages(who);
            self.stop_writing_to(who);
            self.stop_files_with(who);
        }
        Ok(changed)
    }
}

/// Returns the person that the user means: the named one or, without a name, the only one.
pub(super) fn choose<'a>(
    among: Among,
    word: Option<&str>,
    names: impl Iterator<Item = &'a Username>,
) -> Result<Username, Failure> {
    let names: BTreeSet<&Username> = names.collect();
    if let Some(word) = word {
        let found = word.parse::<Username>().ok().filter(|name| names.contains(name));
        return found.ok_or(Failure::Nobody { among, named: true });
    }
    let mut rest = names.iter();
    match (rest.next(), rest.next()) {
        (None, _) => Err(Failure::Nobody { among, named: false }),
        (Some(only), None) => Ok((*only).clone()),
        _ => Err(Failure::WhichOne(names.into_iter().map(Username::to_string).collect())),
    }
}
