//! The queues of the database thread and the hashing threads.
//!
//! The log's requests, envelopes, acknowledgements and the last steps of requests in progress come
//! first, so that members don't wait for those who log in. Clients' new requests are bounded. Reads
//! of mail take turns with them: each connection has at most one, which bounds them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::MAX_WAITING;
use super::steps::{DatabaseJob, HashingJob};
use crate::hub::ConnectionId;
use crate::store::mailbox::MailRequest;
use crate::store::{StoreAnswer, StoreRequest};

/// The queues between the hub and the working threads.
#[derive(Default)]
pub(super) struct Queues {
    waiting: Mutex<Waiting>,
    database_work: Condvar,
    hashing_work: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// The log's requests, envelopes, acknowledgements and last steps.
    urgent: VecDeque<DatabaseJob>,
    /// Clients' requests that have not begun.
    requests: VecDeque<StoreRequest>,
    /// Reads of mail.
    reads: VecDeque<StoreRequest>,
    /// True if a read comes before the next request.
    is_turn_of_reads: bool,
    hashes: VecDeque<HashingJob>,
    closed_to_people: bool,
    closed: bool,
}

impl Queues {
    /// Queues a request, or returns it if [`MAX_WAITING`] are waiting already. The log's requests,
    /// envelopes and acknowledgements are always accepted: the hub has at most one commit of each
    /// under way, and requests to forget are merged. So are reads of mail, at most one for each
    /// connection: refused, they would all come again at once.
    pub(super) fn submit(&self, request: StoreRequest) -> Result<(), StoreRequest> {
        let mut waiting = self.lock();
        match request {
            StoreRequest::Append { .. }
            | StoreRequest::Mail(MailRequest::Post { .. } | MailRequest::Acknowledge { .. })
            | StoreRequest::Cluster(_) => {
                waiting.urgent.push_back(DatabaseJob::Begin(request));
            }
            StoreRequest::Forget { through } => waiting.forget(through),
            StoreRequest::Mail(MailRequest::Read { .. }) => waiting.reads.push_back(request),
            // The hub asks for one at a time, also while others are refused.
            StoreRequest::Mail(MailRequest::Measure) => waiting.requests.push_back(request),
            _ if waiting.is_full() => return Err(request),
            _ => waiting.requests.push_back(request),
        }
        self.database_work.notify_one();
        Ok(())
    }

    /// Queues the next step of a request in progress. There is always room.
    pub(super) fn continue_in_database(&self, job: DatabaseJob) {
        self.lock().urgent.push_back(job);
        self.database_work.notify_one();
    }

    /// Queues the next step of a request in progress. Returns it if the service is stopping.
    pub(super) fn continue_hashing(&self, job: HashingJob) -> Result<(), HashingJob> {
        let mut waiting = self.lock();
        if waiting.closed_to_people {
            return Err(job);
        }
        waiting.hashes.push_back(job);
        self.hashing_work.notify_one();
        Ok(())
    }

    /// Returns the number of requests and steps that wait.
    pub(super) fn waiting(&self) -> usize {
        let Waiting { urgent, requests, reads, hashes, .. } = &*self.lock();
        urgent.len() + requests.len() + reads.len() + hashes.len()
    }

    /// Removes this connection's waiting requests, unless they are in progress.
    pub(super) fn cancel(&self, connection: ConnectionId) {
        let mut waiting = self.lock();
        waiting.hashes.retain(|job| job.connection() != connection);
        waiting.requests.retain(|request| asker(request) != Some(connection));
        waiting.reads.retain(|request| asker(request) != Some(connection));
    }

    /// Waits for work. Returns `None` if none is left and none will come.
    pub(super) fn next_for_database(&self) -> Option<DatabaseJob> {
        let idle = |waiting: &mut Waiting| {
            let Waiting { urgent, requests, reads, closed, .. } = waiting;
            urgent.is_empty() && requests.is_empty() && reads.is_empty() && !*closed
        };
        let waiting = self.database_work.wait_while(self.lock(), idle);
        let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        if let Some(urgent) = waiting.urgent.pop_front() {
            return Some(urgent);
        }
        let Waiting { requests, reads, is_turn_of_reads, .. } = &mut *waiting;
        let (first, second) = match is_turn_of_reads {
            true => (reads, requests),
            false => (requests, reads),
        };
        let request = first.pop_front().or_else(|| second.pop_front());
        *is_turn_of_reads = !matches!(request, Some(StoreRequest::Mail(MailRequest::Read { .. })));
        request.map(DatabaseJob::Begin)
    }

