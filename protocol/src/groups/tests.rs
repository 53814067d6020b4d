use super::*;
use crate::identity::{Fingerprint, Identity};
use proptest::prelude::*;

fn server() -> Fingerprint {
    Fingerprint::of_spki(b"server")
}

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

fn name(text: &str) -> Username {
    text.parse().unwrap()
}

fn member(who: &str, is_invited: bool) -> Member {
    Member {
        name: name(who),
        list: DeviceListRef { number: 1, hash: [3; 32] },
        since: 1,
        is_invited,
    }
}

fn founding() -> Founding {
    Founding {
        nonce: 7,
        name: "team".parse().unwrap(),
        founder: name("alice"),
        device: identity(1).public_key(),
    }
}

fn first() -> Roster {
    Roster {
        founding: founding(),
        number: 1,
        givings: Vec::new(),
        members: vec![member("alice", false)],
        left: Vec::new(),
        versions: BTreeMap::new(),
    }
}

fn signed(roster: Roster) -> SignedRoster {
    SignedRoster::sign(roster, &identity(1), &server())
}

/// Returns the second roster of a group.
fn second() -> Roster {
    let members = vec![member("alice", false), member("bob", true)];
    Roster { number: 2, members, ..first() }
}

fn giving(number: u64, to: &str) -> Giving {
    let list = DeviceListRef { number: 2, hash: [4; 32] };
    let place = (&founding().group(), number);
    Giving::sign(&identity(1), &server(), place, (name(to), list))
}

fn survives(roster: Roster) -> bool {
    let signed = signed(roster);
    SignedRoster::verify(&signed.to_bytes(), &server()).as_ref() == Some(&signed)
}

#[test]
fn roster_survives_its_bytes() {
    assert!(survives(first()));
    assert!(survives(second()));
    assert!(survives(Roster { left: vec![name("carol"), name("dave")], ..second() }));
    let giving = giving(3, "bob");
    let members = vec![member("alice", false), member("bob", false)];
    let given = Roster { number: 3, givings: vec![giving], members, ..second() };
    assert_eq!(given.owner(), &name("bob"));
    assert!(survives(given));
}

#[test]
fn group_is_named_by_its_founding() {
    let group = signed(first()).group();
    assert_eq!(signed(second()).group(), group);
    for other in [
        Founding { nonce: 8, ..founding() },
        Founding { name: "gang".parse().unwrap(), ..founding() },
        Founding { founder: name("bob"), ..founding() },
        Founding { device: identity(2).public_key(), ..founding() },
    ] {
        assert_ne!(other.group(), group, "{other:?}");
    }
    assert_eq!(group.to_string().parse(), Ok(group));
    assert_eq!("team".parse::<GroupId>(), Err(NotAGroupId));
}

#[test]
fn unsound_rosters_are_refused() {
    let twice = vec![member("alice", false), member("bob", true), member("bob", false)];
    let crowd = (0..=MAX_GROUP_MEMBERS).map(|n| member(&format!("user{n}"), false));
    let crowd = std::iter::once(member("alice", false)).chain(crowd).collect();
    let giving = |number| giving(number, "alice");
    let versions = |number| BTreeMap::from([(identity(2).public_key(), number)]);
    let capitals = Founding { name: GroupName("Team".into()), ..founding() };
    let by_another = Founding { device: identity(2).public_key(), ..founding() };
    for roster in [
        Roster { number: 0, ..first() },
        Roster { founding: by_another, ..first() },
        Roster { left: vec![name("bob")], ..second() },
        Roster { left: vec![name("carol"), name("carol")], ..second() },
        Roster { versions: versions(0), ..second() },
        Roster { versions: versions(3), ..second() },
        Roster { members: vec![member("bob", false)], ..second() },
        Roster { members: vec![member("alice", true)], ..second() },
        Roster { members: twice, ..second() },
        Roster { members: crowd, ..second() },
        Roster { founding: capitals, ..second() },
        Roster { givings: vec![giving(3)], ..second() },
        Roster { givings: vec![giving(2), giving(2)], ..second() },
        Roster { givings: vec![giving(1)], ..second() },
    ] {
        assert!(!survives(roster.clone()), "{roster:?}");
    }
}

#[test]
fn no_bit_of_a_roster_can_be_changed() {
    let bytes = signed(second()).to_bytes();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(SignedRoster::verify(&changed, &server()), None, "{bit}");
    }
    assert_eq!(SignedRoster::verify(&bytes, &Fingerprint::of_spki(b"other")), None);
}

#[test]
fn giving_is_for_one_group_number_and_person() {
    let group = signed(first()).group();
    let giving = giving(3, "bob");
    let other_list = DeviceListRef { number: 2, hash: [5; 32] };
    assert!(giving.is_signed(&server(), &group));
    for (giving, server, group) in [
        (giving.clone(), Fingerprint::of_spki(b"other"), group),
        (giving.clone(), server(), GroupId([1; 32])),
        (Giving { number: 4, ..giving.clone() }, server(), group),
        (Giving { to: name("carol"), ..giving.clone() }, server(), group),
        (Giving { list: other_list, ..giving.clone() }, server(), group),
        (Giving { device: identity(2).public_key(), ..giving }, server(), group),
    ] {
        assert!(!giving.is_signed(&server, &group), "{giving:?}");
    }
}

#[test]
fn of_two_rosters_one_supersedes_the_other() {
    let roster = |number, hash| RosterRef { number, hash: [hash; 32] };
    for (newer, older) in [(roster(3, 9), roster(2, 1)), (roster(2, 1), roster(2, 9))] {
        assert!(newer.supersedes(&older) && !older.supersedes(&newer));
    }
    assert!(!roster(2, 1).supersedes(&roster(2, 1)));
}

#[test]
fn names_are_typed_with_or_without_a_hash() {
    for text in ["team", "#team", "#TEAM"] {
        assert_eq!(text.parse::<GroupName>().unwrap().to_string(), "#team");
    }
    for text in ["", "#", "##team", "two words", &"x".repeat(33), "tëam"] {
        assert_eq!(text.parse::<GroupName>(), Err(NotAGroupName), "{text}");
    }
}

#[test]
fn largest_roster_fits_a_body() {
    let long = |n: usize| name(&format!("{n:a>32}"));
    let members = (0..MAX_GROUP_MEMBERS).map(|n| Member { name: long(n), ..member("x", n > 0) });
    let giving = |number: usize| Giving { to: long(0), ..giving(number as u64, "bob") };
    let key = |n: usize| PublicKey::from_bytes([n as u8; 32]);
    let roster = Roster {
        founding: Founding { founder: long(0), ..founding() },
        number: 1_000,
        givings: (2..MAX_GIVINGS + 2).map(giving).collect(),
        members: members.collect(),
        left: (100..100 + MAX_GROUP_MEMBERS).map(long).collect(),
        versions: (0..MAX_ROSTER_VERSIONS).map(|n| (key(n), 7 + n as u64)).collect(),
    };
    let largest = signed(roster.clone());
    // The oldest version has made room for this one.
    assert_eq!(largest.roster().version_of(&key(0)), 0);
    assert_eq!(largest.roster().version_of(&identity(1).public_key()), 1_000);
    let bytes = largest.to_bytes().len();
    assert!(survives(roster));
    assert!(bytes <= crate::limits::MAX_ROSTER_BYTES, "{bytes}");
}

proptest! {
    #[test]
    fn hostile_bytes_are_no_roster(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(SignedRoster::verify(&bytes, &server()).is_none());
        prop_assert!(Roster::read(&bytes).is_none_or(|roster| roster.to_bytes() == bytes));
    }
}
