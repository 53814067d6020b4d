//! Groups: the session against members that the tests play, and that may lie.

mod conflicts;
mod files;
mod leaving;
mod letters;

use std::collections::BTreeMap;

use letschat_protocol::body::{Body, Content, Place};
use letschat_protocol::groups::{Founding, Giving, Member, Roster, SignedRoster, Wish};
use letschat_protocol::limits::{MAX_GROUP_MEMBERS, MAX_RECIPIENT_DEVICES};

use super::devices::{Chain, identity, looks_up, notices, server_key, shown};
use super::*;
use crate::event::{GroupChange, RequestKind};
use crate::mail::{Membership, Stage, StoredGroup};

fn member(chain: &Chain, is_invited: bool) -> Member {
    let list = chain.list.reference();
    Member { name: name(chain.account), list, since: 1, is_invited }
}

/// Returns the list of alice's only device, whose session is tested.
fn alice(client: &TestSession) -> Member {
    let list = client.disk.stored().lists[&name("alice")].reference();
    Member { name: name("alice"), list, since: 2, is_invited: true }
}

/// Returns the first roster of a group of bob's.
fn first(bob: &Chain) -> Roster {
    let founding =
        Founding { nonce: 5, name: "team".parse().unwrap(), founder: name("bob"), device: key(2) };
    Roster {
        founding,
        number: 1,
        givings: Vec::new(),
        members: vec![member(bob, false)],
        left: Vec::new(),
        versions: BTreeMap::new(),
    }
}

fn signed(roster: Roster, seed: u8) -> SignedRoster {
    SignedRoster::sign(roster, &identity(seed), &server_key())
}

/// Returns a body of a device of this chain, for alice.
fn letter(chain: &Chain, seed: u8, content: Content) -> Body {
    Body { content, place: Place::Sequence(0), ..chain.text(seed, 0, "") }
}

fn roster_letter(chain: &Chain, seed: u8, roster: &SignedRoster) -> Body {
    letter(chain, seed, Content::Roster(roster.to_bytes()))
}

/// Returns a text in the group by a device of this chain, whose author has this roster.
fn text(chain: &Chain, seed: u8, roster: &SignedRoster, (number, text): (u64, &str)) -> Body {
    let place = Place::Group { sequence: number, roster: roster.reference() };
    Body { conversation: roster.group().to_string(), place, ..chain.text(seed, number, text) }
}

/// A group of bob's with alice, whom carol joins later.
struct Team {
    client: TestSession,
    bob: Chain,
    carol: Chain,
    /// The roster with bob and alice.
    roster: SignedRoster,
    /// Further people, each with three devices.
    crowd: Vec<Chain>,
    mail: u64,
    /// The number of deliveries that were acknowledged.
    acknowledged: u64,
}

/// Returns the seeds of the devices of somebody in the crowd.
fn crowd_seeds(n: usize) -> [u8; 3] {
    [0, 1, 2].map(|device| 10 + 3 * n as u8 + device)
}

impl Team {
    fn new() -> Team {
        let (bob, carol) = (Chain::begin("bob", 2), Chain::begin("carol", 3));
        let mut client = TestSession::knows(&bob, &[2]);
        let members = vec![member(&bob, false), alice(&client)];
        let invited = signed(Roster { number: 2, members, ..first(&bob) }, 2);
        let effects = client.mail_from(1, roster_letter(&bob, 2, &invited));
        let asks =
            |event: &&Event| matches!(event, Event::Request { kind: RequestKind::Group, .. });
        assert_eq!(told(&effects).into_iter().filter(asks).count(), 1, "{effects:?}");
        let mut joined = Roster { number: 3, ..invited.roster().clone() };
        joined.members[1].is_invited = false;
        let roster = signed(joined, 2);
        let mut team =
            Team { client, bob, carol, roster, crowd: Vec::new(), mail: 1, acknowledged: 0 };
        team.settle(effects);
        let (_, effects) = team.client.ask(Request::Approve(Some("team".into())));
        team.settle(effects);
        let roster = team.roster.clone();
        assert_eq!(team.roster_from_bob(&roster), [GroupChange::Joined]);
        team
    }

