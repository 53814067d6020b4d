//! The changes, as statements. Each can be repeated.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use letschat_core::files::{FileState, StoredFile};
use letschat_core::mail::{
    Held, MailChange, Outgoing, OutgoingKey, OwedReceipt, Received, RosterChange, Stage,
    StoredGroup, StoredPrekey, Stream, StreamSource,
};
use letschat_protocol::body::Place;
use letschat_protocol::devices::{Device, DeviceList};
use letschat_protocol::files::FileInfo;
use letschat_protocol::groups::Wish;
use letschat_protocol::username::Username;
use rusqlite::{Connection, OptionalExtension as _, Params, params};

/// Returns true if the change may delete a text.
pub(super) fn deletes_text(change: &MailChange) -> bool {
    // An outgoing message may replace one that had its text.
    matches!(change, MailChange::Outgoing(_) | MailChange::Settled(_) | MailChange::Released(_))
}

/// Applies a change.
pub(super) fn apply(connection: &Connection, change: &MailChange) -> rusqlite::Result<()> {
    let run = |sql, id: [u8; 16]| run(connection, sql, [id]);
    match change {
        MailChange::Outgoing(message) => put_outgoing(connection, message),
        MailChange::Settled(OutgoingKey { id, to }) => self::run(
            connection,
            "DELETE FROM outbox WHERE id = ?1 AND recipient = ?2",
            params![id.to_bytes(), to.as_str()],
        ),
        MailChange::Received(record) => put_received(connection, record),
        MailChange::Unrecorded(stream) => {
            let (is_chat, source) = source_columns(stream);
            self::run(
                connection,
                "DELETE FROM received WHERE device = ?1 AND is_chat = ?2 AND source = ?3",
                params![stream.device.as_bytes(), is_chat, source],
            )
        }
        MailChange::Held(message) => add_held(connection, message),
        MailChange::Released(id) => run("DELETE FROM held WHERE id = ?1", id.to_bytes()),
        MailChange::Owed(receipt) => add_receipt(connection, receipt),
        MailChange::Confirmed(ids) => {
            ids.iter().try_for_each(|id| run("DELETE FROM receipts WHERE id = ?1", id.to_bytes()))
        }
        MailChange::Published { key, at_ms, epoch } => self::run(
            connection,
            "UPDATE prekeys SET published_ms = ?2, epoch = ?3 WHERE public = ?1",
            params![key.0, column(*at_ms), column(*epoch)],
        ),
        MailChange::Forgotten(key) => {
            self::run(connection, "DELETE FROM prekeys WHERE public = ?1", [key.0])
        }
        MailChange::List(account, list) => put_list(connection, account, list),
        MailChange::Counted(name, number) => raise_sequence(connection, name, *number),
        MailChange::Group(group) => {
            let StoredGroup { label, roster, membership, owed, wish, changes } = &**group;
            let owed: Vec<&str> = owed.iter().map(Username::as_str).collect();
            let changes: Vec<String> = changes.iter().map(words).collect();
            let replace =
                "INSERT OR REPLACE INTO groups (id, label, roster, membership, owed, wish, changes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let id = roster.group();
            let wish = wish.map(Wish::number);
            let values = params![
                id.as_bytes(),
                label.as_str(),
                roster.to_bytes(),
                *membership as u8,
                owed.join(" "),
                wish,
                changes.join(" ")
            ];
            self::run(connection, replace, values)
        }
        MailChange::File(file) => put_file(connection, file),
        MailChange::NoFile(id) => run("DELETE FROM files WHERE id = ?1", id.to_bytes()),
        MailChange::NoGroup(id) => {
            self::run(connection, "DELETE FROM groups WHERE id = ?1", [id.as_bytes()])
        }
        MailChange::PeopleOwed(names) => names.iter().try_for_each(|name| {
            let insert = "INSERT INTO people_owed (name) VALUES (?1) ON CONFLICT (name) DO NOTHING";
            self::run(connection, insert, [name.as_str()])
        }),
        MailChange::PeopleTold(names) => names.iter().try_for_each(|name| {
            self::run(connection, "DELETE FROM people_owed WHERE name = ?1", [name.as_str()])
        }),
        MailChange::NoList(account) => {
            self::run(connection, "DELETE FROM device_lists WHERE account = ?1", [account.as_str()])
        }
    }
}

/// Adds a prekey.
pub(super) fn add_prekey(
    connection: &Connection,
    prekey: &StoredPrekey,
    private: &[u8; 32],
) -> rusqlite::Result<()> {
    let StoredPrekey { key, created_ms, until_ms, published } = *prekey;
    run(
        connection,
        "INSERT INTO prekeys (public, private, created_ms, until_ms, published_ms, epoch)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            key.0,
            private,
            column(created_ms),
            column(until_ms),
            published.map(|(at_ms, _)| column(at_ms)),
            published.map(|(_, epoch)| column(epoch)),
        ],
    )
}

/// Writes a change of a roster.
fn words(RosterChange { number, kind, who }: &RosterChange) -> String {
    format!("{number} {} {who}", *kind as u8)
}

