//! Envelopes in the session's world: the account's file, and bodies of any sender.

use std::collections::BTreeMap;

use letschat_core::mail::{Arrived, StoredMail, StoredPrekey};
use letschat_core::session::{Effect, GroupAction, Input, Request};
use letschat_protocol::body::{Body, Content, DeviceListRef, Place};
use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{AccountKeys, DeviceKeys, Outcome, Posted, Reply};
use letschat_protocol::envelope::OpenError;
use letschat_protocol::groups::{
    Founding, Giving, GroupId, Member, Roster, RosterRef, SignedRoster, Wish,
};
use letschat_protocol::identity::{Fingerprint, Identity};
use letschat_protocol::message_id::MessageId;
use letschat_protocol::peer::ChatId;
use letschat_protocol::prekey::{PrekeyPublic, SignedPrekey, Suite};
use letschat_protocol::username::Username;

use super::files::file_info;
use super::{World, key};

/// The account's file, and the effects that it has not answered.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) mail: StoredMail,
    waiting: Vec<Effect>,
}

impl Disk {
    pub(super) fn stored(&self) -> StoredMail {
        self.mail.clone()
    }

    /// Forgets the effects for an account that closes.
    pub(super) fn close(&mut self) {
        self.waiting.clear();
    }

    pub(super) fn ask(&mut self, effect: Effect) {
        self.waiting.push(effect);
    }
}

