//! Rosters that several devices sign at the same moment, and groups that are given away.

use super::*;
use crate::session::tests::devices::own::with_two;

/// A group of alice's, who has another device. Bob and carol are known to both.
pub(super) struct Owned {
    pub(super) client: TestSession,
    own: Chain,
    pub(super) created: SignedRoster,
    mail: u64,
}

impl Owned {
    pub(super) fn new() -> Owned {
        let (mut client, own) = with_two();
        client.ask(Request::Group { action: GroupAction::Create, name: "team".into() });
        client.server(Code::Ok, "active");
        let created = client.disk.stored().groups.into_values().next().unwrap().roster;
        let mut owned = Owned { client, own, created, mail: 0 };
        owned.invite("carol", 3);
        owned
    }

    /// Invites a person, whose list is looked up first.
    fn invite(&mut self, who: &'static str, seed: u8) {
        let action = GroupAction::Invite(name(who));
        let (id, effects) = self.client.ask(Request::Group { action, name: "team".into() });
        assert!(looks_up(&effects), "{effects:?}");
        while answer(&self.client.replied(Chain::begin(who, seed).after(0)), id).is_none() {}
    }

    pub(super) fn held(&self) -> SignedRoster {
        self.client.disk.stored().groups[&self.created.group()].roster.clone()
    }

    pub(super) fn members(&self) -> Vec<String> {
        self.held().roster().members.iter().map(|member| member.name.to_string()).collect()
    }

    /// Delivers a body.
    pub(super) fn gets(&mut self, body: Body) {
        self.mail += 1;
        self.client.mail_from(self.mail, body);
    }

    /// Delivers a roster that the other device has signed.
    pub(super) fn other_signs(&mut self, roster: Roster) -> SignedRoster {
        let signed = signed(roster, 9);
        let mut body = letter(&self.own, 9, Content::Roster(signed.to_bytes()));
        body.list = self.own.list.reference();
        self.gets(body);
        signed
    }

    /// Returns the roster by which the other device invites bob, after that one and with a hash that is lower than the
    /// held one's.
    fn invites_bob(&self, after: &SignedRoster) -> Roster {
        let mut roster = Roster { number: after.reference().number + 1, ..after.roster().clone() };
        roster.members.push(member(&Chain::begin("bob", 2), true));
        let tried = (0..).map(|n| {
            let left = vec![name(&format!("somebody{n}"))];
            Roster { left, ..roster.clone() }
        });
        let held = self.held().reference();
        let holds = |roster: &Roster| signed(roster.clone(), 9).reference().supersedes(&held);
        tried.into_iter().find(holds).unwrap()
    }
}

#[test]
fn change_that_the_owners_other_device_prevents_is_repeated() {
    let mut owned = Owned::new();
    let other = owned.invites_bob(&owned.created.clone());
    owned.other_signs(other);
    assert_eq!(owned.held().reference().number, 3);
    assert_eq!(owned.members(), ["alice", "bob", "carol"]);
}

#[test]
fn change_that_a_higher_number_hides_is_repeated() {
    let mut owned = Owned::new();
    // The other device has made two changes, and only the second one arrives.
    let other = owned.invites_bob(&owned.created.clone());
    owned.other_signs(Roster { number: 3, ..other });
    assert_eq!(owned.held().reference().number, 4);
    assert_eq!(owned.members(), ["alice", "bob", "carol"]);
    // Whoever was invited by the lost roster has not been invited anew.
    assert_eq!(owned.held().roster().member(&name("carol")).unwrap().since, 2);
}

#[test]
fn lost_change_is_repeated_after_a_restart() {
    let mut owned = Owned::new();
    let other = owned.invites_bob(&owned.created.clone());
    owned.client.crash();
    owned.other_signs(other);
    assert_eq!(owned.members(), ["alice", "bob", "carol"]);
}

#[test]
fn change_that_was_undone_on_purpose_is_not_repeated() {
    let mut owned = Owned::new();
    let held = owned.held();
    let undone = Roster {
        number: 3,
        members: owned.created.roster().members.clone(),
        ..held.roster().clone()
    };
    let undone = owned.other_signs(undone);
    assert_eq!(owned.held(), undone);
}

#[test]
fn change_that_can_not_be_made_any_more_is_told() {
    let mut owned = Owned::new();
    let mut roster = Roster { number: 3, ..owned.created.roster().clone() };
    let bob = Chain::begin("bob", 2);
    roster.members.push(member(&bob, false));
    // The other device has given the group away.
    let place = (&owned.created.group(), 3);
    let to = (name("bob"), bob.list.reference());
    roster.givings = vec![Giving::sign(&identity(9), &server_key(), place, to)];
    let given = signed(roster, 9);
    let mut body = letter(&owned.own, 9, Content::Roster(given.to_bytes()));
    body.list = owned.own.list.reference();
    let effects = owned.client.mail_from(1, body);
    assert_eq!(owned.held(), given);
    assert_eq!(notices(&effects), [NoticeCode::GroupChangeLost]);
}

