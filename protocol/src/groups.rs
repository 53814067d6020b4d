//! Groups: rosters, which a device of their owner signs.
//!
//! A roster is a complete list of a group's members. Each has a number, and a higher one replaces a lower one, so that a
//! member who missed some needs only the newest. Two devices of the owner may sign the same number: then the roster
//! with the lower hash holds on all sides. Each roster says which changes it builds on (a version vector), so that a
//! device knows whether its own were lost. A group is named by the hash of what its founder decided once and for all.
//!
//! Each member is listed with a reference to their device list. Members therefore know each other's devices by the
//! owner's word, and a server can't show two of them different lists.

mod names;
mod signing;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

pub use names::{GroupId, GroupName, NotAGroupId, NotAGroupName};
pub use signing::SignedRoster;

use crate::body::DeviceListRef;
use crate::fields::{self, Reader};
use crate::identity::{PublicKey, Signature};
use crate::limits::{MAX_GIVINGS, MAX_GROUP_MEMBERS, MAX_ROSTER_VERSIONS};
use crate::username::Username;

/// A reference to a roster: its number and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RosterRef {
    /// The roster's number, from 1.
    pub number: u64,
    /// The SHA-256 of the roster.
    pub hash: [u8; 32],
}

impl RosterRef {
    /// Compares two rosters of one group: the greater one replaces the other.
    pub fn supersedes(&self, other: &RosterRef) -> bool {
        match self.number.cmp(&other.number) {
            Ordering::Equal => self.hash < other.hash,
            order => order == Ordering::Greater,
        }
    }
}

/// The wish of a person who is in a group's roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To join, after an invitation. For the owner, and for the person's other devices.
    Join,
    /// To leave, or not to join. For the owner, and for the person's other devices.
    Leave,
    /// To have the newest roster, of any member.
    Roster,
}

impl Wish {
    /// All wishes.
    pub const ALL: [Wish; 3] = [Wish::Join, Wish::Leave, Wish::Roster];

    /// Returns the number on the wire.
    pub fn number(self) -> u8 {
        match self {
            Wish::Join => 1,
            Wish::Leave => 2,
            Wish::Roster => 3,
        }
    }

    /// Returns the wish with this number.
    pub fn from_number(number: u8) -> Option<Wish> {
        Wish::ALL.into_iter().find(|wish| wish.number() == number)
    }
}

/// A person in a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The account.
    pub name: Username,
    /// The account's device list, as the owner knows it.
    pub list: DeviceListRef,
    /// The number of the roster that invited the person. An earlier wish of theirs is out of date.
    pub since: u64,
    /// True if the person has been invited and has not joined yet.
    pub is_invited: bool,
}

/// The giving of a group to another owner, signed by a device of the earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Giving {
    /// The number of the roster that gives the group away, the last one that the earlier owner signs.
    pub number: u64,
    /// The new owner.
    pub to: Username,
    /// The new owner's device list, as the earlier owner knows it.
    pub list: DeviceListRef,
    /// The device of the earlier owner.
    pub device: PublicKey,
    /// Its signature.
    pub signature: Signature,
}

/// What the founder of a group decided once and for all. Its hash is the group's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founding {
    /// A random number, so that two groups of one name differ.
    pub nonce: u128,
    /// The name that the founder gave the group.
    pub name: GroupName,
    /// The first owner.
    pub founder: Username,
    /// The device that signed the first roster.
    pub device: PublicKey,
}

impl Founding {
    /// Returns the id of the group.
    pub fn group(&self) -> GroupId {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        GroupId(signing::hash("letschat group v1", &bytes))
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        fields::write(bytes, &self.nonce.to_be_bytes());
        fields::write(bytes, self.name.0.as_bytes());
        fields::write(bytes, self.founder.as_str().as_bytes());
        fields::write(bytes, self.device.as_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Option<Founding> {
        Some(Founding {
            nonce: u128::from_be_bytes(reader.fixed()?),
            name: GroupName(reader.text()?.to_owned()),
            founder: reader.text()?.parse().ok()?,
            device: PublicKey::from_bytes(reader.fixed()?),
        })
    }
}

/// The fields of a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// The group's beginning, the same in all its rosters.
    pub founding: Founding,
    /// The number, from 1.
    pub number: u64,
    /// The later owners, in their order.
    pub givings: Vec<Giving>,
    /// The members and the invited people, the owner among them.
    pub members: Vec<Member>,
    /// The people who have left. Others who are missing were removed.
    pub left: Vec<Username>,
    /// For each device, the number of the last roster by it that this one builds on.
    pub versions: BTreeMap<PublicKey, u64>,
}

impl Roster {
    /// Returns the founder and all later owners.
    pub fn owners(&self) -> impl Iterator<Item = &Username> {
        let later = self.givings.iter().map(|giving| &giving.to);
        std::iter::once(&self.founding.founder).chain(later)
    }

    /// Returns the owner, whose devices sign the next roster.
    pub fn owner(&self) -> &Username {
        self.givings.last().map_or(&self.founding.founder, |giving| &giving.to)
    }

    /// Returns the owner whose device signs this roster.
    pub fn signer(&self) -> &Username {
        let is_earlier = |giving: &&Giving| giving.number < self.number;
        let last = self.givings.iter().rev().find(is_earlier);
        last.map_or(&self.founding.founder, |giving| &giving.to)
    }

