//! Arbitrary content of files and of other programs' output.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;

use letschat::config::Options;
use letschat::frontend::json::read_call;
use letschat_protocol::identity::{Identity, PublicKey};
use letschat_protocol::username::Username;
use letschat_server::clients_file::{self, MAX_CLIENTS, Parsed};
use letschat_server::store::mailbox::{MailQuery, Mailbox as _};
use letschat_server::store::sqlite::Sqlite;
use letschat_server::store::{NewBroadcast, Store, StoreError};
use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::choices::Choices;

/// Checks that a settings file is accepted, or refused with one sentence.
pub fn settings(bytes: &[u8]) {
    thread_local!(static FOLDER: TempDir = folder());
    let file = FOLDER.with(|folder| folder.path().join("settings.toml"));
    fs::write(&file, bytes).expect("the folder can be written");
    let arguments = ["letschat".into(), "--config".into(), OsString::from(file)];
    match Options::read(arguments) {
        Ok(options) => drop(options.to_config()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Checks that what is read of a classroom's file is bounded, and survives being written.
pub fn clients_file(bytes: &[u8]) {
    let Parsed { entries, skipped } = clients_file::parse(bytes, MAX_CLIENTS);
    assert!(entries.len() <= MAX_CLIENTS);
    assert!(skipped.is_none_or(|skipped| skipped.lines > 0 && skipped.first > 0));
    let written = clients_file::render(&entries);
    let again = clients_file::parse(written.as_bytes(), MAX_CLIENTS);
    assert_eq!((again.entries, again.skipped), (entries, None));
}

/// Checks that a line of `--json` is a command, or is refused with a sentence.
pub fn json(bytes: &[u8]) {
    let line = String::from_utf8_lossy(bytes);
    for in_chat in [false, true] {
        if let Some((_, Err(rejection))) = read_call(&line, in_chat) {
            assert!(!rejection.failure.message.is_empty());
        }
    }
}

/// Checks that the store reads arbitrary rows or reports that it can't.
pub fn store_rows(bytes: &[u8]) {
    thread_local!(static DATABASE: RefCell<Database> = RefCell::new(Database::new()));
    DATABASE.with(|database| database.borrow_mut().hold(Choices::new(bytes)));
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("there is a place for temporary files")
}

struct Database {
    rows: Connection,
    store: Sqlite,
    _folder: TempDir,
}

const NAMES: &[&str] = &["alice", "bob", "Alice", "", "no name"];

impl Database {
    fn new() -> Database {
        let folder = folder();
        let path = folder.path().join("letschat.sqlite");
        let mut store = Sqlite::open(&path).expect("a new database");
        store.load_log().expect("an empty log");
        let rows = Connection::open(&path).expect("the same database");
        rows.pragma_update(None, "synchronous", "OFF").expect("a setting");
        Database { rows, store, _folder: folder }
    }

    fn hold(&mut self, mut choices: Choices<'_>) {
        self.rows
            .execute_batch(
                "DELETE FROM account_keys; DELETE FROM accounts; DELETE FROM broadcasts;
                 DELETE FROM envelopes",
            )
            .expect("rows can be removed");
        while !choices.is_over() {
            // The table's constraints may refuse the row.
            let _ = self.insert(&mut choices);
        }
        self.read();
    }

    fn insert(&mut self, choices: &mut Choices<'_>) -> rusqlite::Result<usize> {
        let name = match choices.below(4) {
            0 => choices.text(40),
            n => NAMES[n - 1].to_owned(),
        };
        let (number, time) = (choices.number() as i64, choices.number() as i64);
        match choices.below(6) {
            0 => self.rows.execute(
                "INSERT INTO accounts VALUES (?, ?, ?, ?)",
                params![name, choices.text(100), time, choices.below(3) as i64],
            ),
            1 => {
                let key = match choices.flip() {
                    true => key().to_string(),
                    false => format!("{:.64}", choices.text(80) + &"0".repeat(64)),
                };
                let insert = "INSERT INTO account_keys VALUES (?, ?, ?, ?)";
                self.rows.execute(insert, params![name, key, number, time])
            }
            2 => self.rows.execute(
                "INSERT INTO broadcasts VALUES (?, ?, ?, ?, ?, ?)",
                params![number, name, time, choices.text(950), number, time],
            ),
            3 => {
                let prekey = match choices.flip() {
                    true => {
                        format!("{} 1 {} {}", "11".repeat(32), choices.number(), "22".repeat(64))
                    }
                    false => choices.text(200),
                };
                let insert = "INSERT INTO prekeys (username, public_key, prekey) VALUES (?, ?, ?)";
                self.rows.execute(insert, params![name, key().to_string(), prekey])
            }
            4 => {
                self.rows.execute(
                    "INSERT INTO envelopes VALUES (?, ?)",
                    params![number, choices.bytes(300)],
                )?;
                let (id, bytes) = (choices.bytes(17), choices.below(2_000) as i64);
                self.rows.execute(
                    "INSERT INTO deliveries SELECT ?1, device, ?2, ?3, ?4, ?5, ?1, ?6 FROM prekeys LIMIT 1",
                    params![number, name, id, time, bytes, choices.bytes(200)],
                )
            }
            _ => self.rows.execute("UPDATE log SET epoch = ?, head = ?", params![number, time]),
        }
    }

    fn read(&mut self) {
        for name in NAMES.iter().filter_map(|name| name.parse::<Username>().ok()) {
            judge(self.store.account(&name));
            judge(self.store.check_key(&name, &key(), 1));
            judge(self.store.add_key(&name, &key(), 1));
            judge(self.store.prekeys(&name));
            self.read_mail(&name);
        }
        let log = self.store.load_log();
        if let Ok(log) = &log {
            assert!(log.entries.iter().all(|entry| entry.broadcast.number <= log.head));
            assert!(log.entries.is_sorted_by_key(|entry| entry.broadcast.number));
            let sender = "alice".parse().expect("a name");
            let (time_ms, text) = (1, "next".into());
            let broadcast = NewBroadcast { sender, time_ms, text, boot_ms: 1, boot_id: 1 };
            judge(self.store.append(log.head, &[broadcast]));
        }
        judge(log);
        judge(self.store.forget(u64::MAX));
    }
}

impl Database {
    /// Reads a device's mail page by page. Each page ends, and no delivery comes twice.
    fn read_mail(&mut self, username: &Username) {
        let mut after = 0;
        loop {
            let (username, device) = (username.clone(), key());
            let (expired_ms, max_bytes) = (0, 1_000);
            let query = MailQuery { username, device, after, expired_ms, max_bytes };
            let page = match self.store.waiting_mail(&query) {
                Ok(page) => page,
                Err(error) => return judge::<()>(Err(error)),
            };
            assert!(page.mail.is_sorted_by(|one, next| one.number < next.number));
            assert!(page.mail.first().is_none_or(|mail| mail.number > after));
            let Some(last) = page.mail.last() else { return };
            after = last.number;
        }
    }
}

fn key() -> PublicKey {
    Identity::from_seed(&[1; 32]).public_key()
}

/// Expects success or an error about the rows, not one about the database's availability or owner.
fn judge<T>(result: Result<T, StoreError>) {
    match result {
        Ok(_) | Err(StoreError::Content(_) | StoreError::Database(_)) => {}
        Err(error) => panic!("{error}"),
    }
}
