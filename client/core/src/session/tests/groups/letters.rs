//! Letters about groups: who gets which, which are heeded, and what hostile ones may cost.

use super::conflicts::Owned;
use super::*;
use crate::session::tests::devices::own::with_two;

fn wish(chain: &Chain, seed: u8, roster: &SignedRoster, (wish, number): (Wish, u64)) -> Body {
    letter(chain, seed, Content::Wish(roster.group(), wish, number))
}

#[test]
fn removed_or_replayed_wish_changes_nothing() {
    let mut owned = Owned::new();
    let carol = Chain::begin("carol", 3);
    let created = owned.created.clone();
    let join = |number| wish(&carol, 3, &created, (Wish::Join, number));
    let leave = |number| wish(&carol, 3, &created, (Wish::Leave, number));
    let joined = |owned: &Owned| owned.held().roster().has_joined(&name("carol"));
    owned.gets(join(2));
    assert!(joined(&owned));
    let group = |action| Request::Group { action, name: "team".into() };
    owned.client.ask(group(GroupAction::Remove(name("carol"))));
    owned.gets(join(2));
    assert_eq!(owned.members(), ["alice"]);
    // She is invited again. What she wished before does not count.
    owned.client.ask(group(GroupAction::Invite(name("carol"))));
    assert_eq!(owned.members(), ["alice", "carol"]);
    owned.gets(join(2));
    owned.gets(leave(2));
    assert!(!joined(&owned) && owned.members() == ["alice", "carol"]);
    let number = owned.held().reference().number;
    owned.gets(join(number));
    assert!(joined(&owned));
}

#[test]
fn full_group_takes_nobody_else() {
    let mut owned = Owned::new();
    let mut roster = Roster { number: 3, ..owned.held().roster().clone() };
    let someone =
        |n: usize| Member { name: name(&format!("user{n}")), ..roster.members[0].clone() };
    let crowd: Vec<Member> = (2..MAX_GROUP_MEMBERS).map(someone).collect();
    roster.members.extend(crowd);
    owned.other_signs(roster);
    let action = GroupAction::Invite(name("bob"));
    let (id, effects) = owned.client.ask(Request::Group { action, name: "team".into() });
    assert!(looks_up(&effects), "{effects:?}");
    let mut effects = Vec::new();
    while answer(&effects, id).is_none() {
        effects = owned.client.replied(Chain::begin("bob", 2).after(0));
    }
    assert_eq!(code(&effects, id), "group_full");
}

#[test]
fn any_member_has_the_newer_roster_for_another() {
    let mut team = Team::new();
    let older = team.roster.clone();
    let middle = signed(team.with_carol(), 2);
    team.roster_from_bob(&middle);
    let newer = signed(Roster { number: 5, ..team.with_carol() }, 2);
    // Carol names a roster that alice does not have. She is asked, though the owner has it too.
    let body = text(&team.carol, 3, &newer, (1, "do you know it?"));
    team.gets(body);
    let asked = Content::Wish(newer.group(), Wish::Roster, 4);
    assert_eq!(team.last_letter(), (vec![name("carol")], asked));
    let body = roster_letter(&team.carol, 3, &newer);
    team.gets(body);
    assert_eq!(team.held(), newer);
    // And alice has it for carol, who asks, or names an older one.
    let sent = (vec![name("carol")], Content::Roster(newer.to_bytes()));
    for body in [
        wish(&team.carol, 3, &newer, (Wish::Roster, 4)),
        text(&team.carol, 3, &older, (2, "from my other device")),
    ] {
        let count = team.client.disk.sealed().len();
        team.gets(body);
        assert!(team.client.disk.sealed().len() > count);
        assert_eq!(team.last_letter(), sent);
    }
}

