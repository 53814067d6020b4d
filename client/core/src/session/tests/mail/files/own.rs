//! Own files: offered, and sent to whom they were offered.

use super::*;

/// Returns a session that has offered a file to bob.
fn offering() -> (TestSession, MessageId) {
    let mut client = TestSession::logged_in();
    client.post(&BOB, "hello", Outcome::Pushed);
    let (id, _) = client.send_file("bob");
    let effects = client.read(id);
    let offered = offers(&effects)[0];
    client.settle(effects);
    (client, offered)
}

impl TestSession {
    /// Asks for a file as somebody with this key. Returns the effects, and the refusal if there is one.
    pub(in crate::session::tests) fn asked_for(
        &mut self,
        seed: u8,
        id: MessageId,
    ) -> (LinkId, Vec<Effect>, Option<Refusal>) {
        self.links += 1;
        let link = LinkId::arrived(self.links);
        self.put(Input::PeerArrived { link, key: key(seed), from: "10.0.0.9:9".parse().unwrap() });
        let effects = self.put(Input::Peer { link, message: PeerMessage::Get { id } });
        let refusal = effects.iter().find_map(|effect| match effect {
            Effect::SendPeer { message: PeerMessage::Refuse(why), .. } => Some(*why),
            _ => None,
        });
        let serves = effects.iter().any(|effect| matches!(effect, Effect::ServeFile { .. }));
        assert_eq!(serves, refusal.is_none(), "{effects:?}");
        (link, effects, refusal)
    }
}

#[test]
fn offer_is_sent_once_it_is_read_and_recorded() {
    let mut client = TestSession::logged_in();
    client.post(&BOB, "hello", Outcome::Pushed);
    let (id, effects) = client.send_file("bob");
    assert!(answer(&effects, id).is_none());
    client.settle(effects);
    let effects = client.read(id);
    assert_eq!(offers(&effects).len(), 1);
    let effects = client.settle(effects);
    assert_eq!(client.file().audience, [name("bob")]);
    let body = client.disk.sealed.last().unwrap();
    assert_eq!(body.content, Content::File(PHOTO.into(), info()));
    let Some(Ok(Reply::Sent { file: Some(file), message_id, .. })) = answer(&effects, id) else {
        panic!("{effects:?}")
    };
    assert_eq!((file.name.as_str(), *message_id), (PHOTO, client.file().id));
}

#[test]
fn offer_that_can_not_be_recorded_is_not_made() {
    let mut client = TestSession::logged_in();
    client.post(&BOB, "hello", Outcome::Pushed);
    client.disk.is_full = true;
    let (id, _) = client.send_file("bob");
    let effects = client.read(id);
    assert_eq!(code(&effects, id), "folder");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::ForgetHashes(_))));
    let (id, effects) = client.ask(Request::Files);
    assert_eq!(answer(&effects, id), Some(&Ok(Reply::Files { files: vec![] })));
}

#[test]
fn file_goes_to_nobody_who_can_not_have_it() {
    let mut client = TestSession::logged_in();
    for (to, expected) in [
        ("everyone", "bad_arguments"),
        ("alice", "yourself"),
        ("#team", "no_such_group"),
        ("-", "bad_arguments"),
    ] {
        let (id, effects) = client.send_file(to);
        assert_eq!(code(&effects, id), expected, "{to}");
    }
    client.ask(Request::Block { who: "bob".into(), on: true });
    let (id, effects) = client.send_file("bob");
    assert_eq!(code(&effects, id), "blocked");
}

#[test]
fn file_is_sent_to_whom_it_was_offered_alone() {
    let (mut client, offered) = offering();
    client.chat_with("carol", 3);
    assert_eq!(client.asked_for(3, offered).2, Some(Refusal::Over), "it was offered to bob");
    assert_eq!(client.asked_for(9, offered).2, Some(Refusal::Unknown), "a stranger");
    let other = MessageId::of_broadcast(1, 1);
    assert_eq!(client.asked_for(2, other).2, Some(Refusal::Over), "another file");
    let (link, effects, refusal) = client.asked_for(2, offered);
    assert_eq!(refusal, None);
    assert!(effects.iter().any(
        |effect| matches!(effect, Effect::ServeFile { link: over, path, .. } if *over == link && path.ends_with(PHOTO))
    ));
    let effects = client.put(Input::Serve { link, news: ServeNews::Done });
    let events = told(&effects);
    assert!(
        matches!(&events[..], [Event::FileDone { file, path: None }] if file.to == Some(name("bob"))),
        "{events:?}"
    );
    client.ask(Request::Block { who: "bob".into(), on: true });
    assert_eq!(client.asked_for(2, offered).2, Some(Refusal::Unknown), "a blocked person");
}

#[test]
fn known_person_needs_their_known_key() {
    let (mut client, offered) = offering();
    // The server vouches for another key.
    let receiver = "10.0.0.9:4401".parse().unwrap();
    let introduction = Introduction { username: name("bob"), receiver, key: key(12) };
    client.notice(Notice::Introduction(introduction));
    assert_eq!(client.asked_for(12, offered).2, Some(Refusal::Unknown));
}

#[test]
fn person_fetches_a_few_files_at_a_time() {
    let (mut client, offered) = offering();
    for _ in 0..4 {
        assert_eq!(client.asked_for(2, offered).2, None);
    }
    let (_, _, refusal) = client.asked_for(2, offered);
    assert_eq!(refusal, Some(Refusal::Busy));
}

#[test]
fn receiver_that_speaks_out_of_turn_gives_its_place_back() {
    let (mut client, offered) = offering();
    for _ in 0..10 {
        let (link, _, refusal) = client.asked_for(2, offered);
        assert_eq!(refusal, None);
        let effects = client.put(Input::Peer { link, message: PeerMessage::Ping });
        let closes = |effect: &Effect| matches!(effect, Effect::ClosePeer { link: closed } if *closed == link);
        assert!(effects.iter().any(closes));
    }
    let (_, effects) = client.ask(Request::Leave);
    assert!(closes_account(&effects), "nothing keeps the account open");
}

#[test]
fn offer_to_nobody_is_forgotten() {
    let mut client = TestSession::logged_in();
    client.post(&BOB, "hello", Outcome::Pushed);
    let (id, effects) = client.send_file("bob");
    client.settle(effects);
    client.read(id);
    let effects = client.answer_post(&BOB, Outcome::UnknownUser);
    assert_eq!(code(&effects, id), "unknown_user");
    assert_eq!(client.disk.mail.files, []);
}

#[test]
fn changed_source_ends_the_offer() {
    let (mut client, offered) = offering();
    let (link, ..) = client.asked_for(2, offered);
    let (other, ..) = client.asked_for(2, offered);
    let effects = client.put(Input::Serve { link, news: ServeNews::Changed });
    assert_eq!(failed_with(&effects), Some("file_changed"));
    let closed = |link| move |effect: &Effect| matches!(effect, Effect::ClosePeer { link: closed } if *closed == link);
    assert!(effects.iter().any(closed(link)) && effects.iter().any(closed(other)));
    assert_eq!(client.asked_for(2, offered).2, Some(Refusal::Over));
}

#[test]
fn withdrawn_offer_is_not_sent() {
    let (mut client, offered) = offering();
    let (link, ..) = client.asked_for(2, offered);
    let (_, effects) = client.ask(Request::CancelFile(offered.to_string()));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::ClosePeer { link: closed } if *closed == link))
    );
    assert!(effects.iter().any(|effect| matches!(effect, Effect::ForgetHashes(_))));
    assert_eq!(client.asked_for(2, offered).2, Some(Refusal::Over));
}
