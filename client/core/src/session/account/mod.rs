//! The open account: the user's own name and key, the known keys of peers, and the blocked people.
//! `lists` has the device lists.
//!
//! A blocked user's requests do not ring, and their broadcasts are not shown. They are not
//! notified: to them the request seems to go unanswered.

mod lists;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use letschat_protocol::devices::DeviceList;
use letschat_protocol::identity::{PublicKey, safety_number};
use letschat_protocol::username::Username;

use super::context::Context;
use super::{Account, KnownPeer, LogPosition, Reply, Save};
use crate::event::{KeyState, fingerprint};
use crate::failure::Failure;
pub(super) use lists::{Comparison, Found};

/// The most people that can be blocked, more than any user needs.
const MAX_BLOCKED: usize = 10_000;

/// The most people whom a classroom adds to the known ones.
const MAX_INTRODUCED: usize = 10_000;

/// The longest delay until introduced people are on disk. A class introduces many at once.
const PEERS_DELAY_MS: u64 = 50;

/// The account, while it is open.
#[derive(Debug, Default)]
pub(super) struct AccountState {
    open: Option<Account>,
    /// True from the first login with the key until the server has been asked for the account's list.
    key_is_new: bool,
    /// The time at which introduced people are saved.
    save_peers_ms: Option<u64>,
    /// Keys that the server vouches for and that differ from the known ones, until the user trusts
    /// them.
    offered: BTreeMap<Username, Offered>,
    /// The held device lists, that of the account itself included.
    lists: BTreeMap<Username, DeviceList>,
    /// The lists that the server showed and that are not held.
    offered_lists: BTreeMap<Username, DeviceList>,
    /// The people who have begun a new chain of device lists.
    begun_anew: BTreeSet<Username>,
    /// True if the keys or the groups have changed since front ends were told.
    has_news: bool,
}

/// A key that was offered for a peer whose known key is another.
#[derive(Debug, Clone, Copy)]
struct Offered {
    key: PublicKey,
    /// True if the user has seen this key, and no other since. Only then can it be trusted.
    is_shown: bool,
}

impl AccountState {
    pub(super) fn open(&mut self, account: Account, lists: BTreeMap<Username, DeviceList>) {
        self.open = Some(account);
        self.has_news = true;
        self.key_is_new = false;
        self.lists = lists;
        self.offered_lists.clear();
        self.begun_anew.clear();
    }

    /// Closes the account. Returns false if none was open.
    pub(super) fn close(&mut self, cx: &mut Context) -> bool {
        self.save_peers(cx);
        self.offered.clear();
        self.lists.clear();
        self.offered_lists.clear();
        self.begun_anew.clear();
        self.open.take().is_some()
    }

    /// Returns the account if it is open.
    pub(super) fn opened(&self) -> Option<&Account> {
        self.open.as_ref()
    }

    pub(super) fn name(&self) -> Option<&Username> {
        self.open.as_ref().map(|account| &account.username)
    }

    pub(super) fn key(&self) -> Option<PublicKey> {
        self.open.as_ref().map(|account| account.identity.public_key())
    }

    /// Notes that the server has accepted the account's key.
    pub(super) fn key_taken(&mut self, cx: &mut Context) {
        cx.save(Save::Identity);
        if let Some(account) = &mut self.open {
            self.key_is_new |= !std::mem::replace(&mut account.has_key, true);
        }
    }

    /// Returns true, once, if the key was made for this login: nobody can know it yet.
    pub(super) fn take_key_is_new(&mut self) -> bool {
        std::mem::take(&mut self.key_is_new)
    }

    /// Saves the position up to which the server's broadcasts have been shown.
    pub(super) fn save_position(&mut self, cx: &mut Context, position: LogPosition) {
        if let Some(account) = &mut self.open
            && account.position != position
        {
            account.position = position;
            cx.save(Save::Position(position));
        }
    }
}

/// The keys of peers: known, verified, and changed ones.
impl AccountState {
    pub(super) fn peers(&self) -> BTreeMap<Username, KnownPeer> {
        self.open.as_ref().map(|account| account.peers.clone()).unwrap_or_default()
    }

    /// Returns a known peer.
    pub(super) fn peer(&self, who: &Username) -> Option<KnownPeer> {
        self.open.as_ref()?.peers.get(who).copied()
    }

    /// Returns the known person with this key, unless they are blocked.
    pub(super) fn name_of(&self, key: &PublicKey) -> Option<Username> {
        let mut peers = self.open.iter().flat_map(|account| &account.peers);
        let is_theirs = |(who, peer): &(&Username, &KnownPeer)| self.is_device_of(who, peer, key);
        let found = peers.find(is_theirs).map(|(who, _)| who.clone());
        found.filter(|who| !self.is_blocked(who))
    }

