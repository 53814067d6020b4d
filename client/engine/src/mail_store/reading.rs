//! Reads the stored state. A row that can't be parsed is an error.

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use letschat_core::codes::FailureCode;
use letschat_core::files::{FileState, StoredFile};
use letschat_core::mail::{
    ChangeKind, Held, Membership, Outgoing, OwedReceipt, Received, RosterChange, Stage,
    StoredGroup, StoredMail, StoredPrekey, Stream, StreamSource,
};
use letschat_protocol::body::Place;
use letschat_protocol::devices::{Device, DeviceList};
use letschat_protocol::files::name::FileName;
use letschat_protocol::files::{FileHash, FileInfo};
use letschat_protocol::groups::{GroupId, SignedRoster, Wish};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::prekey::PrekeyPublic;
use letschat_protocol::username::Username;
use rusqlite::types::Type;
use rusqlite::{Connection, Row};

/// The part of a table that is read, in the order of its rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    /// The most rows.
    pub(super) rows: usize,
    /// The most bytes in their texts and lists of numbers.
    pub(super) bytes: usize,
}

/// The most numbers beyond the first gap of a stream.
pub(super) const MAX_BEYOND: usize = 1_024;
/// The room for a name, in bytes. Usernames are shorter.
const NAME_BYTES: usize = 64;

/// The core keeps 2,000 waiting messages, each to a person or to 63 members of a group, 10,000 that the server has, and
/// 1,000 to everyone for each of 256 clients. The waiting ones have 16 MiB of text, and 256 KiB for each client.
pub(super) const OUTBOX: Limit = Limit { rows: 400_000, bytes: 96 * 1024 * 1024 };
pub(super) const STREAMS: Limit =
    Limit { rows: 10_000, bytes: 10_000 * (8 * MAX_BEYOND + NAME_BYTES) };
pub(super) const HELD: Limit = Limit { rows: 64, bytes: 64 * 16 * 1024 };
pub(super) const RECEIPTS: Limit = Limit { rows: 100_000, bytes: usize::MAX };
pub(super) const PREKEYS: Limit = Limit { rows: 32, bytes: usize::MAX };
/// A list has at most 1,000 hashes and 32 devices.
pub(super) const LISTS: Limit = Limit { rows: 20_000, bytes: 64 * 1024 * 1024 };
pub(super) const PEOPLE: Limit = Limit { rows: 20_000, bytes: usize::MAX };
pub(super) const GROUPS: Limit = Limit { rows: 128, bytes: usize::MAX };
/// The core keeps 256 of this device and 256 of others, each for at most 63 people.
pub(super) const FILES: Limit = Limit { rows: 1_024, bytes: 1_024 * 16 * 1024 };
const SEQUENCES: Limit = Limit { rows: 100_000, bytes: 100_000 * NAME_BYTES };

/// Reads everything, up to the limits.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<StoredMail> {
    Ok(StoredMail {
        sequences: sequences(connection)?.into_iter().collect(),
        outbox: outbox(connection)?,
        received: received(connection)?,
        held: held(connection)?,
        receipts: receipts(connection)?,
        prekeys: prekeys(connection)?,
        lists: lists(connection)?.into_iter().collect(),
        people: people(connection)?.into_iter().collect(),
        groups: groups(connection)?.into_iter().collect(),
        files: files(connection)?,
    })
}

/// Returns the error for a value that this program did not write.
pub(super) fn refused(reason: impl Into<Box<dyn Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Null, reason.into())
}

/// Reads all sequences: the numbers of one that is left out would be used again.
fn sequences(connection: &Connection) -> rusqlite::Result<Vec<(String, u64)>> {
    let query = "SELECT conversation, last FROM sequences";
    let size = |(conversation, _): &(String, u64)| conversation.len();
    let read = rows(connection, query, SEQUENCES, size, |row| Ok((row.get(0)?, number(row, 1)?)))?;
    let count: u32 =
        connection.query_row("SELECT count(*) FROM sequences", [], |row| row.get(0))?;
    match read.len() == count as usize {
        true => Ok(read),
        false => Err(refused(format!("more than {} conversations", SEQUENCES.rows))),
    }
}

fn outbox(connection: &Connection) -> rusqlite::Result<Vec<Outgoing>> {
    let query =
        "SELECT id, recipient, chat, number, time_ms, text, stage, until_ms, conversation, file
                 FROM outbox ORDER BY position";
    rows(
        connection,
        query,
        OUTBOX,
        |message: &Outgoing| message.text.len(),
        |row| {
            let chat: Option<String> = row.get(2)?;
            let number_there = number(row, 3)?;
            let place = match chat {
                None => Place::Sequence(number_there),
                Some(chat) => {
                    Place::Chat { chat: chat.parse().map_err(refused)?, number: number_there }
                }
            };
            let until_ms: Option<i64> = row.get(7)?;
            let stage: String = row.get(6)?;
            let stage = match (stage.as_str(), until_ms.map(i64::cast_unsigned)) {
                ("waiting", None) => Stage::Waiting,
                ("sent", Some(until_ms)) => Stage::Sent { until_ms },
                ("kept", Some(until_ms)) => Stage::Kept { until_ms },
                _ => return Err(refused("an unknown state of a message")),
            };
            Ok(Outgoing {
                id: id(row, 0)?,
                to: username(row, 1)?,
                conversation: row.get_ref(8)?.as_str()?.parse().map_err(refused)?,
                place,
                time_ms: number(row, 4)?,
                text: row.get(5)?,
                file: optional_file(row, 9)?,
                stage,
            })
        },
    )
}

