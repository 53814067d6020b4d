//! Files: the session against an engine, a sender and receivers that the tests play.

mod own;

use letschat_protocol::files::name::FileName;
use letschat_protocol::files::{FileHash, FileInfo};

use super::*;
use crate::conversation::LinkPath;
use crate::files::{
    FetchFailure, FetchFile, FetchNews, FileState, PartId, ReadFile, ServeNews, StoredFile,
    TransferId,
};

const PHOTO: &str = "photo.jpg";

const PART: PartId = PartId { device: 1, inode: 2, changed: (3, 4) };

fn begun() -> FetchNews {
    FetchNews::Begun("/d/photo.jpg.part".into(), 0)
}

fn info() -> FileInfo {
    FileInfo::new(3_000_000, FileHash([7; 32])).unwrap()
}

fn offer(number: u64) -> Body {
    BOB.body(Place::Sequence(number), Content::File("../photo\u{202e}.jpg".into(), info()))
}

/// Returns the digits by which a file is named.
fn digits(number: u64) -> String {
    offer(number).message_id().to_string()[..8].to_owned()
}

/// Returns a session that knows bob, who has offered a file.
fn with_offer() -> TestSession {
    let mut client = TestSession::logged_in();
    client.post(&BOB, "hello", Outcome::Pushed);
    let effects = client.mail_of(&BOB, 7, offer(1));
    client.settle(effects);
    client.now.boot_ms += 10;
    let effects = client.put(Input::Tick);
    client.settle(effects);
    client
}

/// Returns the ids of the offers that were told.
fn offers(effects: &[Effect]) -> Vec<MessageId> {
    let id = |event: &Event| match event {
        Event::FileOffered { file, .. } => Some(file.id),
        _ => None,
    };
    told(effects).into_iter().filter_map(id).collect()
}

fn fetches(effects: &[Effect]) -> Vec<&FetchFile> {
    let effects = effects.iter();
    effects
        .filter_map(|effect| match effect {
            Effect::FetchFile(file) => Some(&**file),
            _ => None,
        })
        .collect()
}

fn failed_with(effects: &[Effect]) -> Option<&'static str> {
    told(effects).into_iter().find_map(|event| match event {
        Event::FileFailed { code, .. } => Some(code.name()),
        _ => None,
    })
}

impl TestSession {
    fn send_file(&mut self, to: &str) -> (RequestId, Vec<Effect>) {
        self.ask(Request::SendFile { to: to.into(), path: "/home/photo.jpg".into() })
    }

    /// Answers the reading of a file.
    fn read(&mut self, request: RequestId) -> Vec<Effect> {
        let file = ReadFile { path: "/home/photo.jpg".into(), info: info() };
        self.put(Input::FileRead { request, result: Ok(file) })
    }

    /// Asks for a file, and answers the requests to the server up to LOCATE.
    fn get_file(&mut self, number: u64) -> (RequestId, Vec<Effect>) {
        let (id, effects) = self.ask(Request::GetFile { id: digits(number), path: None });
        (id, self.settle(effects))
    }

    /// Answers the requests to the server in their order, up to LOCATE.
    fn settle(&mut self, mut effects: Vec<Effect>) -> Vec<Effect> {
        let mut done = 0;
        while done < effects.len() {
            let answered = match &effects[done] {
                Effect::SendServer(ServerRequest::Locate { .. }) => return effects,
                Effect::SendServer(ServerRequest::Keys { .. }) => self.answer_keys_of(&BOB),
                Effect::SendServer(ServerRequest::Post { .. }) => {
                    self.answer_post(&BOB, Outcome::Pushed)
                }
                Effect::SendServer(ServerRequest::Ping) => self.server(Code::Ok, "0 pong"),
                Effect::SendServer(_) => self.server(Code::Ok, "1"),
                _ => Vec::new(),
            };
            effects.extend(answered);
            done += 1;
        }
        effects
    }

    /// Answers LOCATE for a device of bob.
    fn locate_bob(&mut self) -> Vec<Effect> {
        self.server(Code::Ok, &format!("bob 10.0.0.2 4401 {} introduced", key(2)))
    }

