mod damage;

use std::fs;
use std::path::PathBuf;

use letschat_core::conversation::ConversationId;
use letschat_core::event::Event;
use letschat_core::failure::Failure;
use letschat_core::history::{HistoryFailure, HistoryStatus, Older};
use letschat_core::session::Reply;
use letschat_protocol::dialogue::Secret;
use letschat_protocol::message_id::MessageId;
use tempfile::TempDir;

use super::sealing::tests::message;
use super::*;
use crate::sqlite::with_suffix;

const NOW_MS: u64 = 20_000 * DAY_MS;

/// A history whose work is done at once.
struct Kept {
    folder: TempDir,
    days: Option<u32>,
    history: Option<History>,
    now_ms: u64,
    next_request: u64,
    notices: Vec<Notice>,
    loaded: Vec<String>,
}

impl Kept {
    fn new() -> Kept {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept {
            folder,
            days: None,
            history: None,
            now_ms: NOW_MS,
            next_request: 0,
            notices: Vec::new(),
            loaded: Vec::new(),
        };
        kept.open().unwrap();
        kept
    }

    fn place(&self) -> Place {
        Place {
            top: self.folder.path().to_owned(),
            folder: self.folder.path().to_owned(),
            username: "alice".parse().unwrap(),
            days: self.days,
        }
    }

    /// Opens the history as the next run does.
    fn open(&mut self) -> Result<(), HistoryError> {
        self.history = None;
        self.loaded.clear();
        let (history, notice) = History::open(self.place(), self.now_ms)?;
        self.notices.extend(notice);
        self.history = Some(history);
        self.work();
        Ok(())
    }

    /// Does the waiting work. Returns the last answer.
    fn work(&mut self) -> Option<Result<Reply, Failure>> {
        let mut last = None;
        let history = self.history.as_mut().unwrap();
        while let Some(work) = history.next_work() {
            assert!(history.next_work().is_none(), "one thing at a time");
            let report = work.run(|| true);
            last = report.answer.map(|(_, result)| result).or(last);
            let loaded = history.take(report.news).unwrap();
            self.loaded.extend(loaded.into_iter().map(|one| one.message.text));
            self.notices.extend(history.write(self.now_ms).unwrap());
        }
        last
    }

    fn act(&mut self, action: HistoryAction) -> Result<Reply, Failure> {
        self.next_request += 1;
        assert!(self.history.as_mut().unwrap().add(RequestId(self.next_request), action));
        self.work().unwrap()
    }

    fn hear(&mut self, number: u64, with: &str, text: &str) {
        self.history.as_mut().unwrap().note(&event(number, with, text));
        let notice = self.history.as_mut().unwrap().write(self.now_ms).unwrap();
        self.notices.extend(notice);
        self.work();
    }

