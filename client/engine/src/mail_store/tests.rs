mod limits;
mod refusals;
mod round_trips;
mod secrets;

use super::*;
use std::collections::BTreeMap;
use std::fs;

use letschat_core::codes::FailureCode;
use letschat_core::conversation::ConversationId;
use letschat_core::files::{FileState, StoredFile};
use letschat_core::mail::{
    ChangeKind, Held, Membership, Outgoing, OutgoingKey, OwedReceipt, Received, RosterChange,
    Stage, StoredGroup, Stream, StreamSource,
};
use letschat_protocol::body::{DeviceListRef, Place};
use letschat_protocol::devices::{Device, DeviceList, DeviceName};
use letschat_protocol::files::name::FileName;
use letschat_protocol::files::{FileHash, FileInfo};
use letschat_protocol::groups::{Founding, Member, Roster, SignedRoster, Wish};
use letschat_protocol::identity::{Fingerprint, Identity, PublicKey};
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;
use tempfile::TempDir;

const FILE: &str = "account.sqlite";

/// A folder with a database.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    /// Makes a database, changes it as another program would, and closes it.
    fn with(sql: &str) -> Folder {
        let folder = Folder::new();
        drop(folder.open());
        folder.execute(sql);
        folder
    }

    fn execute(&self, sql: &str) {
        let connection = Connection::open(self.path()).unwrap();
        connection.pragma_update(None, "ignore_check_constraints", true).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.0.path().join(FILE)
    }

    fn companion(&self, suffix: &str) -> PathBuf {
        crate::sqlite::with_suffix(&self.path(), suffix)
    }

    fn open(&self) -> (MailStore, StoredMail) {
        MailStore::open(self.0.path(), &self.path()).unwrap()
    }

    fn error(&self) -> MailStoreError {
        MailStore::open(self.0.path(), &self.path()).err().unwrap()
    }

    fn read(&self) -> StoredMail {
        self.open().1
    }

    /// Copies the files of an open database: they are as after a kill.
    fn copy(&self) -> Folder {
        let copy = Folder::new();
        for entry in fs::read_dir(self.0.path()).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, copy.0.path().join(path.file_name().unwrap())).unwrap();
        }
        copy
    }

    /// Returns the names of the files that hold these bytes.
    fn files_with(&self, bytes: &[u8]) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap());
        let holding = entries.filter(|entry| {
            let content = fs::read(entry.path()).unwrap();
            content.windows(bytes.len()).any(|window| window == bytes)
        });
        holding.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }
}

fn name(text: &str) -> Username {
    text.parse().unwrap()
}

/// Returns a group that somebody has to be told of.
fn group(nonce: u128) -> StoredGroup {
    let list = DeviceListRef { number: 3, hash: [4; 32] };
    let identity = Identity::from_seed(&[1; 32]);
    let founding = Founding {
        nonce,
        name: "team".parse().unwrap(),
        founder: name("bob"),
        device: identity.public_key(),
    };
    let roster = Roster {
        founding,
        number: 1,
        givings: vec![],
        members: vec![Member { name: name("bob"), list, since: 1, is_invited: false }],
        left: vec![name("zoe")],
        versions: BTreeMap::new(),
    };
    let roster = SignedRoster::sign(roster, &identity, &Fingerprint::of_spki(b"server"));
    let label = format!("team-{nonce}").parse().unwrap();
    let owed = [name("bob"), name("zoe")].into();
    let membership = Membership::ALL[nonce as usize % 3];
    let change = |kind| RosterChange { number: 7, kind, who: name("bob") };
    let changes = ChangeKind::ALL.map(change).to_vec();
    StoredGroup { label, roster, membership, owed, wish: Some(Wish::Leave), changes }
}

fn list(seed: u8) -> DeviceList {
    let device = Device { key: PublicKey::from_bytes([seed; 32]), name: DeviceName::like("x") };
    DeviceList::restore(vec![device; 2], vec![[seed; 32]; 3]).unwrap()
}

fn id(number: u64) -> MessageId {
    MessageId::of_broadcast(1, number)
}

fn outgoing(number: u64, text: &str) -> Outgoing {
    Outgoing {
        id: id(number),
        to: name("bob"),
        conversation: ConversationId::Person(name("bob")),
        place: Place::Sequence(number),
        time_ms: 1_700_000_000_000 + number,
        text: text.into(),
        file: None,
        stage: Stage::Waiting,
    }
}

fn file_info(size: u64) -> FileInfo {
    FileInfo::new(size, FileHash([3; 32])).unwrap()
}

fn file(number: u64, state: FileState) -> StoredFile {
    StoredFile {
        id: id(number),
        conversation: ConversationId::Person(name("bob")),
        from: name("bob"),
        device: PublicKey::from_bytes([5; 32]),
        audience: vec![],
        name: FileName::reduced("photo.jpg"),
        info: file_info(number),
        time_ms: 1_700_000_000_000,
        state,
        path: None,
        part: None,
    }
}

/// Returns the change that removes an own message to bob.
fn settled(number: u64) -> MailChange {
    MailChange::Settled(OutgoingKey { id: id(number), to: name("bob") })
}

fn stream(conversation: &str) -> Stream {
    let device = PublicKey::from_bytes([5; 32]);
    Stream { device, source: StreamSource::Conversation(conversation.into()) }
}

fn held(number: u64, text: &str) -> Held {
    Held {
        id: id(number),
        from: name("mallory"),
        stream: stream("alice"),
        number,
        text: text.into(),
        file: None,
        sent_ms: 5,
        time_ms: 6,
    }
}

fn receipt(number: u64) -> OwedReceipt {
    OwedReceipt { to: name("bob"), id: id(number) }
}

fn received(conversation: &str, through: u64, beyond: &[u64]) -> Received {
    Received { stream: stream(conversation), through, beyond: beyond.to_vec() }
}
