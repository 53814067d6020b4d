//! The parts of a message's way in an envelope, each measured alone.
//!
//! The parts of one message follow each other after a pause, as they do on the message's way, so that neither side has
//! the warmer caches. They run on one thread without any network; [`echo`](super::echo) has the network's part.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use letschat_protocol::envelope::Recipient;
use letschat_protocol::identity::Fingerprint;
use letschat_protocol::sealing::{self, Prekey, Receiver};
use rusqlite::Connection;

use crate::accounts::Member;
use crate::letters;
use crate::programs::BenchResult;

/// The times of one message's parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageParts {
    /// A commit of the text to SQLite.
    pub(crate) sender_commit: Duration,
    /// Ed25519 over the body, and HPKE for one device.
    pub(crate) sign_and_seal: Duration,
    /// A commit of the envelope to SQLite.
    pub(crate) server_commit: Duration,
    /// HPKE, and the check of the signature.
    pub(crate) open_and_verify: Duration,
    /// The size of the envelope.
    pub(crate) envelope_bytes: usize,
}

/// Measures the parts of this many messages. A pause precedes each message.
pub(crate) fn measure(
    [from, to]: [&Member; 2],
    count: usize,
    pause: Duration,
) -> BenchResult<Vec<MessageParts>> {
    let folder = tempfile::tempdir()?;
    let outbox = Database::create(&folder.path().join("outbox.sqlite"))?;
    let mailbox = Database::create(&folder.path().join("mailbox.sqlite"))?;
    let (prekey, server) = (Prekey::generate()?, Fingerprint::of_spki(b"server"));
    let (username, device) = (&to.username, to.identity.public_key());
    let recipient = Recipient { username: username.clone(), device, prekey: prekey.public() };
    let receiver = Receiver { server: &server, username, device: &device };
    let mut parts = Vec::with_capacity(count);
    for sequence in 1..=count as u64 {
        let body = letters::body(from, username, sequence);
        let text = letters::text();
        thread::sleep(pause);
        let (committed, sender_commit) = timed(|| outbox.commit(text.as_bytes()));
        committed?;
        let recipients = std::slice::from_ref(&recipient);
        let seal = || sealing::seal(&body, &from.identity, &server, recipients);
        let (envelope, sign_and_seal) = timed(seal);
        let envelope = envelope?;
        let bytes = envelope.to_bytes();
        let (committed, server_commit) = timed(|| mailbox.commit(&bytes));
        committed?;
        let half = |_: &_| Some(Prekey::from_bytes(prekey.public(), *prekey.private_bytes()));
        let open = || sealing::open(&envelope, &from.username, receiver, half);
        let (opened, open_and_verify) = timed(open);
        std::hint::black_box(opened?);
        let envelope_bytes = bytes.len();
        parts.push(MessageParts {
            sender_commit,
            sign_and_seal,
            server_commit,
            open_and_verify,
            envelope_bytes,
        });
    }
    Ok(parts)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let result = work();
    (result, begin.elapsed())
}

/// A database of one table, whose commits wait for the disk as those of client and server do.
struct Database(Connection);

impl Database {
    fn create(path: &Path) -> rusqlite::Result<Database> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, content BLOB)", [])?;
        Ok(Database(connection))
    }

    /// Commits one row.
    fn commit(&self, content: &[u8]) -> rusqlite::Result<()> {
        let insert = "INSERT INTO rows (content) VALUES (?1)";
        self.0.prepare_cached(insert)?.execute([content])?;
        Ok(())
    }
}
