//! Meetings with peers whose receivers are not reached.

use letschat_protocol::dialogue::{Invitation, MeetingToken};

use super::*;
use crate::conversation::LinkPath;
use crate::session::{Dial, MeetingAnswer, NoMeeting};

const TOKEN: MeetingToken = MeetingToken(77);

/// Returns the answer that an attempt gets, if there is one yet.
fn met(effects: &[Effect], wanted: Dial) -> Option<MeetingAnswer> {
    effects.iter().find_map(|effect| match effect {
        Effect::Meet { dial, answer } if *dial == wanted => Some(*answer),
        _ => None,
    })
}

fn asks_to_meet(effects: &[Effect]) -> bool {
    asks_server(effects, |request| matches!(request, ServerRequest::Meet { .. }))
}

/// Returns a session that dials bob, and his link.
fn calling() -> (TestSession, Dial, LinkId) {
    let mut client = TestSession::logged_in();
    client.connecting_to("bob", 2);
    let link = LinkId::dialled(1);
    (client, Dial::Link(link), link)
}

#[test]
fn peer_that_is_not_reached_is_met_at_the_server() {
    let (mut client, dial, link) = calling();
    let effects = client.put(Input::MeetingWanted { dial, key: key(2) });
    let request = ServerRequest::Meet { name: "bob".into(), key: key(2) };
    assert!(asks_server(&effects, |asked| *asked == request), "{effects:?}");
    let effects = client.server(Code::Ok, &format!("{TOKEN} JOIN with this token"));
    assert_eq!(met(&effects, dial), Some(Ok(TOKEN)));
    client.put(Input::Met { link, path: LinkPath::Relay });
    client.put(Input::PeerDialled { link });
    let effects = client.put(Input::Peer { link, message: PeerMessage::Approve });
    let is_relayed =
        |event: &&Event| matches!(event, Event::ChatOpened { link: LinkPath::Relay, .. });
    assert!(told(&effects).iter().any(is_relayed), "{effects:?}");
    let Status { chats, .. } = client.session.status();
    assert_eq!(chats[0].link, Some(LinkPath::Relay));
}

#[test]
fn address_at_which_a_peer_was_met_is_not_remembered() {
    for met in [None, Some(LinkPath::Direct), Some(LinkPath::Relay)] {
        let (mut client, _, link) = calling();
        if let Some(path) = met {
            client.put(Input::Met { link, path });
        }
        client.put(Input::PeerDialled { link });
        client.put(Input::Peer { link, message: PeerMessage::Approve });
        let bob = &client.session.peers()[&name("bob")];
        assert_eq!(bob.receiver.is_some(), met.is_none(), "{met:?}");
    }
}

#[test]
fn meeting_that_is_refused_leaves_the_dial_alone() {
    let (later, never) = (NoMeeting::Later, NoMeeting::Never);
    for (code, why, asks_again) in [
        (Code::NotHere, never, true),
        (Code::SlowDown, later, true),
        (Code::UnknownCommand, never, false),
    ] {
        let (mut client, dial, _) = calling();
        client.put(Input::MeetingWanted { dial, key: key(2) });
        assert_eq!(met(&client.server(code, "no"), dial), Some(Err(why)), "{code:?}");
        let effects = client.put(Input::MeetingWanted { dial, key: key(2) });
        assert_eq!(asks_to_meet(&effects), asks_again, "a server of version 0.1 is asked once");
        assert_eq!(met(&effects, dial).is_none(), asks_again);
    }
}

#[test]
fn attempt_that_is_over_asks_for_nothing() {
    let (mut client, dial, _) = calling();
    client.ask(Request::Cancel(None));
    let effects = client.put(Input::MeetingWanted { dial, key: key(2) });
    assert!(!asks_to_meet(&effects));
    assert_eq!(met(&effects, dial), Some(Err(NoMeeting::Never)));
    let (mut client, dial, _) = calling();
    client.put(Input::ServerLost);
    assert_eq!(
        met(&client.put(Input::MeetingWanted { dial, key: key(2) }), dial),
        Some(Err(NoMeeting::Never))
    );
}

#[test]
fn lost_server_answers_who_waits_for_a_token() {
    let (mut client, dial, _) = calling();
    client.put(Input::MeetingWanted { dial, key: key(2) });
    assert_eq!(met(&client.put(Input::ServerLost), dial), Some(Err(NoMeeting::Never)));
}

#[test]
fn invitation_of_somebody_blocked_is_ignored() {
    let invitation =
        |seed| Invitation { username: name("bob"), key: key(seed), token: TOKEN, server: None };
    let attends = |effects: &[Effect]| {
        effects.iter().any(|effect| matches!(effect, Effect::Attend { token: TOKEN, .. }))
    };
    let mut client = TestSession::logged_in();
    let effects = client.notice(Notice::Meeting(invitation(2)));
    assert!(attends(&effects));
    assert!(told(&effects).is_empty(), "nobody is told before a call comes");
    client.ask(Request::Block { who: "bob".into(), on: true });
    assert!(!attends(&client.notice(Notice::Meeting(invitation(2)))));
}