    /// Waits for work. Returns `None` if none will come. If no password is waiting to overwrite the
    /// last one in memory, it is wiped first.
    pub(super) fn next_for_hashing(&self, wipe: impl FnOnce()) -> Option<HashingJob> {
        if let Some(job) = self.lock().hashes.pop_front() {
            return Some(job);
        }
        wipe();
        let idle = |waiting: &mut Waiting| waiting.hashes.is_empty() && !waiting.closed_to_people;
        let waiting = self.hashing_work.wait_while(self.lock(), idle);
        waiting.unwrap_or_else(PoisonError::into_inner).hashes.pop_front()
    }

    /// Lets the hashing threads end. Drops clients' requests that have not begun, and returns their
    /// answers.
    pub(super) fn close_to_people(&self) -> Vec<StoreAnswer> {
        let mut waiting = self.lock();
        waiting.closed_to_people = true;
        self.hashing_work.notify_all();
        let mut requests = std::mem::take(&mut waiting.requests);
        requests.append(&mut waiting.reads);
        let hashes = std::mem::take(&mut waiting.hashes);
        let hashes = hashes.iter().map(HashingJob::unavailable);
        requests.iter().filter_map(super::unavailable).chain(hashes).collect()
    }

    /// Lets the database thread end after the queued work.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.database_work.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Poisoning is ignored: no panic can interrupt a change of the queues.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_full(&self) -> bool {
        self.urgent.len() + self.requests.len() + self.hashes.len() >= MAX_WAITING
    }

    /// Merges consecutive requests to forget, so that they don't pile up while a database hangs.
    fn forget(&mut self, through: u64) {
        if let Some(DatabaseJob::Begin(StoreRequest::Forget { through: last })) =
            self.urgent.back_mut()
        {
            *last = through.max(*last);
        } else {
            self.urgent.push_back(DatabaseJob::Begin(StoreRequest::Forget { through }));
        }
    }
}