fn received(connection: &Connection) -> rusqlite::Result<Vec<Received>> {
    let query = "SELECT device, is_chat, source, through, beyond FROM received ORDER BY position";
    let size = |record: &Received| 8 * record.beyond.len() + stream_size(&record.stream);
    rows(connection, query, STREAMS, size, |row| {
        let (stream, through) = (stream(row, 0)?, number(row, 3)?);
        let (numbers, rest) = row.get_ref(4)?.as_blob()?.as_chunks();
        let beyond: Vec<u64> =
            numbers.iter().take(MAX_BEYOND).map(|number| u64::from_be_bytes(*number)).collect();
        let is_ascending = beyond.first().is_none_or(|first| through < *first)
            && beyond.is_sorted_by(|one, next| one < next);
        match rest.is_empty() && is_ascending {
            true => Ok(Received { stream, through, beyond }),
            false => Err(refused("numbers that do not ascend")),
        }
    })
}

fn held(connection: &Connection) -> rusqlite::Result<Vec<Held>> {
    let query = "SELECT device, is_chat, source, id, author, number, text, sent_ms, time_ms, file
                 FROM held ORDER BY position";
    let size = |message: &Held| message.text.len() + stream_size(&message.stream);
    rows(connection, query, HELD, size, |row| {
        Ok(Held {
            id: id(row, 3)?,
            from: username(row, 4)?,
            stream: stream(row, 0)?,
            number: number(row, 5)?,
            text: row.get(6)?,
            file: optional_file(row, 9)?,
            sent_ms: number(row, 7)?,
            time_ms: number(row, 8)?,
        })
    })
}

fn files(connection: &Connection) -> rusqlite::Result<Vec<StoredFile>> {
    let query = "SELECT id, conversation, author, device, audience, name, file, time_ms, state, code, path, part
                 FROM files ORDER BY position";
    let length = |path: &Option<PathBuf>| path.as_ref().map_or(0, |path| path.as_os_str().len());
    let size = |file: &StoredFile| {
        NAME_BYTES * (1 + file.audience.len()) + length(&file.path) + length(&file.part)
    };
    rows(connection, query, FILES, size, |row| {
        let audience = row.get_ref(4)?.as_str()?.split_whitespace().map(str::parse);
        let state: String = row.get(8)?;
        let code = |name: &str| FailureCode::ALL.iter().find(|code| code.name() == name).copied();
        let state = match (state.as_str(), row.get::<_, Option<String>>(9)?.as_deref()) {
            ("offered", None) => FileState::Offered,
            ("wanted", None) => FileState::Wanted,
            ("saved", None) => FileState::Saved,
            ("failed", Some(name)) => FileState::Failed(code(name).unwrap_or(FailureCode::File)),
            _ => return Err(refused("an unknown state of a file")),
        };
        Ok(StoredFile {
            id: id(row, 0)?,
            conversation: row.get_ref(1)?.as_str()?.parse().map_err(refused)?,
            from: username(row, 2)?,
            device: PublicKey::from_bytes(row.get(3)?),
            audience: audience.collect::<Result<_, _>>().map_err(refused)?,
            name: FileName::reduced(row.get_ref(5)?.as_str()?),
            info: file(row.get_ref(6)?.as_blob()?)?,
            time_ms: number(row, 7)?,
            state,
            path: path(row, 10)?,
            part: path(row, 11)?,
        })
    })
}

