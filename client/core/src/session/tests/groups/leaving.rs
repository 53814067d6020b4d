//! What is kept of a group that the user is not in any more, and who is told.

use super::*;

fn leave(team: &mut Team) {
    let action = GroupAction::Leave;
    let (_, effects) = team.client.ask(Request::Group { action, name: "team".into() });
    team.settle(effects);
}

#[test]
fn owner_who_has_not_heard_it_is_told_again() {
    let mut team = Team::new();
    leave(&mut team);
    let told = |number| {
        let wish = Content::Wish(team.roster.group(), Wish::Leave, number);
        (vec![name("bob")], wish)
    };
    assert_eq!(team.last_letter(), told(3));
    let newer = signed(team.with_carol(), 2);
    let told = told(4);
    assert_eq!(team.roster_from_bob(&newer), []);
    assert_eq!(team.last_letter(), told);
    assert_eq!((team.group().membership, team.group().wish), (Membership::Left, None));
}

#[test]
fn new_owner_is_told_who_has_left() {
    let mut team = Team::new();
    leave(&mut team);
    let givings = vec![team.giving(2, 4, member(&team.carol, false))];
    let next = signed(Roster { number: 5, givings, ..team.with_carol() }, 3);
    let body = roster_letter(&team.carol, 3, &next);
    team.gets(body);
    let wish = Content::Wish(team.roster.group(), Wish::Leave, 5);
    assert_eq!(team.last_letter(), (vec![name("carol")], wish));
}

#[test]
fn group_given_to_somebody_who_has_left_is_given_on() {
    let mut team = Team::new();
    leave(&mut team);
    // Bob did not know it, and carol has joined.
    let givings = vec![team.giving(2, 5, alice(&team.client))];
    let given = signed(Roster { number: 5, givings, ..team.with_carol() }, 2);
    team.roster_from_bob(&given);
    let held = team.held();
    assert_eq!((held.roster().owner(), held.reference().number), (&name("carol"), 6));
    let letters = team.client.disk.sealed();
    let sent = |content: &Content| {
        letters.iter().any(|body| body.recipients == [name("carol")] && body.content == *content)
    };
    assert!(sent(&Content::Roster(held.to_bytes())));
    assert!(sent(&Content::Wish(held.group(), Wish::Leave, 6)));
}

#[test]
fn old_roster_is_no_invitation() {
    let mut team = Team::new();
    leave(&mut team);
    let mut without = team.roster.roster().clone();
    (without.number, without.left) = (4, vec![name("alice")]);
    without.members.pop();
    team.roster_from_bob(&signed(without.clone(), 2));
    let asks = |effects: &[Effect]| {
        let asks = |event: &&Event| matches!(event, Event::Request { .. });
        told(effects).into_iter().filter(asks).count()
    };
    // A server or a device that was away brings the old one.
    let old = team.roster.clone();
    let body = roster_letter(&team.bob, 2, &old);
    assert_eq!(asks(&team.gets(body)), 0);
    assert_eq!(team.group().membership, Membership::Left);
    // A new invitation is one.
    let again = Member { since: 5, ..alice(&team.client) };
    let (number, left) = (5, Vec::new());
    let again = Roster {
        number,
        left,
        members: [without.members.clone(), vec![again]].concat(),
        ..without
    };
    let body = roster_letter(&team.bob, 2, &signed(again, 2));
    assert_eq!(asks(&team.gets(body)), 1);
    assert_eq!(team.group().membership, Membership::Invited);
    let (id, _) = team.client.ask(Request::Approve(Some("#team".into())));
    assert!(id.0 > 0 && team.group().membership == Membership::Joined);
}

#[test]
fn all_who_have_left_are_told_as_such() {
    let mut team = Team::new();
    let mut with = team.with_carol();
    with.members.push(member(&Chain::begin("dave", 5), false));
    team.roster_from_bob(&signed(with, 2));
    let mut without = Roster { number: 7, ..team.roster.roster().clone() };
    without.left = vec![name("carol"), name("dave")];
    assert_eq!(team.roster_from_bob(&signed(without, 2)), [GroupChange::Left, GroupChange::Left]);
}

#[test]
fn stranger_is_not_told_that_the_invitation_is_turned_down() {
    let mut team = Team::new();
    let sealed = team.client.disk.sealed().len();
    let founding =
        Founding { founder: name("carol"), device: key(3), ..first(&team.carol).founding };
    let members = vec![member(&team.carol, false), alice(&team.client)];
    let invited = signed(Roster { founding, number: 2, members, ..first(&team.carol) }, 3);
    let body = roster_letter(&team.carol, 3, &invited);
    team.gets(body);
    let (_, effects) = team.client.ask(Request::Deny(Some("#team-2".into())));
    team.settle(effects);
    assert_eq!(team.client.disk.sealed().len(), sealed);
    let held = |team: &Team| team.client.disk.stored().groups[&invited.group()].clone();
    assert_eq!((held(&team).membership, held(&team).wish), (Membership::Left, None));
    // What the stranger changes later is no new invitation.
    let next = signed(Roster { number: 3, ..invited.roster().clone() }, 3);
    let body = roster_letter(&team.carol, 3, &next);
    team.gets(body);
    assert_eq!(held(&team).membership, Membership::Left);
}

#[test]
fn invitation_by_another_owner_takes_the_place_of_a_trace() {
    let mut team = Team::new();
    let givings = vec![team.giving(2, 4, member(&team.carol, false))];
    let given = Roster { number: 5, givings, ..team.with_carol() };
    let body = roster_letter(&team.carol, 3, &signed(given.clone(), 3));
    team.gets(body);
    leave(&mut team);
    // Bob goes on with a group of his own, and invites alice.
    let again = Member { since: 6, ..alice(&team.client) };
    let members = vec![member(&team.bob, false), again];
    let back = signed(Roster { number: 6, members, ..team.roster.roster().clone() }, 2);
    team.roster_from_bob(&back);
    assert_eq!((team.group().membership, team.held()), (Membership::Invited, back));
}

#[test]
fn trace_outlives_invitations_for_which_there_is_no_room() {
    let mut team = Team::new();
    leave(&mut team);
    let carols = Founding { founder: name("carol"), device: key(3), ..first(&team.carol).founding };
    for nonce in 0..5 {
        let founding = Founding { nonce, ..carols.clone() };
        let members = vec![member(&team.carol, false), alice(&team.client)];
        let roster = Roster { founding, number: 2, members, ..first(&team.carol) };
        let body = roster_letter(&team.carol, 3, &signed(roster, 3));
        team.gets(body);
    }
    let groups = team.client.disk.stored().groups;
    let invited = groups.values().filter(|group| group.membership == Membership::Invited);
    assert_eq!(invited.count(), 3, "so many of one person may wait");
    // Carol claims that bob has given her the group.
    let givings = vec![team.giving(3, 4, member(&team.carol, false))];
    let again = Member { since: 6, ..alice(&team.client) };
    let members = vec![member(&team.carol, false), again];
    let forged = Roster { number: 6, givings, members, ..team.roster.roster().clone() };
    let body = roster_letter(&team.carol, 3, &signed(forged, 3));
    team.gets(body);
    let old = team.roster.clone();
    let body = roster_letter(&team.bob, 2, &old);
    let effects = team.gets(body);
    assert!(!told(&effects).iter().any(|event| matches!(event, Event::Request { .. })));
    assert_eq!((team.group().membership, team.held()), (Membership::Left, team.roster.clone()));
}
