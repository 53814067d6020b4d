//! Accounts that exist before the server starts, with the lists of several devices: thousands of sign-ups would only
//! measure password hashing.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use letschat_protocol::devices::{Change, ConsentStatement, DeviceEntry, DeviceList, DeviceName};
use letschat_protocol::dialogue::Secret;
use letschat_protocol::identity::{Fingerprint, Identity};
use letschat_protocol::username::Username;
use letschat_server::settings::StoreLocation;
use letschat_server::store::mailbox::{ListChange, Mailbox as _};
use letschat_server::store::sqlite::Sqlite;
use letschat_server::store::{Store, password};
use tempfile::TempDir;

use crate::programs::{BenchResult, Failed};
use crate::server::ServerProcess;

/// The password of all accounts.
const PASSWORD: &str = "correct horse battery";

/// The accounts' creation time, in milliseconds. Any time will do.
const MADE_MS: u64 = 1_700_000_000_000;

/// A RAM disk: the database need not be durable while accounts are created.
const QUICK_DISK: &str = "/dev/shm";

/// The accounts, in the data folder of a server that is copied for every server of a run.
pub(crate) struct Accounts {
    folder: TempDir,
    members: Vec<Member>,
}

/// A device of an account.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) username: Username,
    pub(crate) identity: Arc<Identity>,
}

impl Accounts {
    /// Creates accounts with `devices` devices each, `count` in all. The server makes its key, which signs what devices
    /// sign.
    pub(crate) fn make(count: usize, devices: usize, server: &Path) -> BenchResult<Accounts> {
        let folder = match tempfile::tempdir_in(QUICK_DISK) {
            Ok(folder) => folder,
            Err(_) => tempfile::tempdir()?,
        };
        let fingerprint = ServerProcess::make_data(server, &folder)?;
        let member = |number| Member::number(number, number / devices);
        let members = (0..count).map(member).collect::<BenchResult<Vec<Member>>>()?;
        let StoreLocation::Sqlite(database) = StoreLocation::in_folder(folder.path()) else {
            return Err(Failed("the accounts are not in SQLite".into()).into());
        };
        let mut store = Sqlite::open(&database)?;
        let phc = password::hash(PASSWORD)?;
        for devices in members.chunks(devices) {
            if let Some(first) = devices.first() {
                store.create_account(&first.username, &phc, MADE_MS)?;
            }
            for device in devices {
                store.add_key(&device.username, &device.identity.public_key(), MADE_MS)?;
            }
            // The first client of an account makes the list of its own device.
            if devices.len() > 1 {
                list(&mut store, fingerprint, devices)?;
            }
        }
        Ok(Accounts { folder, members })
    }

    /// Copies the server's key and the database to a server's data folder.
    pub(crate) fn copy_to(&self, data_folder: &Path) -> BenchResult<()> {
        for file in fs::read_dir(self.folder.path())? {
            let file = file?;
            if file.file_type()?.is_file() {
                fs::copy(file.path(), data_folder.join(file.file_name()))?;
            }
        }
        Ok(())
    }

    /// Creates the first accounts in another database, each with one device.
    pub(crate) fn copy_to_store(&self, store: &mut dyn Store, count: usize) -> BenchResult<()> {
        let phc = password::hash(PASSWORD)?;
        for member in &self.members[..count] {
            store.create_account(&member.username, &phc, MADE_MS)?;
            store.add_key(&member.username, &member.identity.public_key(), MADE_MS)?;
        }
        Ok(())
    }

    /// Returns the n-th account, from 0. Panics beyond the created number.
    pub(crate) fn member(&self, number: usize) -> &Member {
        &self.members[number]
    }
}

/// Stores the list of an account's devices, each of which the first one adds.
fn list(store: &mut Sqlite, server: Fingerprint, devices: &[Member]) -> BenchResult<()> {
    let mut list: Option<DeviceList> = None;
    for (Member { username, identity }, number) in devices.iter().zip(1..) {
        let place = (&server, username);
        let name: DeviceName = format!("device{number}").parse()?;
        let entry = match &list {
            None => DeviceEntry::first(identity, place, name, 1),
            Some(list) => {
                let (account, chain) = (username, &list.chain());
                let statement = ConsentStatement { server: &server, account, chain, name: &name };
                let consent = identity.sign(&statement);
                let change = Change::Add { name, consent };
                let (first, added) = (&devices[0].identity, identity.public_key());
                DeviceEntry::sign(first, place, Some(list), added, change)
            }
        };
        list = Some(DeviceList::after(list.as_ref(), place, &entry)?);
        let username = username.clone();
        store.change_list(&ListChange { server, username, number, entry, is_recovery: false })?;
    }
    Ok(())
}

/// Returns the password of every account.
pub(crate) fn password() -> Secret {
    Secret(PASSWORD.into())
}

impl Member {
    fn number(number: usize, account: usize) -> BenchResult<Member> {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let username = format!("member{account:05}").parse::<Username>()?;
        Ok(Member { username, identity: Arc::new(Identity::from_seed(&seed)) })
    }
}