fn optional_file(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<FileInfo>> {
    row.get_ref(index)?.as_blob_or_null()?.map(file).transpose()
}

/// Parses the size of a file and the root of its hashes.
fn file(bytes: &[u8]) -> rusqlite::Result<FileInfo> {
    let info = bytes.split_first_chunk().and_then(|(size, root)| {
        FileInfo::new(u64::from_be_bytes(*size), FileHash(root.try_into().ok()?))
    });
    info.ok_or_else(|| refused("a file that can't be offered"))
}

fn path(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<PathBuf>> {
    let bytes = row.get_ref(index)?.as_blob_or_null()?;
    Ok(bytes.map(|bytes| PathBuf::from(OsStr::from_bytes(bytes))))
}

fn receipts(connection: &Connection) -> rusqlite::Result<Vec<OwedReceipt>> {
    let query = "SELECT id, author FROM receipts ORDER BY position";
    rows(
        connection,
        query,
        RECEIPTS,
        |_| 0,
        |row| Ok(OwedReceipt { id: id(row, 0)?, to: username(row, 1)? }),
    )
}

fn prekeys(connection: &Connection) -> rusqlite::Result<Vec<StoredPrekey>> {
    let query = "SELECT public, created_ms, until_ms, published_ms, epoch
                 FROM prekeys ORDER BY position";
    rows(
        connection,
        query,
        PREKEYS,
        |_| 0,
        |row| {
            let (at_ms, epoch): (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
            let published = at_ms.zip(epoch);
            Ok(StoredPrekey {
                key: PrekeyPublic(row.get(0)?),
                created_ms: number(row, 1)?,
                until_ms: number(row, 2)?,
                published: published
                    .map(|(at_ms, epoch)| (at_ms.cast_unsigned(), epoch.cast_unsigned())),
            })
        },
    )
}

fn lists(connection: &Connection) -> rusqlite::Result<Vec<(Username, DeviceList)>> {
    let query = "SELECT account, devices, hashes FROM device_lists ORDER BY account";
    let size = |(_, list): &(Username, DeviceList)| 32 * list.hashes().len();
    rows(connection, query, LISTS, size, |row| {
        let device = |line: &str| {
            let (key, name) = line.split_once(' ')?;
            Some(Device { key: key.parse().ok()?, name: name.parse().ok()? })
        };
        let devices: Option<Vec<Device>> = row.get_ref(1)?.as_str()?.lines().map(device).collect();
        let (hashes, rest) = row.get_ref(2)?.as_blob()?.as_chunks();
        let list = devices
            .filter(|_| rest.is_empty())
            .and_then(|devices| DeviceList::restore(devices, hashes.to_vec()));
        Ok((username(row, 0)?, list.ok_or_else(|| refused("a device list that no chain makes"))?))
    })
}

fn people(connection: &Connection) -> rusqlite::Result<Vec<Username>> {
    let query = "SELECT name FROM people_owed ORDER BY name";
    rows(connection, query, PEOPLE, |_| 0, |row| username(row, 0))
}

fn groups(connection: &Connection) -> rusqlite::Result<Vec<(GroupId, StoredGroup)>> {
    let query = "SELECT label, roster, membership, owed, wish, changes FROM groups ORDER BY id";
    let size = |(_, group): &(GroupId, StoredGroup)| {
        (group.roster.roster().members.len() + group.changes.len()) * 100
    };
    rows(connection, query, GROUPS, size, |row| {
        let label = row.get_ref(0)?.as_str()?.parse();
        let roster = SignedRoster::restore(row.get_ref(1)?.as_blob()?);
        let owed: Result<BTreeSet<Username>, _> =
            row.get_ref(3)?.as_str()?.split_whitespace().map(str::parse).collect();
        let wish: Option<u8> = row.get(4)?;
        let membership = Membership::ALL.get(usize::from(row.get::<_, u8>(2)?)).copied();
        let changes = roster_changes(row.get_ref(5)?.as_str()?);
        let (Ok(label), Some(roster), Some(membership), Ok(owed), Some(changes)) =
            (label, roster, membership, owed, changes)
        else {
            return Err(refused("a group that nobody signed"));
        };
        let wish = wish.and_then(Wish::from_number);
        let id = roster.group();
        Ok((id, StoredGroup { label, roster, membership, owed, wish, changes }))
    })
}

fn roster_changes(text: &str) -> Option<Vec<RosterChange>> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let change = |words: &[&str]| {
        let &[number, kind, who] = words else {
            return None;
        };
        let kind = *ChangeKind::ALL.get(kind.parse::<usize>().ok()?)?;
        Some(RosterChange { number: number.parse().ok()?, kind, who: who.parse().ok()? })
    };
    words.chunks(3).map(change).collect()
}

/// Reads rows in order, up to the limit.
fn rows<T>(
    connection: &Connection,
    query: &str,
    limit: Limit,
    size: impl Fn(&T) -> usize,
    parse: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([])?;
    let (mut values, mut bytes) = (Vec::new(), 0);
    while values.len() < limit.rows
        && let Some(row) = rows.next()?
    {
        let value = parse(row)?;
        bytes += size(&value);
        if bytes > limit.bytes {
            break;
        }
        values.push(value);
    }
    Ok(values)
}

fn number(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(index)?.cast_unsigned())
}

fn id(row: &Row<'_>, index: usize) -> rusqlite::Result<MessageId> {
    Ok(MessageId::from_bytes(row.get(index)?))
}

fn username(row: &Row<'_>, index: usize) -> rusqlite::Result<Username> {
    row.get_ref(index)?.as_str()?.parse().map_err(refused)
}

/// Parses a device, `is_chat` and a source, in columns from this one on.
fn stream(row: &Row<'_>, index: usize) -> rusqlite::Result<Stream> {
    let device = PublicKey::from_bytes(row.get(index)?);
    let source: String = row.get(index + 2)?;
    let source = match row.get(index + 1)? {
        true => StreamSource::Chat(source.parse().map_err(refused)?),
        false => StreamSource::Conversation(source),
    };
    Ok(Stream { device, source })
}

fn stream_size(stream: &Stream) -> usize {
    match &stream.source {
        StreamSource::Conversation(name) => name.len(),
        StreamSource::Chat(_) => 0,
    }
}
