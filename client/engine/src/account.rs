//! The files of each account in a user's data folder.
//!
//! `servers/FINGERPRINT/accounts/USERNAME/` has the account's key (`identity.key`, PKCS #8), the
//! known peers (`peers.json`) and the blocked people (`blocked.json`). `position.json` has the
//! position up to which broadcasts were shown. `lock` keeps a second client from being the same
//! user. A file that can't be understood is reported and never replaced. Only an unreadable
//! position counts as missing, since it merely repeats some broadcasts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs::{self, File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use letschat_flags::files;
use letschat_protocol::identity::{Fingerprint, Identity, PublicKey};
use letschat_protocol::username::Username;
use serde::{Deserialize, Serialize};

use crate::private_file;
use letschat_core::mail::StoredMail;
use letschat_core::session::{Account, AccountError, KnownPeer, LogPosition};

const SERVERS: &str = "servers";
const ACCOUNTS: &str = "accounts";
const IDENTITY_FILE: &str = "identity.key";
const PEERS_FILE: &str = "peers.json";
const BLOCKED_FILE: &str = "blocked.json";
const POSITION_FILE: &str = "position.json";
const LOCK_FILE: &str = "lock";
const MAIL_FILE: &str = "account.sqlite";
/// The folder with the hashes of the chunks of own files, a list for each.
const HASHES_FOLDER: &str = "hashes";

/// An account's folder, locked as long as the value lives.
pub(crate) struct AccountFolder {
    path: PathBuf,
    identity: Arc<Identity>,
    /// The reason for which an existing position counts as missing.
    pub(crate) lost_position: Option<String>,
    _lock: File,
}

/// A known peer as stored in `peers.json`.
#[derive(Serialize, Deserialize)]
struct StoredPeer {
    key: String,
    verified: bool,
    /// The last address at which they received others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receiver: Option<SocketAddr>,
}

/// Returns true if the server has accepted a key of this account.
pub(crate) fn has_key(data_folder: &Path, server: &Fingerprint, username: &Username) -> bool {
    accounts_folder(data_folder, server).join(username.as_str()).join(IDENTITY_FILE).exists()
}

/// Locks and reads an account. Without a name, opens the only one that has a key and is not in use.
pub(crate) fn open(
    data_folder: &Path,
    server: &Fingerprint,
    username: Option<Username>,
) -> Result<(Account, AccountFolder), AccountError> {
    let accounts = accounts_folder(data_folder, server);
    let (username, lock) = match username {
        Some(username) => {
            let path = accounts.join(username.as_str());
            refuse_replaceable(data_folder, &path)?;
            files::create_private_folder(&path).map_err(|error| refused(&path, &error))?;
            let lock = lock(&path, &username)?;
            (username, lock)
        }
        None => lock_only_one(&accounts)?,
    };
    let path = accounts.join(username.as_str());
    for file in [PEERS_FILE, BLOCKED_FILE] {
        refuse_replaceable(data_folder, &path.join(file))?;
    }
    read(data_folder, path, username, lock)
}

/// Refuses a path that others could replace: they could put other keys in its place.
fn refuse_replaceable(data_folder: &Path, path: &Path) -> Result<(), AccountError> {
    files::refuse_replaceable(data_folder, path).map_err(|error| refused(path, &error))
}

/// Returns the account that has a key and is not in use, if there is exactly one.
pub(crate) fn only_one(data_folder: &Path, server: &Fingerprint) -> Option<Username> {
    lock_only_one(&accounts_folder(data_folder, server)).ok().map(|(username, _)| username)
}

/// Returns true if any server has accepted a key of this machine, or if the folder can't be read.
pub fn any(data_folder: &Path) -> bool {
    let servers = match fs::read_dir(data_folder.join(SERVERS)) {
        Ok(servers) => servers,
        Err(error) => return error.kind() != io::ErrorKind::NotFound,
    };
    let has_account = |server: &Path| {
        with_identity(&server.join(ACCOUNTS)).map_or(true, |accounts| !accounts.is_empty())
    };
    servers.flatten().any(|server| has_account(&server.path()))
}

