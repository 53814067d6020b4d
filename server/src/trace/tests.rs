//! Whatever is said to a server, a hub that is told its trace does the same.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::Path;

use letschat_protocol::dialogue::{Credentials, Request, Secret};
use letschat_protocol::frame::{Decoder, Mode};
use letschat_protocol::identity::{Fingerprint, Identity, LoginStatement};
use proptest::prelude::*;

use super::replay::{Replay, Step};
use super::*;
use crate::hub::{ConnectionId, Gone, Operator};
use crate::store::{Created, StoreAnswer, StoreRequest, Verdict};

const PASSWORD: &str = "correct horse battery";

/// What people and programs say, where it belongs and where it does not.
const LINES: &[&str] = &[
    "HELLO",
    "HELLO",
    "HELLO letschat/1",
    "LOGIN",
    "LOGIN",
    "login take",
    "LOGIN alice",
    "SIGNUP",
    "sign up",
    "alice",
    "alice",
    "carol",
    "Not a Name 5!",
    PASSWORD,
    PASSWORD,
    PASSWORD,
    "password1",
    "short",
    "tab\tand return\r in it",
    "a word +5",
    "LIST",
    "LIST AFTER a",
    "list after 5!",
    "BROADCAST",
    "BROADCAST",
    "broadcast   words of  mine ",
    "BROADCAST +9\nein \u{fc}ber\u{200b}\n",
    "BROADCAST now +3\nyes",
    "  \u{202e} words when asked ",
    "CONNECT",
    "CONNECT alice",
    "CONNECT 10.0.0.300",
    "connect nobody at all",
    "WATCH",
    "WATCH no",
    "HELP me",
    "words in the air",
    "REPLAY FROM 0",
    "PING",
    "QUIT",
    "",
    "   ",
];

fn birth() -> Birth {
    let fingerprint = Fingerprint::of_spki(b"traced");
    Birth { fingerprint, udp_port: 4400, boot_id: 1, seed: [3; 32] }
}

/// What a program asks that knows how.
fn requests(connection: ConnectionId) -> [Request; 4] {
    let secret = |text: &str| Secret(text.into());
    let username = if connection.0.is_multiple_of(2) { "alice" } else { "bob" };
    let identity = Identity::from_seed(&[5; 32]);
    let statement = LoginStatement {
        server: &birth().fingerprint,
        username: &username.parse().unwrap(),
        binding: &[connection.0 as u8; 32],
    };
    let credentials = Credentials {
        key: identity.public_key(),
        signature: identity.sign_login(&statement),
        port: 4401,
        take: true,
    };
    let (password, name) = (secret(PASSWORD), username.to_owned());
    let new = secret("battery horse correct");
    [
        Request::Login { username: name.clone(), credentials, password: password.clone() },
        Request::SignUp { username: name, password: password.clone(), repeated: password.clone() },
        Request::ChangePassword { password, new: new.clone(), repeated: new },
        Request::Broadcast { text: "what a program has to say".into() },
    ]
}

/// A hub with a trace, a driver that keeps its promises, and a store that agrees or not.
struct Talk {
    hub: Hub,
    trace: Trace,
    now: Now,
    wanted: BTreeMap<ConnectionId, Mode>,
    store: VecDeque<StoreRequest>,
    accepted: u64,
}

impl Talk {
    fn begin(file: &Path) -> Talk {
        let now = Now { boot_ms: 1_000_000, wall_ms: 1_763_700_000_000 };
        let log = StoredLog { epoch: 9, head: 0, entries: Vec::new() };
        let stand_ins = StandIns::new(&[7; 32]);
        let parts = (Settings::default(), birth(), log, now);
        let (trace, hub) = Trace::begin(file, stand_ins, parts).unwrap();
        let (wanted, store) = (BTreeMap::new(), VecDeque::new());
        Talk { hub, trace, now, wanted, store, accepted: 0 }
    }

    fn handle(&mut self, input: Input) {
        for effect in self.trace.handle(&mut self.hub, self.now, input) {
            match effect {
                Effect::Read { connection, mode } => {
                    self.wanted.insert(connection, mode);
                }
                Effect::Close { connection } => {
                    self.wanted.remove(&connection);
                }
                Effect::Store(request) => self.store.push_back(request),
                _ => {}
            }
        }
    }

    fn arrive(&mut self) {
        self.accepted += 1;
        let connection = ConnectionId(self.accepted);
        let (peer, local) = (([10, 0, 0, 1], 5_000).into(), [10, 0, 0, 9].into());
        self.handle(Input::Accepted { connection, peer, local });
        self.handle(Input::Secured { connection, binding: [connection.0 as u8; 32] });
    }

