//! The service with a real database and real hashes, and with stores that hang, fail or panic.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use letschat_protocol::dialogue::{AccountKeys, DeviceEntries, Secret};
use letschat_protocol::identity::{Identity, PublicKey};
use letschat_protocol::prekey::SignedPrekey;
use letschat_protocol::username::Username;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::store::mailbox::{
    Acknowledgement, ListChange, ListChanged, MailPage, MailQuery, MailRequest, Mailbox,
    MailboxUsage, NewEnvelope, Placements,
};
use crate::store::sqlite::Sqlite;
use crate::store::{
    Account, Created, NewBroadcast, PasswordChange, StoreError, StoredLog, Unavailable, Verdict,
};

/// A service and its answers so far.
struct Bench {
    service: StoreService,
    answers: Receiver<StoreAnswer>,
}

/// The timeout after which an answer counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(60);

impl Bench {
    fn with(store: impl Store + 'static) -> Bench {
        let (sender, answers) = mpsc::channel();
        let answer = move |answer| sender.send(answer).unwrap_or_default();
        Bench { service: StoreService::start(Box::new(store), answer).unwrap(), answers }
    }

    fn submit(&self, request: StoreRequest) {
        assert_eq!(self.service.submit(request), Ok(()));
    }

    fn ask(&self, request: StoreRequest) -> StoreAnswer {
        self.submit(request);
        self.next()
    }

    fn next(&self) -> StoreAnswer {
        self.answers.recv_timeout(LOST_AFTER).expect("an answer")
    }

    /// Stops the service and returns the remaining answers.
    fn stop(self) -> Vec<StoreAnswer> {
        self.service.stop();
        self.answers.iter().collect()
    }
}

fn database() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letschat.db");
    (folder, path)
}

const RIGHT: &str = "correct horse battery";
const WRONG: &str = "incorrect horse battery";

fn name(text: &str) -> Username {
    text.parse().unwrap()
}

fn key(seed: u8) -> PublicKey {
    Identity::from_seed(&[seed; 32]).public_key()
}

fn sign_up(connection: u64, username: &str) -> StoreRequest {
    let (connection, password) = (ConnectionId(connection), Secret(RIGHT.into()));
    StoreRequest::SignUp { connection, username: name(username), password }
}

fn log_in(connection: u64, username: Option<&str>, password: &str) -> StoreRequest {
    StoreRequest::CheckPassword {
        connection: ConnectionId(connection),
        username: username.map(name),
        password: Secret(password.into()),
        key: None,
    }
}

fn log_in_with_key(username: &str, password: &str, key: PublicKey) -> StoreRequest {
    StoreRequest::CheckPassword {
        connection: ConnectionId(1),
        username: Some(name(username)),
        password: Secret(password.into()),
        key: Some(key),
    }
}

fn change_password(username: &str, password: &str, new: &str, key: PublicKey) -> StoreRequest {
    StoreRequest::ChangePassword(Box::new(PasswordChange {
        connection: ConnectionId(1),
        username: name(username),
        password: Secret(password.into()),
        new: Secret(new.into()),
        key: Some(key),
    }))
}

fn check_key(connection: u64, username: &str, key: PublicKey) -> StoreRequest {
    StoreRequest::CheckKey {
        connection: ConnectionId(connection),
        username: name(username),
        key,
        claim: false,
    }
}

fn append(time_ms: u64) -> StoreRequest {
    let (sender, text) = (name("alice"), "hi".to_owned());
    let broadcast = NewBroadcast { sender, time_ms, text, boot_ms: 1, boot_id: 1 };
    StoreRequest::Append { after: 0, broadcasts: vec![broadcast] }
}

fn acknowledge() -> MailRequest {
    let (username, device, numbers) = (name("alice"), key(1), vec![1]);
    let acknowledgement = Acknowledgement { username, device, numbers };
    MailRequest::Acknowledge { acknowledgements: vec![Arc::new(acknowledgement)] }
}