impl AccountFolder {
    /// Returns the path of the folder with the lists of hashes of own files.
    pub(crate) fn hashes_folder(&self) -> PathBuf {
        self.path.join(HASHES_FOLDER)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the file with messages and prekeys.
    pub(crate) fn mail_path(&self) -> PathBuf {
        self.path.join(MAIL_FILE)
    }

    /// Writes the account's key for the next run. An existing one is left alone.
    pub(crate) fn save_identity(&self) -> io::Result<()> {
        let path = self.path.join(IDENTITY_FILE);
        if path.try_exists()? {
            Ok(())
        } else {
            files::write_private(&path, self.identity.to_pkcs8())
        }
    }

    /// Writes the known peers.
    pub(crate) fn save_peers(&self, peers: &BTreeMap<Username, KnownPeer>) -> io::Result<()> {
        let stored: BTreeMap<&str, StoredPeer> = peers
            .iter()
            .map(|(name, peer)| {
                let KnownPeer { key, verified, receiver } = *peer;
                let stored = StoredPeer { key: key.to_string(), verified, receiver };
                (name.as_str(), stored)
            })
            .collect();
        private_file::write_json(&self.path.join(PEERS_FILE), &stored)
    }

    /// Writes the blocked people.
    pub(crate) fn save_blocked(&self, blocked: &BTreeSet<Username>) -> io::Result<()> {
        let names: Vec<&str> = blocked.iter().map(Username::as_str).collect();
        private_file::write_json(&self.path.join(BLOCKED_FILE), &names)
    }

    /// Writes the position up to which broadcasts have been shown.
    pub(crate) fn save_position(&self, position: LogPosition) -> io::Result<()> {
        private_file::write_json(&self.path.join(POSITION_FILE), &position)
    }
}

fn accounts_folder(data_folder: &Path, server: &Fingerprint) -> PathBuf {
    data_folder.join(SERVERS).join(server.to_string()).join(ACCOUNTS)
}

fn lock(path: &Path, username: &Username) -> Result<File, AccountError> {
    let file = files::open_lock(&path.join(LOCK_FILE)).map_err(|error| refused(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(AccountError::InUse(username.clone())),
        Err(TryLockError::Error(error)) => Err(refused(path, &error)),
    }
}

fn lock_only_one(accounts: &Path) -> Result<(Username, File), AccountError> {
    let mut free = Vec::new();
    let mut taken = Vec::new();
    for username in with_identity(accounts)? {
        match lock(&accounts.join(username.as_str()), &username) {
            Ok(lock) => free.push((username, lock)),
            Err(AccountError::InUse(username)) => taken.push(username),
            Err(error) => return Err(error),
        }
    }
    match (free.pop(), free.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            let names = free.into_iter().chain([last]).map(|(username, _)| username);
            Err(AccountError::NotOne(names.collect()))
        }
        (None, _) => Err(match (taken.pop(), taken.is_empty()) {
            (Some(only), true) => AccountError::InUse(only),
            (last, _) => AccountError::NotOne(taken.into_iter().chain(last).collect()),
        }),
    }
}

/// Returns the accounts that have a key on this machine, sorted by name.
fn with_identity(accounts: &Path) -> Result<Vec<Username>, AccountError> {
    let entries = match fs::read_dir(accounts) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(refused(accounts, &error)),
    };
    let mut usernames = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| refused(accounts, &error))?;
        // Entries whose names are no usernames are not ours.
        let Some(username) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if entry.path().join(IDENTITY_FILE).exists() {
            usernames.push(username);
        }
    }
    usernames.sort();
    Ok(usernames)
}

fn read(
    data_folder: &Path,
    path: PathBuf,
    username: Username,
    lock: File,
) -> Result<(Account, AccountFolder), AccountError> {
    let has_key = path.join(IDENTITY_FILE).exists();
    let identity = Arc::new(read_identity(data_folder, &path.join(IDENTITY_FILE))?);
    let peers = read_peers(&path.join(PEERS_FILE))?;
    let position_path = path.join(POSITION_FILE);
    let (position, lost_position) = match private_file::read_json(&position_path) {
        Ok(position) => (position, None),
        Err(error) => (LogPosition::default(), Some(lost(&position_path, &error))),
    };
    let blocked = read_blocked(&path.join(BLOCKED_FILE))?;
    // The driver reads the messages.
    let mail = StoredMail::default();
    let account =
        Account { username, identity: identity.clone(), has_key, peers, blocked, position, mail };
    Ok((account, AccountFolder { path, identity, lost_position, _lock: lock }))
}

/// Reads the account's key, or generates one if there is none. A new key is written only once the
/// server has accepted it. Until then it is worthless, and the account is not offered for login.
fn read_identity(data_folder: &Path, path: &Path) -> Result<Identity, AccountError> {
    match private_file::read_secret(data_folder, path).map_err(|error| refused(path, &error))? {
        Some(pkcs8) => Identity::from_pkcs8(&pkcs8),
        None => Identity::generate(),
    }
    .map_err(|error| unusable(path, &error))
}

fn read_peers(path: &Path) -> Result<BTreeMap<Username, KnownPeer>, AccountError> {
    let stored: BTreeMap<String, StoredPeer> =
        private_file::read_json(path).map_err(|error| refused(path, &error))?;
    let mut peers = BTreeMap::new();
    for (name, peer) in stored {
        let name: Username = name.parse().map_err(|error| unusable(path, &error))?;
        let key: PublicKey = peer.key.parse().map_err(|error| unusable(path, &error))?;
        let StoredPeer { verified, receiver, .. } = peer;
        peers.insert(name, KnownPeer { key, verified, receiver });
    }
    Ok(peers)
}

fn read_blocked(path: &Path) -> Result<BTreeSet<Username>, AccountError> {
    let names: Vec<String> =
        private_file::read_json(path).map_err(|error| refused(path, &error))?;
    let names = names.iter().map(|name| name.parse());
    names.collect::<Result<_, _>>().map_err(|error| unusable(path, &error))
}

fn lost(path: &Path, error: &io::Error) -> String {
    format!(
        "{} can't be used ({error}), so broadcasts may be shown once more; it is written anew.",
        path.display()
    )
}

/// Returns the error for a file that can't be used or holds something else.
fn refused(path: &Path, error: &io::Error) -> AccountError {
    let shown = path.display();
    match error.kind() {
        _ if files::has_no_locks(error) => AccountError::Folder(format!(
            "{shown} is on a file system without locks ({error}), which keep a second client from \
             being the same user; choose a folder elsewhere with --data."
        )),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => unusable(path, error),
        _ => AccountError::Folder(format!("{shown} can't be used: {error}.")),
    }
}

fn unusable(path: &Path, error: &dyn Display) -> AccountError {
    AccountError::Folder(format!(
        "{} can't be used: {error}. Repair it or move it away; it is left as it is.",
        path.display()
    ))
}

#[cfg(test)]
mod tests;