    fn say(&mut self, who: usize, bytes: impl FnOnce(ConnectionId) -> Vec<u8>) {
        let waiting: Vec<ConnectionId> = self.wanted.keys().copied().collect();
        if waiting.is_empty() && self.store.is_empty() {
            self.arrive();
        } else if let Some(connection) = waiting.get(who % waiting.len().max(1)).copied() {
            let mode = self.wanted.remove(&connection).unwrap();
            let mut decoder = Decoder::new();
            decoder.extend(&bytes(connection));
            if let Some(line) = decoder.next(mode).transpose() {
                self.handle(Input::Line { connection, line });
            }
        }
    }

    fn answer(&mut self, agrees: bool) {
        let verdict = Ok(if agrees { Verdict::Accepted } else { Verdict::Refused });
        let answer = match self.store.pop_front() {
            Some(StoreRequest::SignUp { connection, .. }) => {
                StoreAnswer::SignedUp { connection, result: Ok(Created::New) }
            }
            Some(
                StoreRequest::CheckPassword { connection, .. }
                | StoreRequest::CheckKey { connection, .. },
            ) => StoreAnswer::Checked { connection, result: verdict },
            Some(StoreRequest::ChangePassword(change)) => {
                StoreAnswer::PasswordChanged { connection: change.connection, result: verdict }
            }
            Some(StoreRequest::Append { .. }) => StoreAnswer::Appended { result: Ok(()) },
            Some(StoreRequest::Forget { .. }) | None => return,
        };
        self.handle(Input::Stored(answer));
    }

    fn step(&mut self, (what, which): (u8, usize)) {
        self.now.boot_ms += 40;
        self.now.wall_ms += 40;
        match what {
            0 => self.arrive(),
            1 => self.say(which, |id| requests(id)[which / 3 % 4].to_frame().to_bytes()),
            2 => {
                let text = format!("the operator's {which}");
                self.handle(Input::Operator(Operator::Say(text)));
                self.handle(Input::Operator(Operator::Stats));
            }
            3 => self.handle(Input::Tick),
            4 if which.is_multiple_of(9) => {
                let connection = ConnectionId(which as u64 % self.accepted.max(1));
                self.wanted.remove(&connection);
                self.handle(Input::Gone { connection, why: Gone::Ended });
            }
            4..8 => self.answer(!which.is_multiple_of(5)),
            _ => self.say(which, |_| format!("{}\n", LINES[which / 3 % LINES.len()]).into_bytes()),
        }
    }
}

fn replayed(file: &Path) -> Vec<Step> {
    let written = fs::read(file).unwrap();
    Replay::new(&written[..]).map(|step| step.unwrap()).collect()
}

proptest! {
    #[test]
    fn whatever_is_said_is_replayed_to_the_same(
        steps in prop::collection::vec((0_u8..16, 0_usize..400), 40..200),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("trace");
        let mut talk = Talk::begin(&file);
        talk.arrive();
        talk.arrive();
        steps.into_iter().for_each(|step| talk.step(step));
        drop(talk);
        let replayed = replayed(&file);
        prop_assert!(replayed.len() >= 4);
        for step in replayed {
            prop_assert_eq!(step.same, Some(true), "{:?}", step);
        }
        let written = fs::read_to_string(&file).unwrap();
        for secret in [PASSWORD, "words", "operator's", "has to say"] {
            prop_assert!(!written.contains(secret), "{} is in the trace", secret);
        }
    }
}

#[test]
fn a_trace_goes_on_after_a_server_that_was_killed_in_the_middle_of_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace");
    Talk::begin(&file).arrive();
    let written = fs::read_to_string(&file).unwrap();
    fs::write(&file, &written[..written.len() - 9]).unwrap();
    assert_eq!(replayed(&file).last().unwrap().same, None);
    Talk::begin(&file).arrive();
    let same: Vec<Option<bool>> = replayed(&file).iter().map(|step| step.same).collect();
    assert_eq!(same, [Some(true), None, Some(true), Some(true)]);
}

#[test]
fn what_the_hub_panics_at_is_the_last_of_the_trace() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace");
    let mut talk = Talk::begin(&file);
    talk.arrive();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _finished = FinishedByPanic(&mut talk.trace.writer);
        panic!("as a hub might");
    }));
    assert!(panicked.is_err());
    // The trace itself still lives: nothing else has written the rest.
    assert_eq!(replayed(&file).len(), 2);
    drop(talk);
}

#[test]
fn what_is_no_file_is_refused_and_left_as_it_is() {
    let refused = super::private_file(std::path::Path::new("/dev/null")).unwrap_err();
    assert!(refused.to_string().contains("no regular file"), "{refused}");
}