    fn texts(&mut self, action: HistoryAction) -> Vec<String> {
        match self.act(action) {
            Ok(Reply::Found { messages, unreadable: 0 }) => {
                messages.into_iter().map(|one| one.text).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    fn search(&mut self, text: &str) -> Vec<String> {
        self.texts(HistoryAction::Search(text.into()))
    }

    fn files(&self) -> impl Iterator<Item = (PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| {
            let path = entry.unwrap().path();
            let content = fs::read(&path).unwrap();
            (path, content)
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn set_passphrase(&mut self, passphrase: &str) -> Result<Reply, Failure> {
        let secret = Secret(passphrase.into());
        self.act(HistoryAction::SetPassphrase(Some((secret.clone(), secret))))
    }

    fn unlock(&mut self, passphrase: &str) -> Result<Reply, Failure> {
        self.act(HistoryAction::Unlock(Some(Secret(passphrase.into()))))
    }
}

fn event(number: u64, with: &str, text: &str) -> Event {
    let HistoryMessage { conversation, message } = message(number, with, text);
    Event::Message {
        from: message.from,
        number: None,
        text: text.into(),
        time_ms: number,
        sent_ms: number,
        conversation,
        id: message.id,
        own: false,
        device: None,
        via: message.via,
    }
}

fn person(name: &str) -> ConversationId {
    name.parse().unwrap()
}

fn refused(why: HistoryFailure) -> Result<Reply, Failure> {
    Err(Failure::History(why))
}

#[test]
fn search_finds_the_last_messages_of_all_conversations() {
    let mut kept = Kept::new();
    for number in 0..30 {
        kept.hear(3 * number, "bob", &format!("tea {number}"));
        kept.hear(3 * number + 1, "#team", &format!("coffee {number}"));
    }
    let found = kept.search("TEA");
    assert_eq!((found.len(), found[0].as_str(), found[19].as_str()), (20, "tea 10", "tea 29"));
    assert_eq!(
        kept.search("2 coffee"),
        ["coffee 2", "coffee 12"]
            .map(String::from)
            .into_iter()
            .chain((20..30).map(|number| format!("coffee {number}")))
            .collect::<Vec<_>>()
    );
    assert_eq!(kept.search("water"), Vec::<String>::new());
    assert_eq!(kept.act(HistoryAction::Search(" ".into())), refused(HistoryFailure::NoWords));
    assert_eq!(kept.texts(HistoryAction::Show(Some(person("#team")))).len(), 20);
    assert_eq!(kept.texts(HistoryAction::Show(None))[18..], ["tea 29", "coffee 29"]);
}

#[test]
fn older_messages_are_those_before_the_first_that_is_there() {
    let mut kept = Kept::new();
    for number in 0..30 {
        kept.hear(2 * number, "bob", &format!("tea {number}"));
        kept.hear(2 * number + 1, "#team", &format!("coffee {number}"));
    }
    let mut older = |before: Option<u64>, back_to: Option<u64>, most| {
        let of = |number: u64| MessageId::of_broadcast(1, 2 * number);
        let (before, back_to) = (before.map(of), back_to.map(of));
        let (with, most_bytes) = (person("bob"), 20);
        let older = Older { with, before, back_to, most, most_bytes };
        kept.texts(HistoryAction::Older(older))
    };
    assert_eq!(older(None, None, 2), ["tea 28", "tea 29"]);
    assert_eq!(older(Some(28), None, 3), ["tea 25", "tea 26", "tea 27"]);
    assert_eq!(older(Some(28), Some(26), 20), ["tea 26", "tea 27"]);
    assert_eq!(older(Some(2), None, 20), ["tea 0", "tea 1"]);
    // Three of these texts have at most twenty bytes.
    assert_eq!(older(Some(20), None, 20), ["tea 17", "tea 18", "tea 19"]);
    // One that the history does not have.
    assert_eq!(older(Some(40), None, 20), Vec::<String>::new());
}

#[test]
fn next_run_finds_and_loads_what_was_kept_once() {
    let mut kept = Kept::new();
    kept.hear(1, "bob", "hello");
    kept.open().unwrap();
    // The server repeats what was not acknowledged.
    kept.hear(1, "bob", "hello");
    kept.hear(2, "bob", "again");
    assert_eq!(kept.loaded, ["hello"]);
    assert_eq!(kept.search("hello"), ["hello"]);
    kept.open().unwrap();
    assert_eq!(kept.loaded, ["hello", "again"]);
}

#[test]
fn no_file_holds_a_word_or_a_name() {
    let mut kept = Kept::new();
    kept.hear(1, "barbarossa", "the treasure is below the oak");
    let holds = |kept: &Kept, word: &str| {
        kept.files()
            .any(|(_, content)| content.windows(word.len()).any(|part| part == word.as_bytes()))
    };
    let check = |kept: &Kept| {
        assert!(holds(kept, "SQLite format 3"), "the files are looked at");
        for word in ["treasure", "oak", "barbarossa"] {
            assert!(!holds(kept, word), "{word}");
        }
    };
    check(&kept);
    kept.open().unwrap();
    check(&kept);
}

#[test]
fn passphrase_is_needed_to_read_and_not_to_write() {
    let mut kept = Kept::new();
    kept.hear(1, "bob", "before");
    assert_eq!(kept.unlock("correct horse"), refused(HistoryFailure::NotLocked));
    assert!(matches!(
        kept.set_passphrase("short"),
        Err(Failure::History(HistoryFailure::PassphraseWeak(_)))
    ));
    let (new, other) = (Secret("correct horse".into()), Secret("correct hose".into()));
    let differing = HistoryAction::SetPassphrase(Some((new, other)));
    assert_eq!(kept.act(differing), refused(HistoryFailure::PassphrasesDiffer));
    assert_eq!(kept.set_passphrase("correct horse"), Ok(Reply::PassphraseSet { passphrase: true }));
    assert_eq!(kept.search("before"), ["before"], "this run has the key");

    kept.open().unwrap();
    assert!(kept.history.as_ref().unwrap().is_locked() && kept.loaded.is_empty());
    kept.hear(2, "bob", "meanwhile");
    assert_eq!(kept.act(HistoryAction::Search("before".into())), refused(HistoryFailure::Locked));
    let forget = HistoryAction::Forget(Some(person("bob")));
    assert_eq!(kept.act(forget), refused(HistoryFailure::Locked));
    assert_eq!(kept.set_passphrase("another horse"), refused(HistoryFailure::Locked));
    assert_eq!(kept.unlock("correct hose"), refused(HistoryFailure::WrongPassphrase));
    assert_eq!(kept.act(HistoryAction::Unlock(None)), refused(HistoryFailure::NoPassphrase));
    assert!(matches!(
        kept.unlock("correct horse"),
        Ok(Reply::History(HistoryStatus { messages: 2, locked: false, .. }))
    ));
    assert_eq!(kept.loaded, ["before", "meanwhile"]);
    assert_eq!(kept.search("e"), ["before", "meanwhile"]);

    assert_eq!(kept.set_passphrase(""), Ok(Reply::PassphraseSet { passphrase: false }));
    kept.open().unwrap();
    assert_eq!(kept.loaded.len(), 2);
}

#[test]
fn forgotten_messages_are_gone_and_others_stay() {
    let mut kept = Kept::new();
    for number in 0..2_500 {
        kept.hear(number, if number.is_multiple_of(2) { "bob" } else { "carol" }, "word");
    }
    let forget = HistoryAction::Forget(Some(person("bob")));
    let with = Some(person("bob"));
    assert_eq!(kept.act(forget), Ok(Reply::Forgotten { with, messages: 1_250 }));
    assert_eq!(kept.texts(HistoryAction::Show(Some(person("bob")))), Vec::<String>::new());
    assert_eq!(kept.texts(HistoryAction::Show(Some(person("carol")))).len(), 20);

    let key = fs::read(kept.path(KEY_FILE)).unwrap();
    let all = kept.act(HistoryAction::Forget(None));
    assert_eq!(all, Ok(Reply::Forgotten { with: None, messages: 1_250 }));
    assert_ne!(
        fs::read(kept.path(KEY_FILE)).unwrap(),
        key,
        "what is left on the disk stays sealed"
    );
    kept.hear(5_000, "bob", "new");
    assert_eq!(kept.search("w"), ["new"]);
    kept.open().unwrap();
    assert_eq!(kept.loaded, ["new"]);
}

#[test]
fn forgetting_all_gets_rid_of_a_forgotten_passphrase() {
    let mut kept = Kept::new();
    kept.hear(1, "bob", "old");
    kept.set_passphrase("correct horse").unwrap();
    kept.open().unwrap();
    let all = kept.act(HistoryAction::Forget(None));
    assert_eq!(all, Ok(Reply::Forgotten { with: None, messages: 1 }));
    kept.hear(2, "bob", "new");
    assert_eq!(kept.search("e"), ["new"]);
    // One that was given stays.
    kept.set_passphrase("correct horse").unwrap();
    kept.act(HistoryAction::Forget(None)).unwrap();
    kept.open().unwrap();
    assert!(kept.history.as_ref().unwrap().is_locked());
}

#[test]
fn passphrase_of_an_empty_history_protects_a_new_key() {
    let mut kept = Kept::new();
    let plain = fs::read(kept.path(KEY_FILE)).unwrap();
    kept.set_passphrase("correct horse").unwrap();
    let protected = fs::read(kept.path(KEY_FILE)).unwrap();
    assert_ne!(plain[1..33], protected[1..33], "the public half");
    kept.hear(1, "bob", "sealed");
    assert_eq!(kept.search("sealed"), ["sealed"]);
}

#[test]
fn clock_that_jumps_deletes_nothing() {
    let mut kept = Kept::new();
    kept.days = Some(30);
    kept.hear(1, "bob", "old");
    for days in [-9_000_i64, 400, -20_000] {
        kept.now_ms = NOW_MS.saturating_add_signed(days * DAY_MS as i64);
        kept.open().unwrap();
        assert_eq!(kept.search("old"), ["old"], "{days}");
    }
    kept.hear(2, "bob", "old, by a clock that stands at the beginning");
    kept.now_ms = NOW_MS + DAY_MS;
    kept.open().unwrap();
    assert_eq!(kept.search("old").len(), 2);
}

#[test]
fn own_messages_with_repeated_ids_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path(), &folder.path().join(STORE_FILE)).unwrap();
    let keys = Keys::make(&folder.path().join(KEY_FILE)).unwrap();
    let run = store.begin_run(keys.public()).unwrap().unwrap();
    let [own, theirs] = [2, 3].map(|number| message(number, "bob", "text"));
    assert!(own.message.own && !theirs.message.own);
    store.append(&run, 1, &[own.clone(), theirs.clone(), own, theirs]).unwrap();
    let mut readable = 0;
    let visit = |_, id, opened: Option<sealing::Opened<'_>>| {
        readable += usize::from(opened.and_then(|one| one.to_message(id)).is_some());
        std::ops::ControlFlow::Continue(())
    };
    store.read(keys.pair().unwrap(), i64::MAX, visit).unwrap();
    assert_eq!(readable, 3);
}

#[test]
fn history_that_is_off_can_be_deleted() {
    let mut kept = Kept::new();
    kept.hear(1, "bob", "one");
    kept.history = None;
    assert_eq!(kept.place().delete(), Ok(1));
    assert_eq!(kept.files().count(), 0);
    assert_eq!(kept.place().delete(), Ok(0));
}

#[test]
fn messages_are_kept_for_the_days_that_are_set() {
    let mut kept = Kept::new();
    let today = letschat_flags::clock::now().wall_ms;
    kept.now_ms = today - 10 * DAY_MS;
    for number in 0..1_200 {
        kept.hear(number, "bob", "old");
    }
    kept.now_ms = today - 9 * DAY_MS;
    kept.hear(2_000, "bob", "recent");
    kept.days = Some(9);
    kept.now_ms = today;
    kept.open().unwrap();
    assert_eq!(kept.search("e"), ["recent"]);
    assert_eq!(kept.search("old"), Vec::<String>::new());
}

#[test]
fn old_messages_beyond_the_limit_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path(), &folder.path().join(STORE_FILE)).unwrap();
    let keys = Keys::make(&folder.path().join(KEY_FILE)).unwrap();
    let run = store.begin_run(keys.public()).unwrap().unwrap();
    let messages: Vec<HistoryMessage> = (0..2_500).map(|n| message(n, "bob", "text")).collect();
    assert_eq!(store.append(&run, 1, &messages).unwrap(), 2_500);
    store.prune(0, 100, MAX_BYTES).unwrap();
    assert_eq!(store.count().unwrap(), (100, Some(1)));
    store.prune(0, 100, 0).unwrap();
    assert_eq!(store.count().unwrap(), (0, None), "a file that is too large");
}

#[test]
fn too_many_actions_are_refused_and_closing_answers_the_rest() {
    let mut kept = Kept::new();
    let history = kept.history.as_mut().unwrap();
    let added = (0..1_000).filter(|n| history.add(RequestId(*n), HistoryAction::Status)).count();
    assert_eq!(added, MAX_WAITING);
    assert_eq!(kept.history.take().unwrap().unanswered().count(), MAX_WAITING);
}