fn signed_up(connection: u64, result: Result<Created, Unavailable>) -> StoreAnswer {
    StoreAnswer::SignedUp { connection: ConnectionId(connection), result }
}

fn checked(connection: u64, result: Result<Verdict, Unavailable>) -> StoreAnswer {
    StoreAnswer::Checked { connection: ConnectionId(connection), result }
}

#[test]
fn a_new_account_opens_with_its_password_only() {
    let (_folder, path) = database();
    let bench = Bench::with(Sqlite::open(&path).unwrap());
    assert_eq!(bench.ask(sign_up(1, "alice")), signed_up(1, Ok(Created::New)));
    assert_eq!(bench.ask(sign_up(2, "alice")), signed_up(2, Ok(Created::Taken)));
    for (username, password, verdict) in [
        (Some("alice"), RIGHT, Verdict::Accepted),
        (Some("alice"), WRONG, Verdict::Refused),
        (Some("nobody"), RIGHT, Verdict::Refused),
        (None, RIGHT, Verdict::Refused),
    ] {
        let answer = bench.ask(log_in(3, username, password));
        assert_eq!(answer, checked(3, Ok(verdict)), "{username:?} {password}");
    }
}

#[test]
fn changed_password_forgets_all_other_keys() {
    let (_folder, path) = database();
    let bench = Bench::with(Sqlite::open(&path).unwrap());
    bench.ask(sign_up(1, "alice"));
    bench.ask(log_in_with_key("alice", RIGHT, key(1)));
    bench.ask(log_in_with_key("alice", RIGHT, key(2)));
    let changed = |verdict| StoreAnswer::PasswordChanged {
        connection: ConnectionId(1),
        username: "alice".parse().unwrap(),
        result: Ok(verdict),
    };
    let other = "other horse battery";
    let wrong = change_password("alice", WRONG, other, key(1));
    assert_eq!(bench.ask(wrong), changed(Verdict::Refused));
    let nobody = bench.ask(change_password("nobody", RIGHT, other, key(1)));
    let refused = Ok(Verdict::Refused);
    assert!(matches!(nobody, StoreAnswer::PasswordChanged { result, .. } if result == refused));
    assert_eq!(bench.ask(check_key(1, "alice", key(2))), checked(1, Ok(Verdict::Accepted)));

    let right = change_password("alice", RIGHT, other, key(1));
    assert_eq!(bench.ask(right), changed(Verdict::Accepted));
    assert_eq!(bench.ask(log_in(1, Some("alice"), RIGHT)), checked(1, Ok(Verdict::Refused)));
    assert_eq!(bench.ask(log_in(1, Some("alice"), other)), checked(1, Ok(Verdict::Accepted)));
    assert_eq!(bench.ask(check_key(1, "alice", key(1))), checked(1, Ok(Verdict::Accepted)));
    assert_eq!(bench.ask(check_key(1, "alice", key(2))), checked(1, Ok(Verdict::Refused)));
}

#[test]
fn the_right_password_adds_the_key_and_a_wrong_one_does_not() {
    let (_folder, path) = database();
    let bench = Bench::with(Sqlite::open(&path).unwrap());
    bench.ask(sign_up(1, "alice"));
    assert_eq!(
        bench.ask(log_in_with_key("alice", WRONG, key(1))),
        checked(1, Ok(Verdict::Refused))
    );
    assert_eq!(bench.ask(check_key(2, "alice", key(1))), checked(2, Ok(Verdict::Refused)));
    assert_eq!(
        bench.ask(log_in_with_key("alice", RIGHT, key(1))),
        checked(1, Ok(Verdict::Accepted))
    );
    assert_eq!(bench.ask(check_key(2, "alice", key(1))), checked(2, Ok(Verdict::Accepted)));
}