    /// Returns the number of the last roster by this device that this one builds on, or 0.
    pub fn version_of(&self, device: &PublicKey) -> u64 {
        self.versions.get(device).copied().unwrap_or(0)
    }

    /// Returns the entry of a person.
    pub fn member(&self, who: &Username) -> Option<&Member> {
        self.members.iter().find(|member| member.name == *who)
    }

    /// Returns true if a person has joined.
    pub fn has_joined(&self, who: &Username) -> bool {
        self.member(who).is_some_and(|member| !member.is_invited)
    }

    /// Returns the people who have joined.
    pub fn joined(&self) -> impl Iterator<Item = &Username> {
        self.members.iter().filter(|member| !member.is_invited).map(|member| &member.name)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let Roster { founding, number, givings, members, left, versions } = self;
        let mut bytes = Vec::new();
        founding.write(&mut bytes);
        fields::write(&mut bytes, &number.to_be_bytes());
        let mut inner = Vec::new();
        for Giving { number, to, list, device, signature } in givings {
            inner.extend_from_slice(&number.to_be_bytes());
            fields::write(&mut inner, to.as_str().as_bytes());
            inner.extend_from_slice(&list.number.to_be_bytes());
            inner.extend_from_slice(&list.hash);
            inner.extend_from_slice(device.as_bytes());
            inner.extend_from_slice(signature.as_bytes());
        }
        fields::write(&mut bytes, &inner);
        inner.clear();
        for Member { name, list, since, is_invited } in members {
            fields::write(&mut inner, name.as_str().as_bytes());
            inner.extend_from_slice(&list.number.to_be_bytes());
            inner.extend_from_slice(&list.hash);
            inner.extend_from_slice(&since.to_be_bytes());
            inner.push(u8::from(*is_invited));
        }
        fields::write(&mut bytes, &inner);
        inner.clear();
        for name in left {
            fields::write(&mut inner, name.as_str().as_bytes());
        }
        fields::write(&mut bytes, &inner);
        inner.clear();
        for (device, number) in versions {
            inner.extend_from_slice(device.as_bytes());
            inner.extend_from_slice(&number.to_be_bytes());
        }
        fields::write(&mut bytes, &inner);
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Roster> {
        let mut reader = Reader(bytes);
        let founding = Founding::read(&mut reader)?;
        let number = reader.number()?;
        let givings = read_all(reader.field()?, MAX_GIVINGS, |inner| {
            Some(Giving {
                number: u64::from_be_bytes(inner.array()?),
                to: inner.text()?.parse().ok()?,
                list: list_ref(inner)?,
                device: PublicKey::from_bytes(inner.array()?),
                signature: Signature::from_bytes(inner.array()?),
            })
        })?;
        let members = read_all(reader.field()?, MAX_GROUP_MEMBERS, |inner| {
            let name = inner.text()?.parse().ok()?;
            let list = list_ref(inner)?;
            let since = u64::from_be_bytes(inner.array()?);
            let is_invited = match inner.array()? {
                [0] => false,
                [1] => true,
                [_] => return None,
            };
            Some(Member { name, list, since, is_invited })
        })?;
        let left =
            read_all(reader.field()?, MAX_GROUP_MEMBERS, |inner| inner.text()?.parse().ok())?;
        let versions = read_all(reader.field()?, MAX_ROSTER_VERSIONS, |inner| {
            Some((PublicKey::from_bytes(inner.array()?), u64::from_be_bytes(inner.array()?)))
        })?;
        let versions = versions.into_iter().collect();
        let roster = Roster { founding, number, givings, members, left, versions };
        // The encoding is canonical: a hash identifies one roster.
        (reader.0.is_empty() && roster.is_sound() && roster.to_bytes() == bytes).then_some(roster)
    }

    /// Returns true if the roster holds together, whoever signed it.
    fn is_sound(&self) -> bool {
        let name = &self.founding.name;
        let is_new = |(place, member): (usize, &Member)| {
            self.members[..place].iter().all(|other| other.name != member.name)
        };
        let numbers = self.givings.iter().map(|giving| giving.number);
        name.0.parse::<GroupName>().is_ok_and(|parsed| parsed == *name)
            && self.number > 0
            && self.has_joined(self.owner())
            && self.members.iter().enumerate().all(is_new)
            && numbers.clone().is_sorted_by(|one, other| one < other)
            && numbers.clone().all(|number| (2..=self.number).contains(&number))
            && self.left.iter().all(|who| self.member(who).is_none())
            && self.left.iter().collect::<BTreeSet<_>>().len() == self.left.len()
            && self.versions.values().all(|number| (1..=self.number).contains(number))
    }
}

fn list_ref(reader: &mut Reader<'_>) -> Option<DeviceListRef> {
    Some(DeviceListRef { number: u64::from_be_bytes(reader.array()?), hash: reader.array()? })
}

fn read_all<T>(
    bytes: &[u8],
    limit: usize,
    read: impl Fn(&mut Reader<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let (mut reader, mut all) = (Reader(bytes), Vec::new());
    while !reader.0.is_empty() {
        if all.len() == limit {
            return None;
        }
        all.push(read(&mut reader)?);
    }
    Some(all)
}

#[cfg(test)]
mod tests;