#[test]
fn former_owner_who_is_removed_takes_no_group_back() {
    let mut team = Team::new();
    let givings = vec![team.giving(2, 4, member(&team.carol, false))];
    let mut given = Roster { number: 6, givings, ..team.with_carol() };
    given.members.retain(|member| member.name != name("bob"));
    let next = signed(given, 3);
    let body = roster_letter(&team.carol, 3, &next);
    team.gets(body);
    assert_eq!(team.held(), next);
    // Bob tries many rosters without the giving, or with another one.
    for n in 0..8 {
        let left = vec![name(&format!("somebody{n}"))];
        let back = Roster { number: 6 + n, left, ..team.with_carol() };
        team.roster_from_bob(&signed(back.clone(), 2));
        let givings = vec![team.giving(2, 2 + n, alice(&team.client))];
        team.roster_from_bob(&signed(Roster { givings, ..back }, 2));
    }
    assert_eq!(team.held(), next);
}

#[test]
fn of_two_givings_at_once_the_same_holds_everywhere() {
    for is_first_first in [true, false] {
        let mut team = Team::new();
        team.crowd = vec![Chain::begin("user0", crowd_seeds(0)[0])];
        let mut roster = Roster { number: 5, ..team.with_carol() };
        roster.members.push(member(&team.crowd[0], false));
        // Two devices of bob's have given the group away, and both new owners have confirmed it.
        let branch = |chain: &Chain, seed, number| {
            let givings = vec![team.giving(2, 4, member(chain, false))];
            let giving = givings[0].clone();
            (giving, signed(Roster { number, givings, ..roster.clone() }, seed))
        };
        let one = branch(&team.carol, 3, 5);
        let other = branch(&team.crowd[0], crowd_seeds(0)[0], 6);
        let holds = if one.0.precedes(&other.0) { &one.1 } else { &other.1 };
        // The owner by the other one goes on, and is outbid.
        let (first, second) = if is_first_first { (&one.1, &other.1) } else { (&other.1, &one.1) };
        let last = Roster { number: 9, ..holds.roster().clone() };
        let last = signed(last, if holds.device() == &key(3) { 3 } else { crowd_seeds(0)[0] });
        for roster in [first, second, &last] {
            team.roster_from_bob(roster);
        }
        assert_eq!(team.held(), last);
    }
}

#[test]
fn giving_that_nobody_has_confirmed_may_be_lost() {
    let mut team = Team::new();
    let givings = vec![team.giving(2, 4, member(&team.carol, false))];
    team.roster_from_bob(&signed(Roster { givings, ..team.with_carol() }, 2));
    // Another device of bob's did not know it.
    let next = signed(Roster { number: 5, ..team.with_carol() }, 2);
    team.roster_from_bob(&next);
    assert_eq!(team.held(), next);
}

#[test]
fn new_owner_confirms_the_giving_and_outbids_the_former_one() {
    let mut team = Team::new();
    let givings = vec![team.giving(2, 4, alice(&team.client))];
    let given = signed(Roster { number: 4, givings, ..team.roster.roster().clone() }, 2);
    assert_eq!(team.roster_from_bob(&given), [GroupChange::Given]);
    assert_eq!((team.held().reference().number, *team.held().device()), (5, key(1)));
    // Another device of bob's goes on without the giving, and those who believed it believe alice again.
    team.roster_from_bob(&signed(Roster { number: 8, ..team.with_carol() }, 2));
    assert_eq!((team.held().reference().number, *team.held().device()), (9, key(1)));
    // Nobody else makes her skip numbers, not even with a giving that nobody has signed.
    team.roster_from_bob(&signed(Roster { number: 20, ..team.with_carol() }, 3));
    let forged = Giving { device: key(2), ..team.giving(3, 4, member(&team.carol, false)) };
    let forged = Roster { number: 20, givings: vec![forged], ..team.with_carol() };
    team.roster_from_bob(&signed(forged, 3));
    assert_eq!(team.held().reference().number, 9);
}

#[test]
fn group_is_given_to_somebody_who_is_not_listed_yet() {
    let mut team = Team::new();
    // Carol has joined and got the group while alice was away. The giving names carol's list.
    let givings = vec![team.giving(2, 5, member(&team.carol, false))];
    let given = Roster { number: 6, givings, ..team.with_carol() };
    let signed = signed(given, 3);
    let body = roster_letter(&team.carol, 3, &signed);
    team.gets(body);
    assert_eq!(team.held(), signed);
}