    /// Delivers a body, and answers all requests to the server.
    fn gets(&mut self, body: Body) -> Vec<Effect> {
        self.mail += 1;
        let effects = self.client.mail_from(self.mail, body);
        self.settle(effects)
    }

    /// Answers all requests to the server.
    fn settle(&mut self, mut effects: Vec<Effect>) -> Vec<Effect> {
        let mut done = 0;
        while done < effects.len() {
            let now = self.client.now;
            let chain = |who: &str| {
                let all = self.crowd.iter().chain([&self.bob, &self.carol]);
                all.into_iter().find(|chain| chain.account == who).cloned().unwrap()
            };
            let reply = match &effects[done] {
                Effect::SendServer(ServerRequest::Devices { name, after }) => {
                    Some(chain(name).after(*after))
                }
                Effect::SendServer(ServerRequest::Keys { name }) => {
                    let seeds = match self.crowd.iter().position(|chain| chain.account == name) {
                        Some(n) => crowd_seeds(n).to_vec(),
                        None => vec![if name == "bob" { 2 } else { 3 }],
                    };
                    Some(chain(name).keys(&seeds, now))
                }
                Effect::SendServer(ServerRequest::Post { .. }) => {
                    let pushed = [("bob", 2), ("carol", 3)].map(|(who, seed)| (who, seed));
                    let crowd = self.crowd.iter().enumerate();
                    let crowd = crowd.map(|(n, chain)| (chain.account, crowd_seeds(n)[0]));
                    let all = pushed.into_iter().chain(crowd);
                    let items = all.map(|(who, seed)| format!("{who} {} pushed", key(seed)));
                    Some(ServerReply::long(Code::Ok, items, "1 2".into()))
                }
                Effect::SendServer(request) => {
                    if let ServerRequest::Acknowledge { numbers } = request {
                        self.acknowledged += numbers.len() as u64;
                    }
                    Some(ServerReply::new(Code::Ok, "1"))
                }
                _ => None,
            };
            done += 1;
            if let Some(reply) = reply {
                effects.extend(self.client.replied(reply));
            }
        }
        effects
    }

    /// Delivers a roster from bob. Returns the changes that are told.
    fn roster_from_bob(&mut self, roster: &SignedRoster) -> Vec<GroupChange> {
        let body = roster_letter(&self.bob, 2, roster);
        changes(&self.gets(body))
    }

    fn with_carol(&self) -> Roster {
        let mut roster = Roster { number: 4, ..self.roster.roster().clone() };
        roster.members.push(member(&self.carol, false));
        roster
    }

    fn group(&self) -> StoredGroup {
        self.client.disk.stored().groups[&self.roster.group()].clone()
    }

    fn held(&self) -> SignedRoster {
        self.group().roster
    }

    /// Returns the giving of the group to a member by a device.
    fn giving(&self, seed: u8, number: u64, to: Member) -> Giving {
        let place = (&self.roster.group(), number);
        Giving::sign(&identity(seed), &server_key(), place, (to.name, to.list))
    }

    /// Returns the last body about a group that was sealed, with its recipients.
    fn last_letter(&self) -> (Vec<Username>, Content) {
        let sent = self.client.disk.sealed().last().cloned().unwrap();
        (sent.recipients, sent.content)
    }
}

fn changes(effects: &[Effect]) -> Vec<GroupChange> {
    let change = |event: &Event| match event {
        Event::GroupChanged { change, .. } => Some(*change),
        _ => None,
    };
    told(effects).into_iter().filter_map(change).collect()
}

#[test]
fn text_of_a_member_is_shown_in_the_group() {
    let mut team = Team::new();
    let body = text(&team.bob, 2, &team.roster, (1, "hello, team"));
    assert_eq!(shown(&team.gets(body)), ["hello, team"]);
}

#[test]
fn nothing_of_a_group_is_shown_before_the_user_joins() {
    let bob = Chain::begin("bob", 2);
    let mut client = TestSession::knows(&bob, &[2]);
    let members = vec![member(&bob, false), Member { is_invited: false, ..alice(&client) }];
    // The owner lists her as a member without asking.
    let forced = signed(Roster { number: 2, members, ..first(&bob) }, 2);
    assert_eq!(changes(&client.mail_from(1, roster_letter(&bob, 2, &forced))), []);
    assert!(shown(&client.mail_from(2, text(&bob, 2, &forced, (1, "hello")))).is_empty());
    assert!(client.disk.stored().groups.is_empty());
}

