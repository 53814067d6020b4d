use super::*;
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

fn first() -> Roster {
    Roster {
        group: None,
        number: 1,
        nonce: 7,
        name: "team".parse().unwrap(),
        founder: name("alice"),
        givings: Vec::new(),
        members: vec![member("alice", false)],
        left: None,
    }
}

fn signed(roster: Roster) -> SignedRoster {
    SignedRoster::sign(roster, &identity(1), &server())
}

/// Returns the second roster of a group.
fn second() -> Roster {
    let group = Some(signed(first()).group());
    let members = vec![member("alice", false), member("bob", true)];
    Roster { group, number: 2, members, ..first() }
}

fn survives(roster: Roster) -> bool {
    let signed = signed(roster);
    SignedRoster::verify(&signed.to_bytes(), &server()).as_ref() == Some(&signed)
}

#[test]
fn roster_survives_its_bytes() {
    assert!(survives(first()));
    assert!(survives(second()));
    assert!(survives(Roster { left: Some(name("carol")), ..second() }));
    let group = second().group.unwrap();
    let giving = Giving::sign(&identity(1), &server(), (&group, 3), name("bob"));
    let members = vec![member("alice", false), member("bob", false)];
    let given = Roster { number: 3, givings: vec![giving], members, ..second() };
    assert_eq!(given.owner(), &name("bob"));
    assert!(survives(given));
}

#[test]
fn group_is_named_by_its_first_roster() {
    let (one, other) = (signed(first()), signed(Roster { nonce: 8, ..first() }));
    assert_ne!(one.group(), other.group());
    assert_eq!(signed(second()).group(), one.group());
    assert_eq!(one.group().to_string().parse(), Ok(one.group()));
    assert_eq!("team".parse::<GroupId>(), Err(NotAGroupId));
}

#[test]
fn unsound_rosters_are_refused() {
    let twice = vec![member("alice", false), member("bob", true), member("bob", false)];
    let crowd = (0..=MAX_GROUP_MEMBERS).map(|n| member(&format!("user{n}"), false));
    let crowd = std::iter::once(member("alice", false)).chain(crowd).collect();
    let giving = |number| Giving {
        number,
        ..Giving::sign(&identity(1), &server(), (&second().group.unwrap(), number), name("alice"))
    };
    for roster in [
        Roster { number: 0, ..first() },
        Roster { number: 2, ..first() },
        Roster { number: 1, ..second() },
        Roster { members: vec![member("bob", false)], ..second() },
        Roster { members: vec![member("alice", true)], ..second() },
        Roster { members: twice, ..second() },
        Roster { members: crowd, ..second() },
        Roster { name: GroupName("Team".into()), ..second() },
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
    let giving = Giving::sign(&identity(1), &server(), (&group, 3), name("bob"));
    assert!(giving.is_signed(&server(), &group));
    for (giving, server, group) in [
        (giving.clone(), Fingerprint::of_spki(b"other"), group),
        (giving.clone(), server(), GroupId([1; 32])),
        (Giving { number: 4, ..giving.clone() }, server(), group),
        (Giving { to: name("carol"), ..giving.clone() }, server(), group),
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
    let giving = |number: usize| Giving {
        to: long(0),
        ..Giving::sign(&identity(1), &server(), (&GroupId([1; 32]), number as u64), name("bob"))
    };
    let roster = Roster {
        group: Some(GroupId([1; 32])),
        number: 1_000,
        founder: long(0),
        givings: (2..MAX_GIVINGS + 2).map(giving).collect(),
        members: members.collect(),
        ..first()
    };
    let bytes = signed(roster.clone()).to_bytes().len();
    assert!(survives(roster));
    assert!(bytes < crate::limits::MAX_BODY_BYTES / 2, "{bytes}");
}

proptest! {
    #[test]
    fn hostile_bytes_are_no_roster(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(SignedRoster::verify(&bytes, &server()).is_none());
        prop_assert!(Roster::read(&bytes).is_none_or(|roster| roster.to_bytes() == bytes));
    }
}
