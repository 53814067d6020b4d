//! The keys of peers: which are known, which were compared, and what happens when one changes.

use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;

use super::chat::Chat;
use super::{Effect, KnownPeer, Reply, RequestId, Save, Session};
use crate::event::{KeyState, fingerprint};
use crate::failure::Failure;

/// A key that was offered for somebody whose known key is another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offered {
    key: PublicKey,
    /// Whether the user has seen this key, and no other since. Only then can it be trusted.
    is_shown: bool,
}

impl Session {
    /// The safety number with a peer; with `matches` the peer counts as verified from now on.
    pub(super) fn verify(&mut self, id: RequestId, who: &str, matches: bool) {
        let Some((who, key)) = self.known_key(who) else {
            return self.fail(id, Failure::UnknownPeer);
        };
        let Some(account) = &mut self.account else {
            return self.fail_not_logged_in(id);
        };
        let own = account.identity.public_key();
        let number =
            letschat_protocol::identity::safety_number((&account.username, &own), (&who, &key));
        let peer = account.peers.entry(who.clone()).or_insert(KnownPeer { key, verified: false });
        if matches && !peer.verified && peer.key == key {
            peer.verified = true;
            self.effects.push(Effect::Save(Save::Peers));
        }
        let verified = self.key_state(&who, &key) == KeyState::Verified;
        let reply = Reply::Safety {
            with: who.to_string(),
            safety_number: number,
            fingerprint: fingerprint(&key),
            verified,
        };
        self.answer(id, reply);
    }

    /// The key that a peer uses now, or was known by.
    fn known_key(&self, who: &str) -> Option<(Username, PublicKey)> {
        let who: Username = who.parse().ok()?;
        let chat = self.chats.get(&who).map(Chat::key);
        let pinned = || self.account.as_ref()?.peers.get(&who).map(|peer| peer.key);
        let key = chat.or_else(pinned)?;
        Some((who, key))
    }

    /// Notes that a key other than the known one was offered for somebody without the user asking.
    /// The first one is shown as it comes. One that follows another does not count as shown: a user
    /// who is about to trust the first could overlook it.
    pub(super) fn note_offer(&mut self, who: &Username, key: PublicKey) {
        let earlier = self.offered.get(who);
        let is_shown = earlier.is_none_or(|earlier| earlier.key == key && earlier.is_shown);
        self.offered.insert(who.clone(), Offered { key, is_shown });
    }

    /// Notes that the user is shown an offered key by this failure.
    pub(super) fn show_offer(&mut self, who: &Username, key: PublicKey) -> Failure {
        self.offered.insert(who.clone(), Offered { key, is_shown: true });
        self.key_changed(who, key, false)
    }

    /// Whoever offered this key is gone. It is shown again before it can be trusted.
    pub(super) fn withdraw_offer(&mut self, who: &Username, key: PublicKey) {
        if let Some(offered) = self.offered.get_mut(who)
            && offered.key == key
        {
            offered.is_shown = false;
        }
    }

    fn key_changed(&self, who: &Username, new: PublicKey, trusting: bool) -> Failure {
        let known = self.account.as_ref().and_then(|account| account.peers.get(who));
        Failure::KeyChanged { who: who.clone(), known: known.map(|peer| peer.key), new, trusting }
    }

    /// Accepts the changed key that the user was shown last. One that has not been shown is shown
    /// instead.
    pub(super) fn trust(&mut self, id: RequestId, who: &str) {
        let who = who.parse::<Username>().ok();
        let offer = who.and_then(|who| Some((*self.offered.get(&who)?, who)));
        let Some((Offered { key, is_shown }, who)) = offer else {
            return self.fail(id, Failure::NothingToTrust);
        };
        if !is_shown {
            self.offered.insert(who.clone(), Offered { key, is_shown: true });
            let why = self.key_changed(&who, key, true);
            return self.fail(id, why);
        }
        self.offered.remove(&who);
        if let Some(account) = &mut self.account {
            account.peers.insert(who.clone(), KnownPeer { key, verified: false });
            self.effects.push(Effect::Save(Save::Peers));
        }
        let fingerprint = fingerprint(&key);
        let message = format!(
            "{who} is trusted with the new key {fingerprint}; `/verify {who}` compares it."
        );
        self.answer(id, Reply::Trusted { message, with: who.to_string(), fingerprint });
    }

    pub(super) fn key_state(&self, who: &Username, key: &PublicKey) -> KeyState {
        match self.account.as_ref().and_then(|account| account.peers.get(who)) {
            None => KeyState::New,
            Some(known) if known.key != *key => KeyState::Changed,
            Some(known) if known.verified => KeyState::Verified,
            Some(_) => KeyState::Known,
        }
    }

    /// Remembers a peer whose chat opened.
    pub(super) fn pin(&mut self, who: &Username, key: PublicKey) {
        if self.key_state(who, &key) != KeyState::New {
            return;
        }
        if let Some(account) = &mut self.account {
            account.peers.insert(who.clone(), KnownPeer { key, verified: false });
            self.effects.push(Effect::Save(Save::Peers));
        }
    }
}