#[test]
fn roster_of_another_device_is_not_held() {
    let mut team = Team::new();
    for seed in [3, 66] {
        let forged = signed(team.with_carol(), seed);
        let body = roster_letter(&team.bob, 2, &forged);
        team.gets(body);
        assert_eq!(team.held(), team.roster);
    }
    // One that a new device of bob's has signed holds, once the server has shown that device.
    team.bob = team.bob.clone().add(2, 4);
    let newer = signed(team.with_carol(), 4);
    let body = roster_letter(&team.bob, 2, &newer);
    team.gets(body);
    assert_eq!(team.held(), newer);
}

#[test]
fn older_roster_is_not_held() {
    let mut team = Team::new();
    let newer = signed(team.with_carol(), 2);
    assert_eq!(team.roster_from_bob(&newer), [GroupChange::Joined]);
    let older = team.roster.clone();
    assert_eq!(team.roster_from_bob(&older), []);
    assert_eq!(team.held(), newer);
    // Of two with one number, the lower hash holds on all sides.
    let other = signed(Roster { left: vec![name("dave")], ..team.with_carol() }, 2);
    team.roster_from_bob(&other);
    let lower = if other.reference().supersedes(&newer.reference()) { &other } else { &newer };
    assert_eq!(team.held(), *lower);
}

#[test]
fn another_group_is_not_taken_for_this_one() {
    let mut team = Team::new();
    let founding = team.roster.roster().founding.clone();
    for founding in [
        Founding { nonce: 9, ..founding.clone() },
        Founding { founder: name("carol"), ..founding.clone() },
        Founding { device: key(3), ..founding.clone() },
        Founding { name: "gang".parse().unwrap(), ..founding },
    ] {
        team.roster_from_bob(&signed(Roster { founding, ..team.with_carol() }, 2));
        assert_eq!(team.held(), team.roster);
    }
}

#[test]
fn member_with_an_older_roster_gets_the_newer_one() {
    let mut team = Team::new();
    let older = team.roster.clone();
    let newer = signed(team.with_carol(), 2);
    team.roster_from_bob(&newer);
    let body = text(&team.bob, 2, &older, (1, "from a device that was away"));
    team.gets(body);
    let sent = (vec![name("bob")], Content::Roster(newer.to_bytes()));
    assert_eq!(team.last_letter(), sent);
}

#[test]
fn text_of_a_new_member_waits_for_the_newer_roster() {
    let mut team = Team::new();
    let newer = signed(team.with_carol(), 2);
    let body = text(&team.carol, 3, &newer, (1, "hello from carol"));
    assert!(shown(&team.gets(body)).is_empty());
    let body = roster_letter(&team.bob, 2, &newer);
    let effects = team.gets(body);
    assert_eq!(changes(&effects), [GroupChange::Joined]);
    let effects =
        if looks_up(&effects) { team.client.replied(team.carol.after(0)) } else { effects };
    assert_eq!(shown(&effects), ["hello from carol"]);
    assert_eq!(notices(&effects), []);
}

#[test]
fn former_member_is_not_heard() {
    let mut team = Team::new();
    let with = signed(team.with_carol(), 2);
    team.roster_from_bob(&with);
    let without = signed(Roster { number: 5, ..team.roster.roster().clone() }, 2);
    assert_eq!(team.roster_from_bob(&without), [GroupChange::Removed]);
    let body = text(&team.carol, 3, &with, (1, "I am still here"));
    let effects = team.gets(body);
    assert!(shown(&effects).is_empty());
    let own = signed(
        Roster { number: 6, members: vec![member(&team.bob, false)], ..team.with_carol() },
        2,
    );
    assert_eq!(team.roster_from_bob(&own), [GroupChange::Removed]);
    assert_eq!(team.group().membership, Membership::Left);
}

#[test]
fn group_is_given_by_its_owner_alone() {
    let mut team = Team::new();
    let give = |seed| {
        let givings = vec![team.giving(seed, 4, alice(&team.client))];
        Roster { number: 4, givings, ..team.roster.roster().clone() }
    };
    let (forged, real) = (signed(give(3), 1), signed(give(2), 2));
    let body = roster_letter(&team.bob, 2, &forged);
    team.gets(body);
    assert_eq!(team.held(), team.roster);
    assert_eq!(team.roster_from_bob(&real), [GroupChange::Given]);
}