fn put_outgoing(connection: &Connection, message: &Outgoing) -> rusqlite::Result<()> {
    let Outgoing { id, to, conversation, place, time_ms, text, file, stage } = message;
    let conversation = conversation.to_string();
    let (chat, number) = match place {
        // The roster of a message to a group is the newest when it is sealed.
        Place::Sequence(number) | Place::Group { sequence: number, .. } => {
            if !conversation.starts_with('#') {
                raise_sequence(connection, &conversation, *number)?;
            }
            (None, *number)
        }
        Place::Chat { chat, number } => (Some(chat.to_string()), *number),
    };
    let (stage, until_ms) = match *stage {
        Stage::Waiting => ("waiting", None),
        Stage::Sent { until_ms } => ("sent", Some(column(until_ms))),
        Stage::Kept { until_ms } => ("kept", Some(column(until_ms))),
    };
    run(
        connection,
        "INSERT INTO outbox
             (id, recipient, conversation, chat, number, time_ms, text, stage, until_ms, file)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (id, recipient) DO UPDATE SET
             conversation = excluded.conversation, chat = excluded.chat, number = excluded.number,
             time_ms = excluded.time_ms, text = excluded.text, stage = excluded.stage,
             until_ms = excluded.until_ms, file = excluded.file",
        params![
            id.to_bytes(),
            to.as_str(),
            conversation,
            chat,
            column(number),
            column(*time_ms),
            text,
            stage,
            until_ms,
            file.as_ref().map(file_column),
        ],
    )
}

/// Raises the last number of a conversation. SQLite would compare the largest numbers as negative ones.
fn raise_sequence(
    connection: &Connection,
    conversation: &str,
    number: u64,
) -> rusqlite::Result<()> {
    let last: Option<i64> = connection
        .prepare_cached("SELECT last FROM sequences WHERE conversation = ?1")?
        .query_row([conversation], |row| row.get(0))
        .optional()?;
    if last.is_some_and(|last| last.cast_unsigned() >= number) {
        return Ok(());
    }
    run(
        connection,
        "INSERT INTO sequences (conversation, last) VALUES (?1, ?2)
         ON CONFLICT (conversation) DO UPDATE SET last = excluded.last",
        params![conversation, column(number)],
    )
}

fn put_received(connection: &Connection, record: &Received) -> rusqlite::Result<()> {
    let Received { stream, through, beyond } = record;
    let (is_chat, source) = source_columns(stream);
    let beyond: Vec<u8> = beyond.iter().flat_map(|number| number.to_be_bytes()).collect();
    run(
        connection,
        "INSERT INTO received (device, is_chat, source, through, beyond)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (device, is_chat, source) DO UPDATE SET
             through = excluded.through, beyond = excluded.beyond",
        params![stream.device.as_bytes(), is_chat, source, column(*through), beyond],
    )
}

fn add_held(connection: &Connection, message: &Held) -> rusqlite::Result<()> {
    let Held { id, from, stream, number, text, file, sent_ms, time_ms } = message;
    let (is_chat, source) = source_columns(stream);
    run(
        connection,
        "INSERT INTO held
             (id, author, device, is_chat, source, number, text, sent_ms, time_ms, file)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (id) DO NOTHING",
        params![
            id.to_bytes(),
            from.as_str(),
            stream.device.as_bytes(),
            is_chat,
            source,
            column(*number),
            text,
            column(*sent_ms),
            column(*time_ms),
            file.as_ref().map(file_column),
        ],
    )
}

fn put_file(connection: &Connection, file: &StoredFile) -> rusqlite::Result<()> {
    let StoredFile { id, conversation, from, device, audience, name, .. } = file;
    let StoredFile { info, time_ms, state, path, part, .. } = file;
    let audience: Vec<&str> = audience.iter().map(Username::as_str).collect();
    let code = match state {
        FileState::Failed(code) => Some(code.name()),
        FileState::Offered | FileState::Wanted | FileState::Saved => None,
    };
    let path_column =
        |path: &Option<PathBuf>| path.as_ref().map(|path| path.as_os_str().as_bytes().to_vec());
    run(
        connection,
        "INSERT INTO files
             (id, conversation, author, device, audience, name, file, time_ms, state, code, path, part)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (id) DO UPDATE SET
             state = excluded.state, code = excluded.code, path = excluded.path, part = excluded.part",
        params![
            id.to_bytes(),
            conversation.to_string(),
            from.as_str(),
            device.as_bytes(),
            audience.join(" "),
            name.as_str(),
            file_column(info),
            column(*time_ms),
            state.name(),
            code,
            path_column(path),
            path_column(part),
        ],
    )
}

fn file_column(info: &FileInfo) -> Vec<u8> {
    [&info.size().to_be_bytes()[..], &info.root().0].concat()
}

fn put_list(
    connection: &Connection,
    account: &Username,
    list: &DeviceList,
) -> rusqlite::Result<()> {
    let device = |device: &Device| format!("{} {}", device.key, device.name);
    let devices: Vec<String> = list.devices().iter().map(device).collect();
    run(
        connection,
        "INSERT INTO device_lists (account, devices, hashes) VALUES (?1, ?2, ?3)
         ON CONFLICT (account) DO UPDATE SET devices = excluded.devices, hashes = excluded.hashes",
        params![account.as_str(), devices.join("\n"), list.hashes().concat()],
    )
}

fn add_receipt(connection: &Connection, receipt: &OwedReceipt) -> rusqlite::Result<()> {
    run(
        connection,
        "INSERT INTO receipts (id, author) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING",
        params![receipt.id.to_bytes(), receipt.to.as_str()],
    )
}

fn source_columns(stream: &Stream) -> (bool, String) {
    match &stream.source {
        StreamSource::Conversation(name) => (false, name.clone()),
        StreamSource::Chat(chat) => (true, chat.to_string()),
    }
}

fn run(connection: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(params)?;
    Ok(())
}

fn column(number: u64) -> i64 {
    number.cast_signed()
}