fn asker(request: &StoreRequest) -> Option<ConnectionId> {
    match request {
        StoreRequest::SignUp { connection, .. }
        | StoreRequest::CheckPassword { connection, .. }
        | StoreRequest::CheckKey { connection, .. } => Some(*connection),
        StoreRequest::ChangePassword(change) => Some(change.connection),
        StoreRequest::Mail(request) => request.asker(),
        StoreRequest::Append { .. } | StoreRequest::Forget { .. } | StoreRequest::Cluster(_) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::mailbox::MailQuery;
    use letschat_protocol::dialogue::Secret;
    use letschat_protocol::identity::PublicKey;

    fn sign_up(connection: u64) -> StoreRequest {
        StoreRequest::SignUp {
            connection: ConnectionId(connection),
            username: "alice".parse().unwrap(),
            password: Secret("correct horse battery".into()),
        }
    }

    fn hash(connection: u64) -> HashingJob {
        HashingJob::Compare {
            connection: ConnectionId(connection),
            password: Secret("correct horse battery".into()),
            account: None,
            key: None,
        }
    }

    fn forget(through: u64) -> StoreRequest {
        StoreRequest::Forget { through }
    }

    fn read(connection: u64) -> StoreRequest {
        let query = Box::new(MailQuery {
            username: "alice".parse().unwrap(),
            device: PublicKey::from_bytes([1; 32]),
            after: 0,
            expired_ms: 0,
            max_bytes: 1,
        });
        StoreRequest::Mail(MailRequest::Read { connection: ConnectionId(connection), query })
    }

    fn append() -> StoreRequest {
        StoreRequest::Append { after: 0, broadcasts: Vec::new() }
    }

    /// Takes all work for the database thread.
    fn drain(queues: &Queues) -> Vec<DatabaseJob> {
        queues.close();
        std::iter::from_fn(|| queues.next_for_database()).collect()
    }

    #[test]
    fn the_log_goes_before_people() {
        let queues = Queues::default();
        queues.submit(sign_up(1)).unwrap();
        queues.submit(append()).unwrap();
        assert_eq!(drain(&queues), [append(), sign_up(1)].map(DatabaseJob::Begin));
    }

    #[test]
    fn neighbours_that_forget_become_one_but_the_order_stays() {
        let queues = Queues::default();
        for request in [forget(3), forget(5), forget(4), append(), forget(6)] {
            queues.submit(request).unwrap();
        }
        assert_eq!(drain(&queues), [forget(5), append(), forget(6)].map(DatabaseJob::Begin));
    }

    #[test]
    fn full_queues_turn_people_away_but_not_the_log() {
        let queues = Queues::default();
        queues.continue_hashing(hash(0)).unwrap();
        for connection in 1..MAX_WAITING as u64 {
            queues.submit(sign_up(connection)).unwrap();
        }
        let refused = sign_up(u64::MAX);
        assert_eq!(queues.submit(refused.clone()), Err(refused));
        assert_eq!(queues.submit(append()), Ok(()));
        assert_eq!(queues.submit(forget(1)), Ok(()));
    }

    #[test]
    fn reads_of_mail_keep_nobody_out_and_take_turns() {
        let queues = Queues::default();
        for connection in 1..=2 * MAX_WAITING as u64 {
            queues.submit(read(connection)).unwrap();
        }
        for connection in 1..=MAX_WAITING as u64 {
            queues.submit(sign_up(connection)).unwrap();
        }
        queues.submit(read(u64::MAX)).unwrap();
        queues.submit(append()).unwrap();
        queues.cancel(ConnectionId(2));
        let jobs = drain(&queues);
        assert_eq!(jobs.len(), 3 * MAX_WAITING);
        let first = [append(), sign_up(1), read(1), sign_up(3), read(3), sign_up(4), read(4)];
        assert_eq!(jobs[..7], first.map(DatabaseJob::Begin));
        assert_eq!(jobs.last(), Some(&DatabaseJob::Begin(read(u64::MAX))));
    }

    #[test]
    fn read_of_mail_wakes_the_database_thread() {
        let queues = Queues::default();
        std::thread::scope(|scope| {
            let job = scope.spawn(|| queues.next_for_database());
            queues.submit(read(1)).unwrap();
            assert_eq!(job.join().unwrap(), Some(DatabaseJob::Begin(read(1))));
        });
    }

    #[test]
    fn a_hang_up_takes_its_hash_along_and_no_other() {
        let queues = Queues::default();
        for connection in [1, 2, 3] {
            queues.continue_hashing(hash(connection)).unwrap();
        }
        queues.cancel(ConnectionId(2));
        assert_eq!(queues.next_for_hashing(|| ()), Some(hash(1)));
        assert_eq!(queues.next_for_hashing(|| ()), Some(hash(3)));
        queues.close_to_people();
        assert_eq!(queues.next_for_hashing(|| ()), None);
    }

    #[test]
    fn what_a_password_left_is_wiped_when_no_other_waits() {
        let (queues, mut wipes) = (Queues::default(), 0);
        queues.continue_hashing(hash(1)).unwrap();
        assert_eq!(queues.next_for_hashing(|| wipes += 1), Some(hash(1)));
        assert_eq!(wipes, 0);
        queues.close_to_people();
        assert_eq!(queues.next_for_hashing(|| wipes += 1), None);
        assert_eq!(wipes, 1);
    }

    #[test]
    fn at_the_end_the_log_is_kept_and_people_are_told() {
        let queues = Queues::default();
        queues.submit(read(4)).unwrap();
        queues.submit(sign_up(1)).unwrap();
        queues.submit(append()).unwrap();
        queues.continue_hashing(hash(2)).unwrap();
        let [sign_up, read] =
            [sign_up(1), read(4)].map(|request| super::super::unavailable(&request));
        let told = [sign_up, read, Some(hash(2).unavailable())];
        assert_eq!(queues.close_to_people().into_iter().map(Some).collect::<Vec<_>>(), told);
        assert_eq!(queues.continue_hashing(hash(3)), Err(hash(3)));
        assert_eq!(drain(&queues), [DatabaseJob::Begin(append())]);
    }
}