#[test]
fn a_ban_is_told_to_the_right_password_only() {
    let (_folder, path) = database();
    let bench = Bench::with(Sqlite::open(&path).unwrap());
    bench.ask(sign_up(1, "alice"));
    Connection::open(&path).unwrap().execute("UPDATE accounts SET banned = 1", []).unwrap();
    assert_eq!(bench.ask(log_in(1, Some("alice"), WRONG)), checked(1, Ok(Verdict::Refused)));
    assert_eq!(bench.ask(log_in(1, Some("alice"), RIGHT)), checked(1, Ok(Verdict::Banned)));
    let with_key = log_in_with_key("alice", RIGHT, key(1));
    assert_eq!(bench.ask(with_key), checked(1, Ok(Verdict::Banned)));
    // Otherwise the key would work once the ban is lifted.
    assert_eq!(bench.ask(check_key(2, "alice", key(1))), checked(2, Ok(Verdict::Refused)));
}

#[test]
fn of_many_who_want_a_name_at_once_one_gets_it() {
    let (_folder, path) = database();
    let bench = Bench::with(Sqlite::open(&path).unwrap());
    let connections = 1..=6;
    connections.clone().for_each(|connection| bench.submit(sign_up(connection, "alice")));
    let answers: Vec<StoreAnswer> = connections.clone().map(|_| bench.next()).collect();
    let won = |answer: &&StoreAnswer| {
        matches!(answer, StoreAnswer::SignedUp { result: Ok(Created::New), .. })
    };
    assert_eq!(answers.iter().filter(won).count(), 1, "{answers:?}");
    let answered: BTreeSet<ConnectionId> = answers.iter().map(asker).collect();
    assert_eq!(answered, connections.map(ConnectionId).collect());
}

#[test]
fn stopping_commits_what_the_log_asked() {
    let (_folder, path) = database();
    let bench = Bench::with(Sqlite::open(&path).unwrap());
    (1..=20).for_each(|time_ms| bench.submit(append(time_ms)));
    bench.submit(StoreRequest::Forget { through: 18 });
    let appended = |number| StoreAnswer::Appended { result: Ok(number) };
    assert_eq!(bench.stop(), (1..=20).map(appended).collect::<Vec<_>>());
    let log = Sqlite::open(&path).unwrap().load_log().unwrap();
    assert_eq!((log.head, log.entries.len()), (20, 2));
}

#[test]
fn stopping_answers_everybody_once() {
    let (_folder, path) = database();
    let bench = Bench::with(Sqlite::open(&path).unwrap());
    let connections = 1..=40;
    connections.clone().for_each(|one| bench.submit(sign_up(one, &format!("user{one}"))));
    let answers = bench.stop();
    assert_eq!(answers.len(), 40);
    assert_eq!(
        answers.iter().map(asker).collect::<BTreeSet<_>>(),
        connections.map(ConnectionId).collect()
    );
    let mut store = Sqlite::open(&path).unwrap();
    for answer in answers {
        let there = store.account(&name(&format!("user{}", asker(&answer).0))).unwrap().is_some();
        let told = answer
            == StoreAnswer::SignedUp { connection: asker(&answer), result: Ok(Created::New) };
        assert_eq!(there, told, "{answer:?}");
    }
}

fn asker(answer: &StoreAnswer) -> ConnectionId {
    match answer {
        StoreAnswer::SignedUp { connection, .. }
        | StoreAnswer::Checked { connection, .. }
        | StoreAnswer::PasswordChanged { connection, .. }
        | StoreAnswer::PasswordInDoubt { connection, .. } => *connection,
        StoreAnswer::Appended { .. } | StoreAnswer::Mail(_) | StoreAnswer::Cluster(_) => {
            panic!("nobody asked for {answer:?}")
        }
    }
}

