//! Files that are offered in a group.

use letschat_protocol::files::{FileHash, FileInfo};

use super::*;
use crate::files::ReadFile;

/// Lets the server introduce somebody as carol, who asks for the file. Returns the refusal.
fn asked_as_carol(team: &mut Team, seed: u8) -> Option<Refusal> {
    let receiver = "10.0.0.3:4401".parse().unwrap();
    let introduction = Introduction { username: name("carol"), receiver, key: key(seed) };
    team.client.notice(Notice::Introduction(introduction));
    let offered = team.client.disk.stored().files[0].id;
    let (_, effects, refusal) = team.client.asked_for(seed, offered);
    team.settle(effects);
    refusal
}

#[test]
fn roster_vouches_for_the_key_of_a_stranger_in_the_group() {
    let mut team = Team::new();
    let newer = signed(team.with_carol(), 2);
    team.roster_from_bob(&newer);
    let send = Request::SendFile { to: "#team".into(), path: "/home/plan.pdf".into() };
    let (request, effects) = team.client.ask(send);
    team.settle(effects);
    let info = FileInfo::new(1, FileHash([7; 32])).unwrap();
    let read = ReadFile { path: "/home/plan.pdf".into(), info };
    let effects = team.client.put(Input::FileRead { request, result: Ok(read) });
    team.settle(effects);
    assert_eq!(team.client.disk.stored().files[0].audience, [name("bob"), name("carol")]);
    assert_eq!(asked_as_carol(&mut team, 66), Some(Refusal::Unknown), "the server's own key");
    assert_eq!(asked_as_carol(&mut team, 3), None);
    // A removed member gets nothing more, not even over an open link.
    let left = Roster { number: 5, left: vec![name("carol")], ..team.roster.roster().clone() };
    let body = roster_letter(&team.bob, 2, &signed(left, 2));
    let effects = team.gets(body);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::ClosePeer { .. })), "{effects:?}");
    assert_eq!(asked_as_carol(&mut team, 3), Some(Refusal::Unknown));
}