    /// Returns true if this is the key of a known person.
    pub(super) fn knows(&self, key: &PublicKey) -> bool {
        let mut peers = self.open.iter().flat_map(|account| &account.peers);
        peers.any(|(who, peer)| self.is_device_of(who, peer, key))
    }

    /// Returns the people who can be reached without the server, if nobody else answers at their address.
    pub(super) fn reachable_people(&self) -> Vec<Username> {
        let peers = self.open.iter().flat_map(|account| &account.peers);
        let is_reachable = |(who, peer): &(&Username, &KnownPeer)| {
            peer.receiver.is_some() && !self.is_blocked(who)
        };
        peers.filter(is_reachable).map(|(who, _)| who.clone()).collect()
    }

    /// Remembers a client of a classroom and its address. A changed key is not accepted.
    pub(super) fn add_introduced(
        &mut self,
        cx: &mut Context,
        who: &Username,
        key: PublicKey,
        receiver: SocketAddr,
    ) {
        let Some(account) = &self.open else {
            return;
        };
        if !account.peers.contains_key(who) && account.peers.len() < MAX_INTRODUCED {
            let peer = KnownPeer { key, verified: false, receiver: Some(receiver) };
            return self.remember_soon(cx, who, peer);
        }
        self.locate(cx, who, key, receiver);
    }

    /// Notes the address at which a device of a peer receives others. The peer is reached there from now on.
    pub(super) fn locate(
        &mut self,
        cx: &mut Context,
        who: &Username,
        key: PublicKey,
        receiver: SocketAddr,
    ) {
        if let Some(peer) = self.peer(who)
            && self.is_device_of(who, &peer, &key)
            && (peer.key != key || peer.receiver != Some(receiver))
        {
            self.remember_soon(cx, who, KnownPeer { key, receiver: Some(receiver), ..peer });
        }
    }

    /// Returns the known key of a peer.
    pub(super) fn known_key(&self, who: &Username) -> Option<PublicKey> {
        self.open.as_ref()?.peers.get(who).map(|peer| peer.key)
    }

    pub(super) fn key_state(&self, who: &Username, key: &PublicKey) -> KeyState {
        match self.open.as_ref().and_then(|account| account.peers.get(who)) {
            None => KeyState::New,
            Some(known) if !self.is_device_of(who, known, key) => KeyState::Changed,
            Some(known) if known.verified => KeyState::Verified,
            Some(_) => KeyState::Known,
        }
    }

    /// Remembers a peer whose chat opens. Returns the earlier state of the key.
    pub(super) fn pin(&mut self, cx: &mut Context, who: &Username, key: PublicKey) -> KeyState {
        let state = self.key_state(who, &key);
        if state == KeyState::New {
            self.remember(cx, who, KnownPeer { key, verified: false, receiver: None });
        }
        state
    }

