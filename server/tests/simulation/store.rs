//! A database that survives the server, is slow, and fails at times.

use std::collections::{BTreeMap, BTreeSet};

use letschat_protocol::devices::DeviceList;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;
use letschat_server::hub::Input;
use letschat_server::store::{
    Created, NewBroadcast, StoreAnswer, StoreRequest, StoredEntry, StoredLog, Unavailable, Verdict,
};

use crate::cluster::{Asking, Process};
use crate::faults::Hit;
use crate::mailbox::SimulatedMailbox;
use crate::server::Server;
use crate::tables::Tables;
use crate::world::World;

/// The contents of the database.
#[derive(Default)]
pub(crate) struct SimulatedStore {
    passwords: BTreeMap<Username, String>,
    keys: BTreeSet<(Username, PublicKey)>,
    pub(crate) entries: Vec<StoredEntry>,
    head: u64,
    pub(crate) mailbox: SimulatedMailbox,
    pub(crate) tables: Tables,
}

impl SimulatedStore {
    /// Returns the log that a starting server loads.
    pub(crate) fn log(&self) -> StoredLog {
        StoredLog { epoch: 77, head: self.head, entries: self.entries.clone() }
    }

    /// Returns the list of an account's devices.
    pub(crate) fn device_list(&self, account: &Username) -> Option<&DeviceList> {
        self.mailbox.device_list(account)
    }

    /// Returns the devices of an account that mail can reach.
    pub(crate) fn devices(
        &self,
        account: &Username,
        wall_ms: u64,
    ) -> impl Iterator<Item = PublicKey> {
        self.mailbox.devices(account, wall_ms)
    }

    fn answer(&mut self, by: Asking<'_>, request: StoreRequest) -> Option<StoreAnswer> {
        Some(match request {
            StoreRequest::SignUp { connection, username, password } => {
                let taken = self.passwords.contains_key(&username);
                if !taken {
                    self.mailbox.add_account(&username);
                    self.passwords.insert(username, password.0);
                }
                let result = Ok(if taken { Created::Taken } else { Created::New });
                StoreAnswer::SignedUp { connection, result }
            }
            StoreRequest::CheckPassword { connection, username, password, key } => {
                let right = username.as_ref().and_then(|name| self.passwords.get(name));
                let right = right == Some(&password.0);
                let result = Ok(match (right, username, key) {
                    (true, Some(username), Some(key)) => {
                        let verdict = self.right(&username, &key);
                        self.keys.insert((username, key));
                        verdict
                    }
                    (true, ..) => Verdict::Accepted,
                    (false, ..) => Verdict::Refused,
                });
                StoreAnswer::Checked { connection, result }
            }
            StoreRequest::CheckKey { connection, username, key, claim } => {
                if claim && !self.has_account(&username) {
                    self.mailbox.add_account(&username);
                    self.keys.insert((username.clone(), key));
                }
                let verdict = self.right(&username, &key);
                let known = self.keys.contains(&(username, key));
                let result = Ok(if known { verdict } else { Verdict::Refused });
                StoreAnswer::Checked { connection, result }
            }
            StoreRequest::Cluster(request) => StoreAnswer::Cluster(self.answer_member(by, request)),
            StoreRequest::ChangePassword(_) => return None,
            StoreRequest::Append { after, broadcasts } => {
                StoreAnswer::Appended { result: Ok(self.append(after, broadcasts)) }
            }
            StoreRequest::Forget { through } => {
                self.entries.retain(|entry| entry.broadcast.number > through);
                return None;
            }
            StoreRequest::Mail(request) => {
                StoreAnswer::Mail(request.run(&mut self.mailbox).expect("memory does not fail"))
            }
        })
    }

    /// Returns the verdict on right credentials.
    fn right(&self, username: &Username, key: &PublicKey) -> Verdict {
        let list = self.device_list(username);
        match list.is_none_or(|list| list.contains(key)) {
            true => Verdict::Accepted,
            false => Verdict::Unlisted,
        }
    }

    fn has_account(&self, username: &Username) -> bool {
        let has_key = self.keys.iter().any(|(owner, _)| owner == username);
        has_key || self.passwords.contains_key(username)
    }

    pub(crate) fn append(&mut self, after: u64, broadcasts: Vec<NewBroadcast>) -> u64 {
        assert!(after <= self.head, "number {after} was published and is not committed");
        let first = self.head + 1;
        for broadcast in broadcasts {
            self.head += 1;
            self.entries.push(broadcast.numbered(self.head));
        }
        first
    }
}

fn refusal(request: &StoreRequest) -> Option<StoreAnswer> {
    Some(match request {
        StoreRequest::SignUp { connection, .. } => {
            StoreAnswer::SignedUp { connection: *connection, result: Err(Unavailable) }
        }
        StoreRequest::CheckPassword { connection, .. }
        | StoreRequest::CheckKey { connection, .. } => {
            StoreAnswer::Checked { connection: *connection, result: Err(Unavailable) }
        }
        StoreRequest::Append { .. } => StoreAnswer::Appended { result: Err(Unavailable) },
        StoreRequest::Mail(request) => StoreAnswer::Mail(request.unavailable()),
        StoreRequest::Cluster(request) => StoreAnswer::Cluster(request.unavailable()),
        StoreRequest::ChangePassword(_) | StoreRequest::Forget { .. } => return None,
    })
}

impl World {
    pub(crate) fn stored(&mut self, at: usize, life: u64, request: StoreRequest, fails: bool) {
        let Process { life: last, member, .. } = &self.server.processes[at];
        let (died, is_cut_off) = (life != *last, member.is_cut_off(self.now));
        // A commit in progress when the process died may have happened or not. So may one that
        // failed: only the answer was lost.
        let happens = if fails { self.chance(30) } else { !died || self.chance(50) };
        let (fails, happens) = (fails || is_cut_off, happens && !is_cut_off);
        let refused = refusal(&request);
        let Server { processes, store, .. } = &mut self.server;
        let asking = (&processes[at].member.name, life, self.now.boot_ms);
        let stored = if happens { store.answer(asking, request) } else { None };
        let answer = if fails { refused } else { stored };
        if let Some(answer) = answer.filter(|_| !died) {
            if fails {
                self.hit(Hit::StoreFailed);
            }
            self.hub(at, Input::Stored(answer));
        }
    }
}