    /// Returns a session that is fetching bob's first file.
    fn fetching() -> (TestSession, FetchFile) {
        let mut client = with_offer();
        client.get_file(1);
        let effects = client.locate_bob();
        let fetch = fetches(&effects)[0].clone();
        (client, fetch)
    }

    fn fetch_news(&mut self, fetch: &FetchFile, news: FetchNews) -> Vec<Effect> {
        self.put(Input::Fetch { transfer: fetch.transfer, news })
    }

    fn fails(&mut self, fetch: &FetchFile, why: FetchFailure) -> Vec<Effect> {
        self.fetch_news(fetch, FetchNews::Failed(why))
    }

    fn file(&self) -> &StoredFile {
        &self.disk.mail.files[0]
    }

    /// Lets time pass until the device of bob is located again, and answers.
    fn next_attempt(&mut self) -> FetchFile {
        for _ in 0..100 {
            let effects = self.wait();
            let effects = self.settle(effects);
            if asks_server(&effects, |request| matches!(request, ServerRequest::Locate { .. })) {
                return fetches(&self.locate_bob())[0].clone();
            }
        }
        panic!("nobody is asked for a file");
    }
}

#[test]
fn offer_is_recorded_and_shown_under_a_safe_name() {
    let mut client = TestSession::logged_in();
    client.post(&BOB, "hello", Outcome::Pushed);
    let effects = client.mail_of(&BOB, 7, offer(1));
    let events = told(&effects);
    let [Event::FileOffered { file, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((file.name.as_str(), file.size, file.own), (PHOTO, 3_000_000, false));
    assert_eq!((client.file().state, client.file().device), (FileState::Offered, key(2)));
    // A repetition is not shown, and the next run knows the file.
    assert_eq!(offers(&client.mail_of(&BOB, 8, offer(1))), []);
    client.crash();
    let (id, effects) = client.ask(Request::Files);
    let Ok(Reply::Files { files }) = answer(&effects, id).unwrap() else { panic!("{effects:?}") };
    assert_eq!((files.len(), files[0].state), (1, "offered"));
}

#[test]
fn offer_of_a_stranger_waits_for_approval() {
    let mut client = TestSession::logged_in();
    assert_eq!(offers(&client.mail_of(&BOB, 7, offer(1))), []);
    assert_eq!(client.disk.mail.files, []);
    client.crash();
    let (_, effects) = client.ask(Request::Approve(None));
    assert_eq!(offers(&effects), [offer(1).message_id()]);
    assert_eq!(client.disk.mail.files.len(), 1);
}

#[test]
fn file_is_fetched_from_the_very_device_that_offered_it() {
    let mut client = with_offer();
    let (id, effects) = client.get_file(1);
    assert!(matches!(answer(&effects, id), Some(Ok(Reply::FileWanted { .. }))), "{effects:?}");
    let locates = |request: &ServerRequest| matches!(request, ServerRequest::Locate { name, key: of } if name == "bob" && *of == key(2));
    assert!(asks_server(&effects, locates));
    let effects = client.locate_bob();
    let [fetch] = fetches(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!((fetch.to, fetch.key), ("10.0.0.2:4401".parse().unwrap(), key(2)));
    assert_eq!((fetch.name.as_str(), fetch.info), (PHOTO, info()));
    let fetch = fetch.clone();
    client.fetch_news(&fetch, begun());
    client.fetch_news(&fetch, FetchNews::Progress(1_048_576));
    let effects = client.fetch_news(&fetch, FetchNews::Saved("/d/photo.jpg".into()));
    let events = told(&effects);
    assert!(matches!(&events[..], [Event::FileDone { path: Some(_), .. }]), "{events:?}");
    assert_eq!((client.file().state, client.file().part.clone()), (FileState::Saved, None));
}

#[test]
fn address_of_another_key_is_not_used() {
    let mut client = with_offer();
    client.get_file(1);
    let effects = client.server(Code::Ok, &format!("bob 10.0.0.9 4401 {} introduced", key(9)));
    assert!(fetches(&effects).is_empty(), "{effects:?}");
}

#[test]
fn broken_transfer_goes_on_where_it_stopped() {
    let (mut client, fetch) = TestSession::fetching();
    client.fetch_news(&fetch, begun());
    client.fetch_news(&fetch, FetchNews::Left(PART, 2_097_152));
    assert_eq!(failed_with(&client.fails(&fetch, FetchFailure::Link)), None);
    let next = client.next_attempt();
    assert_eq!(
        (next.verified, next.part),
        (Some((PART, 2_097_152)), Some("/d/photo.jpg.part".into()))
    );
    // The next run verifies the part again.
    client.crash();
    // It begins at the last address, before the login.
    let first = FetchFile { transfer: TransferId(1), ..fetch.clone() };
    client.fails(&first, FetchFailure::Link);
    let next = client.next_attempt();
    assert_eq!((next.verified, next.part), (None, Some("/d/photo.jpg.part".into())));
    // News of the attempt that the crash ended are of no interest.
    let stale = FetchFile { transfer: TransferId(99), ..fetch };
    assert!(client.fetch_news(&stale, FetchNews::Saved("/x".into())).is_empty());
}

#[test]
fn attempts_become_rarer_until_something_comes() {
    let (mut client, mut fetch) = TestSession::fetching();
    let mut waits = Vec::new();
    for _ in 0..4 {
        let before_ms = client.now.boot_ms;
        client.fails(&fetch, FetchFailure::Link);
        fetch = client.next_attempt();
        waits.push(client.now.boot_ms - before_ms);
    }
    assert!(waits.is_sorted() && waits[3] > 2_000, "{waits:?}");
    // A link that brings nothing new is no progress.
    client.fetch_news(&fetch, begun());
    client.fetch_news(&fetch, FetchNews::Progress(0));
    let before_ms = client.now.boot_ms;
    client.fails(&fetch, FetchFailure::Link);
    fetch = client.next_attempt();
    assert!(client.now.boot_ms - before_ms > 2_000);
    client.fetch_news(&fetch, FetchNews::Progress(1_048_576));
    let before_ms = client.now.boot_ms;
    client.fails(&fetch, FetchFailure::Link);
    client.next_attempt();
    assert!(client.now.boot_ms - before_ms < 1_000);
}

#[test]
fn lasting_failures_end_the_transfer() {
    for (why, code) in [
        (FetchFailure::Refused(Refusal::Over), "file_over"),
        (FetchFailure::Refused(Refusal::Denied), "file_over"),
        (FetchFailure::Changed, "file_changed"),
        (FetchFailure::Invalid, "file_invalid"),
        (FetchFailure::DiskFull { needed: 2, free: 1 }, "disk_full"),
        (FetchFailure::File { path: "/d".into(), why: "it is away".into() }, "file"),
    ] {
        let (mut client, fetch) = TestSession::fetching();
        client.fetch_news(&fetch, begun());
        let effects = client.fails(&fetch, why);
        assert_eq!(failed_with(&effects), Some(code));
        assert!(matches!(client.file().state, FileState::Failed(_)));
        // What came is kept where it is of use.
        let deletes = effects.iter().any(|effect| matches!(effect, Effect::DeletePart(_)));
        assert_eq!(deletes, client.file().part.is_none(), "{code}");
        assert_eq!(deletes, !matches!(code, "disk_full" | "file"), "{code}");
        let (id, effects) = client.get_file(1);
        assert!(answer(&effects, id).unwrap().is_ok(), "the user may try again");
    }
}

#[test]
fn sender_who_does_not_know_the_file_is_given_up_at_last() {
    let (mut client, mut fetch) = TestSession::fetching();
    for _ in 0..4 {
        let effects = client.fails(&fetch, FetchFailure::Refused(Refusal::Unknown));
        assert_eq!(failed_with(&effects), None);
        fetch = client.next_attempt();
    }
    let effects = client.fails(&fetch, FetchFailure::Refused(Refusal::Unknown));
    assert_eq!(failed_with(&effects), Some("file_over"));
}

#[test]
fn device_that_left_the_server_is_tried_at_its_last_address() {
    let mut client = with_offer();
    // Its address is known from a chat.
    let link = client.chat_with("bob", 2);
    client.put(Input::Peer { link, message: PeerMessage::Bye });
    client.get_file(1);
    let effects = client.server(Code::NotHere, "not here");
    let to = fetches(&effects).first().map(|fetch| fetch.to);
    assert_eq!(to, Some("10.0.0.2:4401".parse().unwrap()));
}

#[test]
fn file_is_fetched_without_the_server() {
    let mut client = with_offer();
    let link = client.chat_with("bob", 2);
    client.put(Input::Peer { link, message: PeerMessage::Bye });
    client.put(Input::ServerLost);
    let (id, effects) = client.get_file(1);
    assert!(answer(&effects, id).unwrap().is_ok());
    assert_eq!(fetches(&effects).len(), 1);
}

#[test]
fn address_at_which_a_device_was_met_is_not_remembered() {
    for met in [None, Some(LinkPath::Direct), Some(LinkPath::Relay)] {
        let (mut client, fetch) = TestSession::fetching();
        if let Some(path) = met {
            client.fetch_news(&fetch, FetchNews::Met(path));
        }
        client.fetch_news(&fetch, begun());
        let bob = client.session.peers().get(&name("bob")).and_then(|bob| bob.receiver);
        assert_eq!(bob.is_some(), met.is_none(), "{met:?}");
    }
}

#[test]
fn eight_files_are_fetched_at_a_time() {
    let mut client = with_offer();
    for number in 2..=10 {
        client.mail_of(&BOB, 6 + number, offer(number));
    }
    // The server does not answer them.
    let mut located = 0;
    for number in 1..=10 {
        let (_, effects) = client.ask(Request::GetFile { id: digits(number), path: None });
        let locates = |request: &ServerRequest| matches!(request, ServerRequest::Locate { .. });
        located += usize::from(asks_server(&effects, locates));
    }
    assert_eq!(located, 8);
    let mut effects = Vec::new();
    while fetches(&effects).is_empty() {
        effects = client.locate_bob();
    }
    let fetch = fetches(&effects)[0].clone();
    let effects = client.fetch_news(&fetch, FetchNews::Saved("/d/photo.jpg".into()));
    assert!(asks_server(&effects, |request| matches!(request, ServerRequest::Locate { .. })));
}

#[test]
fn cancelled_transfer_stops_and_leaves_nothing() {
    let (mut client, fetch) = TestSession::fetching();
    client.fetch_news(&fetch, begun());
    let (_, effects) = client.get_file(1);
    assert!(fetches(&effects).is_empty(), "it is on its way already");
    let (_, effects) = client.ask(Request::CancelFile(digits(1)));
    assert!(
        effects.iter().any(
            |effect| matches!(effect, Effect::StopFetch(stopped) if *stopped == fetch.transfer)
        )
    );
    assert!(effects.iter().any(|effect| matches!(effect, Effect::DeletePart(_))));
    assert_eq!(client.file().state, FileState::Offered);
    client.ask(Request::CancelFile(digits(1)));
    assert_eq!(client.disk.mail.files, []);
    let (id, effects) = client.get_file(1);
    assert_eq!(code(&effects, id), "no_such_file");
}

#[test]
fn account_stays_open_while_a_file_is_on_its_way() {
    let (mut client, fetch) = TestSession::fetching();
    let (_, effects) = client.ask(Request::Leave);
    assert!(!closes_account(&effects));
    let effects = client.fetch_news(&fetch, FetchNews::Saved("/d/photo.jpg".into()));
    assert!(closes_account(&effects));
}

#[test]
fn forgotten_offers_are_the_oldest_that_nobody_wants() {
    let (mut client, _) = TestSession::fetching();
    for number in 2..=300 {
        client.mail_of(&BOB, 6 + number, offer(number));
        client.answer_acknowledgement();
    }
    let files = &client.disk.mail.files;
    assert_eq!(files.len(), 256);
    assert_eq!(files[0].id, offer(1).message_id(), "the wanted one");
    assert_eq!(files.last().unwrap().id, offer(300).message_id());
    assert_eq!(FileName::reduced(PHOTO), files[0].name);
}