#[test]
fn a_full_queue_gives_the_request_back_at_once() {
    let (store, gate) = gated();
    let bench = Bench::with(store);
    bench.submit(check_key(0, "alice", key(1)));
    gate.entered.recv_timeout(LOST_AFTER).unwrap();
    let waiting = MAX_WAITING as u64;
    (1..=waiting).for_each(|connection| bench.submit(check_key(connection, "alice", key(1))));
    let refused = check_key(waiting + 1, "alice", key(1));
    assert_eq!(bench.service.submit(refused.clone()), Err(refused.clone()));
    assert_eq!(unavailable(&refused), Some(checked(waiting + 1, Err(Unavailable))));

    drop(gate);
    let answered: Vec<ConnectionId> = (0..=waiting).map(|_| asker(&bench.next())).collect();
    assert_eq!(answered, (0..=waiting).map(ConnectionId).collect::<Vec<_>>());
    assert_eq!(bench.stop(), []);
}

#[test]
fn whoever_has_gone_is_not_answered() {
    let (store, gate) = gated();
    let bench = Bench::with(store);
    bench.submit(check_key(1, "alice", key(1)));
    gate.entered.recv_timeout(LOST_AFTER).unwrap();
    bench.submit(check_key(2, "alice", key(1)));
    bench.submit(check_key(3, "alice", key(1)));
    bench.service.cancel(ConnectionId(2));

    drop(gate);
    let accepted = |connection| checked(connection, Ok(Verdict::Accepted));
    assert_eq!([bench.next(), bench.next()], [accepted(1), accepted(3)]);
    assert_eq!(bench.stop(), []);
}

#[test]
fn a_store_that_fails_is_unavailable_and_is_asked_again() {
    let mut failures = vec![StoreError::Database("away".into())];
    let bench = Bench::with(Keys(move || failures.pop().map_or(Ok(Verdict::Accepted), Err)));
    assert_eq!(bench.ask(check_key(1, "alice", key(1))), checked(1, Err(Unavailable)));
    assert_eq!(bench.ask(check_key(2, "alice", key(1))), checked(2, Ok(Verdict::Accepted)));
}

#[test]
fn a_store_that_panics_is_unavailable_and_is_asked_again() {
    let mut calls = 0;
    let bench = Bench::with(Keys(move || {
        calls += 1;
        assert_ne!(calls, 1, "a panic that this test provokes");
        Ok(Verdict::Accepted)
    }));
    assert_eq!(bench.ask(check_key(1, "alice", key(1))), checked(1, Err(Unavailable)));
    assert_eq!(bench.ask(check_key(2, "alice", key(1))), checked(2, Ok(Verdict::Accepted)));
}

#[test]
fn each_request_fails_in_its_own_words() {
    let bench = Bench::with(Keys(|| Err(StoreError::Database("away".into()))));
    assert_eq!(bench.ask(sign_up(1, "alice")), signed_up(1, Err(Unavailable)));
    assert_eq!(bench.ask(log_in(2, Some("alice"), RIGHT)), checked(2, Err(Unavailable)));
    assert_eq!(bench.ask(append(1)), StoreAnswer::Appended { result: Err(Unavailable) });
    let post = MailRequest::Post { after: 0, envelopes: Vec::new() };
    let expired = MailRequest::Expire { through_ms: 1 };
    for request in [post, expired, acknowledge()] {
        let expected = StoreAnswer::Mail(request.unavailable());
        assert_eq!(bench.ask(StoreRequest::Mail(request)), expected);
    }
    bench.submit(StoreRequest::Forget { through: 1 });
    assert_eq!(bench.stop(), []);
}

#[test]
fn a_hashing_thread_gives_way() {
    let niceness = |prepare: fn()| {
        let measure = move || {
            prepare();
            getpriority_process(Some(rustix::thread::gettid())).unwrap()
        };
        thread::spawn(measure).join().unwrap()
    };
    const LOWEST: i32 = 19;
    assert_eq!(niceness(give_way), (niceness(|| {}) + HASHING_NICENESS).min(LOWEST));
}

