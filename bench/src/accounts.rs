//! Accounts that exist before the server starts: thousands of sign-ups would only measure password
//! hashing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use letschat_protocol::dialogue::Secret;
use letschat_protocol::identity::Identity;
use letschat_protocol::username::Username;
use letschat_server::settings::StoreLocation;
use letschat_server::store::sqlite::Sqlite;
use letschat_server::store::{Store as _, password};
use tempfile::TempDir;

use crate::programs::BenchResult;

/// The password of all accounts.
const PASSWORD: &str = "correct horse battery";

/// The accounts' creation time, in milliseconds. Any time will do.
const MADE_MS: u64 = 1_700_000_000_000;

/// A RAM disk: the database need not be durable while accounts are created.
const QUICK_DISK: &str = "/dev/shm";

/// Accounts with one key each, in a database that is copied for every server of a run.
pub(crate) struct Accounts {
    database: PathBuf,
    _folder: TempDir,
    members: Vec<Member>,
}

/// One account with its key.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) username: Username,
    pub(crate) identity: Arc<Identity>,
}

impl Accounts {
    /// Creates this many accounts.
    pub(crate) fn make(count: usize) -> BenchResult<Accounts> {
        let folder = match tempfile::tempdir_in(QUICK_DISK) {
            Ok(folder) => folder,
            Err(_) => tempfile::tempdir()?,
        };
        let database = folder.path().join("accounts.sqlite");
        let members = (0..count).map(Member::number).collect::<BenchResult<Vec<Member>>>()?;
        let mut store = Sqlite::open(&database)?;
        let phc = password::hash(PASSWORD)?;
        for member in &members {
            store.create_account(&member.username, &phc, MADE_MS)?;
            store.add_key(&member.username, &member.identity.public_key(), MADE_MS)?;
        }
        Ok(Accounts { database, _folder: folder, members })
    }

    /// Copies the database to a server's data folder.
    pub(crate) fn copy_to(&self, data_folder: &Path) -> BenchResult<()> {
        if let StoreLocation::Sqlite(path) = StoreLocation::in_folder(data_folder) {
            fs::copy(&self.database, path)?;
        }
        Ok(())
    }

    /// Returns the n-th account, from 0. Panics beyond the created number.
    pub(crate) fn member(&self, number: usize) -> &Member {
        &self.members[number]
    }
}

/// Returns the password of every account.
pub(crate) fn password() -> Secret {
    Secret(PASSWORD.into())
}

impl Member {
    fn number(number: usize) -> BenchResult<Member> {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let username = format!("member{number:05}").parse::<Username>()?;
        Ok(Member { username, identity: Arc::new(Identity::from_seed(&seed)) })
    }
}