    fn remember_soon(&mut self, cx: &Context, who: &Username, peer: KnownPeer) {
        if let Some(account) = &mut self.open {
            account.peers.insert(who.clone(), peer);
            self.save_peers_ms.get_or_insert(cx.now_ms() + PEERS_DELAY_MS);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.save_peers_ms
    }

    /// Saves introduced people if that is due.
    pub(super) fn tick(&mut self, cx: &mut Context) {
        if self.save_peers_ms.is_some_and(|due_ms| due_ms <= cx.now_ms()) {
            self.save_peers(cx);
        }
    }

    /// Returns the states of the known keys, once after each change.
    pub(super) fn take_news(&mut self) -> Option<BTreeMap<Username, KeyState>> {
        let account = self.open.as_ref().filter(|_| self.has_news)?;
        self.has_news = false;
        let state = |(who, peer): (&Username, &KnownPeer)| {
            let is_other = self
                .offered
                .get(who)
                .is_some_and(|offered| !self.is_device_of(who, peer, &offered.key));
            let state = match (is_other, peer.verified) {
                (true, _) => KeyState::Changed,
                (false, true) => KeyState::Verified,
                (false, false) => KeyState::Known,
            };
            (who.clone(), state)
        };
        Some(account.peers.iter().map(state).collect())
    }

    /// Notes that the groups have changed.
    pub(super) fn note_groups(&mut self) {
        self.has_news = true;
    }

    /// Saves the known people if some are not on disk.
    pub(super) fn save_peers(&mut self, cx: &mut Context) {
        if let (Some(_), Some(account)) = (self.save_peers_ms.take(), &self.open) {
            self.has_news = true;
            cx.save(Save::Peers(account.peers.clone()));
        }
    }

    fn remember(&mut self, cx: &mut Context, who: &Username, peer: KnownPeer) {
        if let Some(account) = &mut self.open {
            account.peers.insert(who.clone(), peer);
            self.has_news = true;
            cx.save(Save::Peers(account.peers.clone()));
        }
    }

    /// Computes the safety number with a peer. With `matches`, the peer counts as verified from now
    /// on.
    pub(super) fn verify(
        &mut self,
        cx: &mut Context,
        who: &Username,
        key: PublicKey,
        matches: bool,
    ) -> Result<Reply, Failure> {
        let account = self.open.as_ref().ok_or(Failure::NotLoggedIn)?;
        let own = account.identity.public_key();
        let safety_number = safety_number((&account.username, &own), (who, &key));
        if matches && matches!(self.key_state(who, &key), KeyState::New | KeyState::Known) {
            let receiver = self.peer(who).and_then(|peer| peer.receiver);
            self.remember(cx, who, KnownPeer { key, verified: true, receiver });
        }
        Ok(Reply::Safety {
            with: who.to_string(),
            safety_number,
            fingerprint: fingerprint(&key),
            verified: self.key_state(who, &key) == KeyState::Verified,
        })
    }

    /// Notes that the user has compared the safety number of a known person on another device.
    pub(super) fn note_verified(&mut self, cx: &mut Context, who: &Username) {
        if let Some(peer) = self.peer(who).filter(|peer| !peer.verified) {
            self.remember(cx, who, KnownPeer { verified: true, ..peer });
        }
    }

    /// Notes an unsolicited offer of a key other than the known one of a peer. The first one is
    /// shown as it arrives. A later one does not count as shown: a user who is about to trust the
    /// first could overlook it.
    pub(super) fn note_offer(&mut self, who: &Username, key: PublicKey) {
        let earlier = self.offered.get(who);
        let is_shown = earlier.is_none_or(|earlier| earlier.key == key && earlier.is_shown);
        self.offered.insert(who.clone(), Offered { key, is_shown });
        self.has_news = true;
    }

    /// Notes an offer of a key that the user is not shown yet. It is shown before it can be trusted.
    pub(super) fn note_unshown_offer(&mut self, who: &Username, key: PublicKey) {
        let earlier = self.offered.get(who);
        let is_shown = earlier.is_some_and(|earlier| earlier.key == key && earlier.is_shown);
        self.offered.insert(who.clone(), Offered { key, is_shown });
        self.has_news = true;
    }

    /// Notes that the user is shown an offered key. Returns the failure that shows it.
    pub(super) fn show_offer(&mut self, who: &Username, new: PublicKey, trusting: bool) -> Failure {
        self.offered.insert(who.clone(), Offered { key: new, is_shown: true });
        self.has_news = true;
        Failure::KeyChanged { who: who.clone(), known: self.known_key(who), new, trusting }
    }

    /// Notes that the peer who offered this key is gone. The key is shown again before it can be
    /// trusted.
    pub(super) fn withdraw_offer(&mut self, who: &Username, key: PublicKey) {
        if let Some(offered) = self.offered.get_mut(who)
            && offered.key == key
        {
            offered.is_shown = false;
        }
    }

    pub(super) fn forget_offer(&mut self, who: &Username) {
        self.has_news |= self.offered.remove(who).is_some();
    }

    /// Accepts the changed key that the user was shown last. A key that was not shown yet is shown
    /// instead.
    pub(super) fn trust(&mut self, cx: &mut Context, who: &str) -> Result<Reply, Failure> {
        let nothing = || Failure::NothingToTrust(who.to_owned());
        let who = who.parse::<Username>().map_err(|_| nothing())?;
        let Offered { key, is_shown } = *self.offered.get(&who).ok_or_else(nothing)?;
        if !is_shown {
            return Err(self.show_offer(&who, key, true));
        }
        self.forget_offer(&who);
        // The address is that of the person with the earlier key.
        self.remember(cx, &who, KnownPeer { key, verified: false, receiver: None });
        Ok(Reply::Trusted { with: who.to_string(), fingerprint: fingerprint(&key) })
    }
}

/// The blocked people.
impl AccountState {
    pub(super) fn is_blocked(&self, who: &Username) -> bool {
        self.open.as_ref().is_some_and(|account| account.blocked.contains(who))
    }

    /// Blocks or unblocks a user. Returns true if that changed anything.
    pub(super) fn block(
        &mut self,
        cx: &mut Context,
        who: &Username,
        on: bool,
    ) -> Result<bool, Failure> {
        let account = self.open.as_mut().ok_or(Failure::NotLoggedIn)?;
        if on && *who == account.username {
            return Err(Failure::BlocksOneself);
        }
        if on && account.blocked.len() >= MAX_BLOCKED {
            return Err(Failure::TooManyBlocked { limit: MAX_BLOCKED });
        }
        let changed = match on {
            true => account.blocked.insert(who.clone()),
            false => account.blocked.remove(who),
        };
        if changed {
            cx.save(Save::Blocked(account.blocked.clone()));
        }
        Ok(changed)
    }

    pub(super) fn list_blocked(&self) -> Result<Reply, Failure> {
        let account = self.open.as_ref().ok_or(Failure::NotLoggedIn)?;
        Ok(Reply::Blocked { blocked: account.blocked.iter().map(Username::to_string).collect() })
    }
}
