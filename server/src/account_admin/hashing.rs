//! Hashes many passwords with a thread for each processor, and shows the progress.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use letschat_flags::output::Stream;
use letschat_server::store::admin::NewAccount;
use letschat_server::store::password::{HashError, Hasher};

use super::rows::{Credential, Person};

/// The most threads. Each needs the memory of one hash.
const MAX_THREADS: usize = 8;
const QUEUE: usize = 64;
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Returns the accounts of these people, in the same order.
pub(super) fn hash_all(people: &[Person]) -> Result<Vec<NewAccount>, HashError> {
    let available = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let mut hashed: Vec<Option<NewAccount>> = Vec::new();
    hashed.resize_with(people.len(), || None);
    let mut progress = Progress::new(people);
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(QUEUE);
        for _ in 0..available.min(MAX_THREADS).min(people.len()) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                let mut hasher = Hasher::default();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(person) = people.get(at) else { return };
                    // The receiver is gone once a hash has failed.
                    if sender.send((at, account(person, &mut hasher))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (at, account) in receiver {
            hashed[at] = Some(account?);
            progress.advance(matches!(people[at].credential, Credential::Password(_)));
        }
        Ok(())
    })?;
    progress.clear();
    Ok(hashed.into_iter().flatten().collect())
}

fn account(person: &Person, hasher: &mut Hasher) -> Result<NewAccount, HashError> {
    let phc = match &person.credential {
        Credential::Password(password) => hasher.hash(&password.0)?,
        Credential::Hash(phc) => phc.clone(),
    };
    Ok(NewAccount { username: person.username.clone(), phc })
}

/// A progress line that is overwritten at the terminal. Without a terminal nothing is shown.
struct Progress {
    passwords: usize,
    done: usize,
    shown: Option<Instant>,
    is_terminal: bool,
}

impl Progress {
    fn new(people: &[Person]) -> Progress {
        let is_password = |person: &&Person| matches!(person.credential, Credential::Password(_));
        let passwords = people.iter().filter(is_password).count();
        let is_terminal = std::io::stderr().is_terminal();
        Progress { passwords, done: 0, shown: None, is_terminal }
    }

    fn advance(&mut self, is_password: bool) {
        self.done += usize::from(is_password);
        let is_due = self.shown.is_none_or(|shown| shown.elapsed() >= PROGRESS_INTERVAL);
        if self.is_terminal && is_password && is_due {
            self.shown = Some(Instant::now());
            show(&format!("\rhashing passwords: {} of {}", self.done, self.passwords));
        }
    }

    fn clear(&self) {
        if self.shown.is_some() {
            show("\r\x1b[K");
        }
    }
}

fn show(text: &str) {
    // A failure to show progress changes nothing.
    let _ = Stream::Error.write(text);
}
