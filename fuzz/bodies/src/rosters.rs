//! Rosters of groups, which any member may have made up.

use letschat_protocol::body::DeviceListRef;
use letschat_protocol::groups::{Founding, Giving, Member, Roster, SignedRoster};
use letschat_protocol::identity::{Fingerprint, Identity, PublicKey};
use letschat_protocol::username::Username;

use crate::choices::Choices;

/// Checks that bytes are a signed roster or refused, and that what is read is what its device has signed, whatever
/// happens to the bytes.
pub fn roster(bytes: &[u8]) {
    let (server, identity) = (Fingerprint::of_spki(b"server"), Identity::from_seed(&[1; 32]));
    if let Some(roster) = SignedRoster::restore(bytes) {
        assert_eq!(roster.to_bytes(), bytes, "a roster has one form");
    }
    assert!(SignedRoster::verify(bytes, &server).is_none(), "nobody signed it");
    let mut choices = Choices::new(bytes);
    let signed =
        SignedRoster::sign(some_roster(&mut choices, &identity, &server), &identity, &server);
    let real = signed.to_bytes();
    let read = SignedRoster::verify(&real, &server);
    assert!(read.as_ref().is_none_or(|read| *read == signed));
    let mut altered = real.clone();
    for _ in 0..=choices.below(4) {
        let place = choices.below(altered.len());
        altered[place] = choices.below(256) as u8;
    }
    let altered = SignedRoster::verify(&altered, &server);
    assert!(altered.is_none_or(|altered| altered == signed), "another roster is read");
}

/// Returns a roster that may not hold together.
fn some_roster(choices: &mut Choices<'_>, identity: &Identity, server: &Fingerprint) -> Roster {
    let founding = Founding {
        nonce: choices.number().into(),
        name: choices.text(4).parse().unwrap_or_else(|_| "team".parse().expect("a name")),
        founder: person(choices),
        device: if choices.flip() { identity.public_key() } else { some_key(choices) },
    };
    let group = founding.group();
    let members = (0..choices.below(6)).map(|_| Member {
        name: person(choices),
        list: some_list(choices),
        since: choices.number(),
        is_invited: choices.flip(),
    });
    let members: Vec<Member> = members.collect();
    let givings = (0..choices.below(3)).map(|_| {
        let place = (&group, choices.number());
        Giving::sign(identity, server, place, (person(choices), some_list(choices)))
    });
    let givings: Vec<Giving> = givings.collect();
    let number = if choices.flip() { 1 } else { choices.number() };
    Roster {
        founding,
        number,
        givings,
        members,
        left: (0..choices.below(3)).map(|_| person(choices)).collect(),
        versions: (0..choices.below(3)).map(|_| (some_key(choices), choices.number())).collect(),
    }
}

fn some_list(choices: &mut Choices<'_>) -> DeviceListRef {
    DeviceListRef { number: choices.number(), hash: [choices.below(256) as u8; 32] }
}

fn some_key(choices: &mut Choices<'_>) -> PublicKey {
    PublicKey::from_bytes([choices.below(3) as u8; 32])
}

fn person(choices: &mut Choices<'_>) -> Username {
    let name = ["alice", "bob", "carol"][choices.below(3)];
    name.parse().expect("a username")
}