#[test]
fn what_is_logged_of_a_request_shows_no_password() {
    let shown = format!("{:?}", (sign_up(1, "alice"), log_in(1, None, WRONG)));
    assert!(!shown.contains("horse"), "{shown}");
}

/// A store that only knows about keys, with a function that checks them. Everything else fails.
struct Keys<F>(F);

/// The test's handle on a store that hangs until this is dropped.
struct Gate {
    entered: Receiver<()>,
    _closed: Sender<()>,
}

fn gated() -> (impl Store + 'static, Gate) {
    let (enter, entered) = mpsc::channel();
    let (closed, opened) = mpsc::channel::<()>();
    let store = Keys(move || {
        let _ = enter.send(());
        let _ = opened.recv();
        Ok(Verdict::Accepted)
    });
    (store, Gate { entered, _closed: closed })
}

fn away<T>() -> Result<T, StoreError> {
    Err(StoreError::Database("only keys are here".into()))
}

impl<F: FnMut() -> Result<Verdict, StoreError> + Send> Store for Keys<F> {
    fn create_account(&mut self, _: &Username, _: &str, _: u64) -> Result<Created, StoreError> {
        away()
    }

    fn account(&mut self, _: &Username) -> Result<Option<Account>, StoreError> {
        away()
    }

    fn set_password(
        &mut self,
        _: &Username,
        _: &str,
        _: Option<&PublicKey>,
    ) -> Result<bool, StoreError> {
        away()
    }

    fn admit(
        &mut self,
        _: &Username,
        _: &str,
        _: Option<&PublicKey>,
        _: u64,
    ) -> Result<Verdict, StoreError> {
        away()
    }

    fn replace_password(
        &mut self,
        _: &Username,
        _: &str,
        _: &str,
        _: Option<&PublicKey>,
    ) -> Result<Verdict, StoreError> {
        away()
    }

    fn add_key(&mut self, _: &Username, _: &PublicKey, _: u64) -> Result<(), StoreError> {
        away()
    }

    fn check_key(&mut self, _: &Username, _: &PublicKey, _: u64) -> Result<Verdict, StoreError> {
        (self.0)()
    }

    fn claim_name(&mut self, _: &Username, _: &PublicKey, _: u64) -> Result<Verdict, StoreError> {
        away()
    }

    fn load_log(&mut self) -> Result<StoredLog, StoreError> {
        away()
    }

    fn append(&mut self, _: u64, _: &[NewBroadcast]) -> Result<u64, StoreError> {
        away()
    }

    fn forget(&mut self, _: u64) -> Result<(), StoreError> {
        away()
    }
}

impl<F: FnMut() -> Result<Verdict, StoreError> + Send> Mailbox for Keys<F> {
    fn publish_prekey(
        &mut self,
        _: &Username,
        _: &PublicKey,
        _: &SignedPrekey,
    ) -> Result<bool, StoreError> {
        away()
    }

    fn prekeys(&mut self, _: &Username) -> Result<Option<AccountKeys>, StoreError> {
        away()
    }

    fn device_entries(
        &mut self,
        _: &Username,
        _: u64,
    ) -> Result<Option<DeviceEntries>, StoreError> {
        away()
    }

    fn change_list(&mut self, _: &ListChange) -> Result<ListChanged, StoreError> {
        away()
    }

    fn post(&mut self, _: u64, _: &[Arc<NewEnvelope>]) -> Result<Vec<Placements>, StoreError> {
        away()
    }

    fn waiting_mail(&mut self, _: &MailQuery) -> Result<MailPage, StoreError> {
        away()
    }

    fn acknowledge(&mut self, _: &[Arc<Acknowledgement>]) -> Result<Vec<u64>, StoreError> {
        away()
    }

    fn expire_mail(&mut self, _: u64) -> Result<bool, StoreError> {
        away()
    }

    fn usage(&mut self) -> Result<MailboxUsage, StoreError> {
        away()
    }
}