#[test]
fn nothing_is_sealed_for_removed_people() {
    let mut team = Team::new();
    let with = signed(team.with_carol(), 2);
    team.roster_from_bob(&with);
    let (_, effects) = team.client.send("#team", "hello, both");
    team.settle(effects);
    let without = signed(Roster { number: 5, ..team.roster.roster().clone() }, 2);
    team.roster_from_bob(&without);
    let (_, effects) = team.client.send("#team", "hello, bob");
    let effects = team.settle(effects);
    let mut sealed = effects.iter().filter_map(|effect| match effect {
        Effect::Seal { recipients, .. } => Some(recipients),
        _ => None,
    });
    assert!(sealed.all(|recipients| recipients.iter().all(|one| one.username != name("carol"))));
    // She asks for the roster in vain.
    let count = team.client.disk.sealed().len();
    let body = wish(&team.carol, 3, &with, (Wish::Roster, 4));
    team.gets(body);
    assert_eq!(team.client.disk.sealed().len(), count);
}

#[test]
fn number_that_no_group_comes_to_is_not_believed() {
    let mut team = Team::new();
    for number in [1_000_004, u64::MAX] {
        let far = signed(Roster { number, ..team.with_carol() }, 2);
        team.roster_from_bob(&far);
        let body = text(&team.bob, 2, &far, (1, "come along"));
        team.gets(body);
        assert_eq!(team.held(), team.roster);
    }
    let body =
        roster_letter(&team.bob, 2, &signed(Roster { number: 1_000_003, ..team.with_carol() }, 2));
    team.gets(body);
    assert_eq!(team.held().reference().number, 1_000_003);
}

#[test]
fn giving_that_nobody_has_signed_invites_under_no_other_name() {
    let mut team = Team::new();
    // Carol lets bob be the founder, and says that he has just given the group to her.
    let founding = Founding { nonce: 77, device: key(3), ..first(&team.bob).founding };
    let giving = Giving { number: 2, ..team.giving(3, 2, member(&team.carol, false)) };
    let members = vec![member(&team.carol, false), alice(&team.client)];
    let forged = Roster { founding, number: 2, members, givings: vec![giving], ..first(&team.bob) };
    let body = roster_letter(&team.carol, 3, &signed(forged, 3));
    let effects = team.gets(body);
    assert!(!told(&effects).iter().any(|event| matches!(event, Event::Request { .. })));
}

#[test]
fn messages_that_wait_for_a_roster_are_bounded() {
    let mut team = Team::new();
    let newer = signed(team.with_carol(), 2);
    let waiting = |team: &Team| team.mail - team.acknowledged;
    for number in 1..=80 {
        let body = text(&team.carol, 3, &newer, (number, "hello"));
        team.gets(body);
    }
    let pass = |team: &mut Team, ms| {
        team.client.now.boot_ms += ms;
        let effects = team.client.put(Input::Tick);
        team.settle(effects);
    };
    pass(&mut team, 1_000);
    assert_eq!(waiting(&team), 36 * 1024 / 700, "each has 700 bytes");
    pass(&mut team, 60_000);
    pass(&mut team, 1_000);
    assert_eq!(waiting(&team), 0);
}

#[test]
fn other_devices_are_asked_about_some_unknown_groups() {
    let (mut client, own) = with_two();
    let bob = Chain::begin("bob", 2);
    let asked = |client: &TestSession| {
        let is_asked = |body: &&Body| matches!(body.content, Content::Wish(_, Wish::Roster, 0));
        client.disk.sealed().iter().filter(is_asked).count()
    };
    let mut mail = 0;
    for nonce in 0..40 {
        let founding = Founding { nonce, ..first(&bob).founding };
        let roster = signed(Roster { founding, ..first(&bob) }, 2);
        for number in [1, 2] {
            let mut body = text(&own, 9, &roster, (number, "from my other device"));
            body.list = own.list.reference();
            mail += 1;
            let mut effects = client.mail_from(mail, body);
            let mut done = 0;
            while done < effects.len() {
                let reply = match &effects[done] {
                    Effect::SendServer(ServerRequest::Keys { .. }) => {
                        Some(own.keys(&[9], client.now))
                    }
                    Effect::SendServer(ServerRequest::Post { .. }) => {
                        let item = format!("alice {} pushed", key(9));
                        Some(ServerReply::long(Code::Ok, [item], "1 2".into()))
                    }
                    Effect::SendServer(_) => Some(ServerReply::new(Code::Ok, "1")),
                    _ => None,
                };
                done += 1;
                effects.extend(reply.into_iter().flat_map(|reply| client.replied(reply)));
            }
        }
    }
    assert_eq!(asked(&client), 32);
}