#[test]
fn large_group_gets_a_message_in_several_envelopes() {
    let mut team = Team::new();
    let person = |n: usize| {
        let account: &'static str = Box::leak(format!("user{n}").into_boxed_str());
        let [one, two, three] = crowd_seeds(n);
        Chain::begin(account, one).add(one, two).add(one, three)
    };
    team.crowd = (0..62).map(person).collect();
    let mut roster = Roster { number: 4, ..team.roster.roster().clone() };
    roster.members.extend(team.crowd.iter().map(|chain| member(chain, false)));
    assert_eq!(roster.members.len(), MAX_GROUP_MEMBERS);
    team.roster_from_bob(&signed(roster, 2));
    let (_, effects) = team.client.send("#team", "hello, all");
    let effects = team.settle(effects);
    let sealed: Vec<usize> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Seal { recipients, .. } => Some(recipients.len()),
            _ => None,
        })
        .collect();
    assert_eq!(sealed.iter().sum::<usize>(), 62 * 3 + 1);
    assert!(sealed.len() == 2 && sealed.iter().all(|count| *count <= MAX_RECIPIENT_DEVICES));
    assert!(team.client.disk.stored().outbox.iter().all(|row| row.stage != Stage::Waiting));
}

#[test]
fn invitation_vouches_for_nobodys_devices() {
    let bob = Chain::begin("bob", 2);
    let mut client = TestSession::knows(&bob, &[2]);
    let forged = Chain::begin("carol", 66);
    let members = vec![member(&bob, false), alice(&client), member(&forged, false)];
    let invited = signed(Roster { number: 2, members, ..first(&bob) }, 2);
    client.mail_from(1, roster_letter(&bob, 2, &invited));
    client.server(Code::Ok, "1");
    client.mail_from(2, text(&forged, 66, &invited, (1, "it is me, carol")));
    client.replied(forged.after(0));
    assert_eq!(client.disk.stored().lists.get(&name("carol")), None);
}

#[test]
fn lines_that_wait_are_given_up_when_the_user_leaves() {
    let mut team = Team::new();
    team.client.put(Input::ServerLost);
    team.client.send("#team", "one");
    team.client.send("#team", "two");
    let waiting = |client: &TestSession| {
        let rows = client.disk.stored().outbox;
        rows.iter().filter(|row| row.conversation.person().is_none()).count()
    };
    assert_eq!(waiting(&team.client), 2);
    team.client.ask(Request::Group { action: GroupAction::Leave, name: "team".into() });
    assert_eq!(waiting(&team.client), 0);
    let (id, effects) = team.client.send("#team", "three");
    assert_eq!(code(&effects, id), "no_such_group");
}

#[test]
fn roster_that_changes_on_its_way_is_sent_again() {
    let (bob, carol) = (Chain::begin("bob", 2), Chain::begin("carol", 3));
    let mut client = TestSession::knows(&bob, &[2]);
    let pushed = |people: &[(&str, u8)]| {
        let items = people.iter().map(|(who, seed)| format!("{who} {} pushed", key(*seed)));
        ServerReply::long(Code::Ok, items.collect::<Vec<_>>(), "1 1".into())
    };
    client.send("carol", "hello");
    client.replied(carol.keys(&[3], client.now));
    client.replied(carol.after(0));
    client.replied(pushed(&[("carol", 3)]));
    let group = |action| Request::Group { action, name: "team".into() };
    client.ask(group(GroupAction::Create));
    client.server(Code::Ok, "active");
    client.ask(group(GroupAction::Invite(name("bob"))));
    // The first roster is on its way to bob.
    client.ask(group(GroupAction::Invite(name("carol"))));
    client.replied(pushed(&[("bob", 2)]));
    let sent = client.disk.sealed().last().cloned().unwrap();
    assert_eq!(sent.recipients, [name("bob"), name("carol")]);
    client.replied(pushed(&[("bob", 2), ("carol", 3)]));
    assert!(client.disk.stored().groups.values().all(|group| group.owed.is_empty()));
}