impl World<'_> {
    /// Answers the effects for the disk, as the engine does before any other input.
    pub(super) fn answer_disk(&mut self) {
        while !self.disk.waiting.is_empty() {
            let fails = self.choices.below(8) == 0;
            let input = match self.disk.waiting.remove(0) {
                Effect::Commit { commit, .. } if fails => {
                    Input::Committed { commit, result: Err("the disk is full".into()) }
                }
                Effect::Commit { commit, changes } => {
                    changes.iter().for_each(|change| self.disk.mail.apply(change));
                    Input::Committed { commit, result: Ok(()) }
                }
                Effect::MakePrekey { created_ms, until_ms } => {
                    let key = PrekeyPublic([self.disk.mail.prekeys.len() as u8; 32]);
                    let prekey = StoredPrekey { key, created_ms, until_ms, published: None };
                    self.disk.mail.prekeys.push(prekey);
                    Input::PrekeyMade((!fails).then_some(prekey))
                }
                Effect::Seal { .. } => Input::Sealed((!fails).then(|| vec![1; 300])),
                effect => unreachable!("{effect:?} is for the disk"),
            };
            self.handle(input);
        }
    }

    /// Delivers an envelope.
    pub(super) fn mail(&mut self) {
        let (sender, number) = (self.name(), self.choices.number());
        let opened = match self.choices.below(8) {
            0 => Err(OpenError::Altered),
            1 => Err(OpenError::NoKey),
            _ => Ok(self.body()),
        };
        let sender = opened.as_ref().map_or(sender, |body| body.sender.clone());
        self.handle(Input::Mail(Box::new(Arrived { number, sender, bytes: 700, opened })));
    }

    /// Returns a body as its author delivers it, or bytes that are none.
    pub(super) fn signed_body(&mut self) -> Vec<u8> {
        let n = self.choices.below(4);
        let identity = Identity::from_seed(&[n as u8 + 1; 32]);
        let own = self.account.clone();
        let body = Body { device: key(n), recipients: own.into_iter().collect(), ..self.body() };
        match self.choices.below(6) {
            0 => self.choices.bytes(300).to_vec(),
            _ => body.sign(&identity, &Fingerprint::of_spki(b"fuzz")),
        }
    }

    fn body(&mut self) -> Body {
        let place = match self.choices.below(4) {
            2 => Place::Group {
                sequence: self.choices.below(5) as u64,
                roster: RosterRef { number: self.choices.below(6) as u64, hash: [1; 32] },
            },
            0 => Place::Sequence(self.choices.number()),
            1 => Place::Sequence(self.choices.below(5) as u64),
            _ => {
                let chat = self.choices.one(&self.chats).unwrap_or(ChatId(1));
                Place::Chat { chat, number: self.choices.below(4) as u64 }
            }
        };
        let content = match self.choices.below(10) {
            0 => Content::Unknown(9),
            2 => Content::Roster(self.some_roster()),
            3 => {
                let wish = Wish::ALL[self.choices.below(3)];
                let group = self.group.unwrap_or(GroupId::from_bytes([7; 32]));
                Content::Wish(group, wish, self.choices.number())
            }
            1 => Content::Receipt(vec![self.some_message()]),
            4 => Content::File(self.choices.text(20), file_info()),
            _ => Content::Text(self.choices.text(30)),
        };
        let own = self.account.as_ref().map(ToString::to_string);
        let conversation = match self.choices.below(8) {
            0 => self.choices.text(10),
            1 => "everyone".into(),
            2 | 3 => self.group.map(|group| group.to_string()).unwrap_or_default(),
            _ => own.unwrap_or_default(),
        };
        Body {
            suite: Suite::X25519,
            sender: self.name(),
            device: key(self.choices.below(4)),
            list: DeviceListRef::default(),
            recipients: Vec::new(),
            conversation,
            place,
            time_ms: self.choices.number(),
            content,
        }
    }

    /// Returns a command about a group.
    pub(super) fn group_request(&mut self) -> Request {
        let who = self.name();
        let (name, text) = ("#team".to_owned(), self.choices.text(20));
        let action = match self.choices.below(10) {
            0 => return Request::Approve(Some(name)),
            1 => return Request::Deny(Some(name)),
            2 => return Request::Send { to: name, text },
            3 => return Request::Groups,
            4 => GroupAction::Create,
            5 => GroupAction::Invite(who),
            6 => GroupAction::Remove(who),
            7 => GroupAction::Give(who),
            8 => GroupAction::Members,
            _ => GroupAction::Leave,
        };
        Request::Group { action, name }
    }

    /// Returns a roster of one of a few groups, signed by some device.
    fn some_roster(&mut self) -> Vec<u8> {
        let server = Fingerprint::of_spki(b"fuzz");
        let identity = Identity::from_seed(&[self.choices.below(4) as u8 + 1; 32]);
        let founder = self.name();
        let member = |name: Username, is_invited| Member {
            name,
            list: DeviceListRef::default(),
            since: 1,
            is_invited,
        };
        let founding = Founding {
            nonce: 1,
            name: "team".parse().expect("a name"),
            founder: founder.clone(),
            device: key(self.choices.below(2) + 1),
        };
        let first = Roster {
            founding,
            number: 1,
            givings: Vec::new(),
            members: vec![member(founder, false)],
            left: Vec::new(),
            versions: BTreeMap::new(),
        };
        let begun = SignedRoster::sign(first.clone(), &identity, &server);
        self.group = Some(begun.group());
        if self.choices.below(4) == 0 {
            return begun.to_bytes();
        }
        let mut roster = Roster { number: self.choices.below(4) as u64 + 2, ..first };
        if self.choices.flip() {
            roster.left.push(self.name());
            roster.versions.insert(key(self.choices.below(4) + 1), 1);
        }
        if let Some(own) = self.account.clone() {
            roster.members.push(member(own, self.choices.flip()));
        }
        let other = self.name();
        roster.members.push(member(other, self.choices.flip()));
        if self.choices.below(4) == 0 {
            let place = (&begun.group(), roster.number);
            let to = (self.name(), DeviceListRef::default());
            let giving = Giving::sign(&identity, &server, place, to);
            roster.givings.push(giving);
        }
        SignedRoster::sign(roster, &identity, &server).to_bytes()
    }

    /// Returns an own message that may be confirmed.
    pub(super) fn some_message(&mut self) -> MessageId {
        let ids: Vec<MessageId> = self.disk.mail.outbox.iter().map(|message| message.id).collect();
        self.choices.one(&ids).unwrap_or(MessageId::of_broadcast(1, 1))
    }

    /// Returns a reply to KEYS, POST or ACK.
    pub(super) fn mail_reply(&mut self) -> Reply {
        match self.choices.below(6) {
            0 => Reply::new(Code::UnknownUser, "no account has that name"),
            1 => Reply::new(Code::NoDevice, "no device"),
            2 => Reply::new(Code::EnvelopeInvalid, "no envelope"),
            3 => {
                let n = self.choices.below(4);
                let (identity, account) = (Identity::from_seed(&[n as u8 + 1; 32]), self.name());
                let (server, until_ms) = (Fingerprint::of_spki(b"fuzz"), u64::MAX);
                let prekey = PrekeyPublic([n as u8; 32]);
                let prekey = SignedPrekey::sign(&identity, &server, &account, prekey, until_ms);
                let device = identity.public_key();
                let devices = vec![DeviceKeys { device, prekey, used_ms: None }];
                let hash = [self.choices.below(2) as u8; 32];
                let list = DeviceListRef { number: self.choices.below(3) as u64, hash };
                AccountKeys { devices, list }.to_reply()
            }
            _ => {
                let outcome = self.choices.one(Outcome::ALL).unwrap_or(Outcome::Kept);
                let item = Posted { recipient: self.name(), device: key(1), outcome }.to_string();
                Reply::long(Code::Ok, [item], format!("{} 1", self.choices.number()))
            }
        }
    }
}
