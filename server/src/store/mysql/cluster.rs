//! The tables that the servers of a cluster share.
//!
//! Each change of sessions holds the row of the counter until the commit, so that numbers rise in the order of the
//! commits. The same holds for broadcasts and deliveries with their counters. Times are the database's.

mod rows;

use std::thread;
use std::time::{Duration, Instant};

use ::mysql::prelude::Queryable as _;
use ::mysql::{Conn, Row};
use letschat_protocol::identity::Fingerprint;

use super::failure::{Failure, column};
use super::{Mysql, insert, next_numbers};
use crate::store::cluster::{
    Cluster, ENDED_KEPT_MS, Ending, Entered, Entrance, Known, MAX_NEWS, MAX_SILENT_MS, News,
    ServerName,
};
use crate::store::{NewBroadcast, StoreError, StoredEntry};
use rows::{
    Presence, be_seen, dated_after_others, device_column, end_all, end_sessions, entries_after,
    forget_old, lock_counter, lock_log, mail, messages, others, sessions, set_counter,
};

/// The database's time in milliseconds since the Unix epoch.
const NOW_MS: &str = "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)";

/// The longest wait for a name.
const NAME_WAIT: Duration = Duration::from_millis(MAX_SILENT_MS + 1_000);

/// The interval at which a name that is taken is looked up.
const LOOK: Duration = Duration::from_millis(200);

/// The interval at which old rows are deleted, by a server that has been there for as long: after an outage of the
/// database, the others come back before.
const FORGET_INTERVAL_MS: u64 = 60_000;

/// The time after which a message is deleted that its server has not taken.
const MESSAGES_KEPT_MS: u64 = 60_000;

/// This server as a member of its cluster.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) name: ServerName,
    /// The id of this run, so that no other server has the name.
    pub(super) run: u64,
}

/// The memory of a member between its questions.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The last time at which it deleted old rows.
    forgot: Option<Instant>,
    /// True once another server has its name.
    is_out: bool,
    /// True while all sessions are due to the hub: an answer with them was lost.
    owes_all: bool,
}

impl Mysql {
    /// Refuses another key than that of the servers that are there: their clients know that one.
    pub(super) fn agree_on_the_key(&mut self, fingerprint: &Fingerprint) -> Result<(), StoreError> {
        let own = fingerprint.to_string();
        let others = self.session.transact(|conn| {
            lock_counter(conn)?;
            let select = "SELECT fingerprint FROM cluster";
            let agreed: Option<Option<String>> = conn.query_first(select)?;
            if agreed.flatten().is_some_and(|agreed| agreed != own) && present(conn)?.is_some() {
                return Ok(true);
            }
            conn.exec_drop("UPDATE cluster SET fingerprint = ?", (&own,))?;
            Ok(false)
        })?;
        match others {
            false => Ok(()),
            true => Err(StoreError::Cluster(
                "its servers have another key than this one; copy server-key.pem and \
                 server-certificate.pem from the data folder of another server"
                    .into(),
            )),
        }
    }

    /// Waits until no other server has this one's name. After a crash its own last run has it for a moment.
    pub(super) fn wait_for_name(&mut self) -> Result<(), StoreError> {
        let Member { name, .. } = self.member()?;
        let until = Instant::now() + NAME_WAIT;
        while self.session.run(|conn| is_there(conn, &name))? {
            if Instant::now() > until {
                return Err(name_is_taken(&name));
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Deletes old rows, unless that was done lately.
    fn forget_old(&mut self) -> Result<(), StoreError> {
        let interval = Duration::from_millis(FORGET_INTERVAL_MS);
        if self.standing.forgot.is_none_or(|when| when.elapsed() > interval) {
            self.session.transact(forget_old)?;
            self.standing.forgot = Some(Instant::now());
        }
        Ok(())
    }

    fn member(&self) -> Result<Member, StoreError> {
        let why = || StoreError::Database("this server is no member of a cluster".into());
        self.member.clone().ok_or_else(why)
    }
}

impl Cluster for Mysql {
    fn begin(&mut self) -> Result<(), StoreError> {
        let Member { name, run } = self.member()?;
        self.session.transact(|conn| {
            let number = lock_counter(conn)? + 1;
            conn.exec_drop(
                format!(
                    "INSERT INTO servers (name, run, since_ms, seen_ms) VALUES (?, ?, {NOW_MS}, {NOW_MS})
                     ON DUPLICATE KEY UPDATE run = ?, since_ms = {NOW_MS}, seen_ms = {NOW_MS}"
                ),
                (name.as_str(), run, run),
            )?;
            conn.exec_drop("DELETE FROM server_messages WHERE server = ?", (name.as_str(),))?;
            end_all(conn, &name, number)?;
            set_counter(conn, number)
        })
    }

    fn enter(&mut self, entrance: &Entrance) -> Result<Entered, StoreError> {
        let Member { name, run } = self.member()?;
        self.session.transact(|conn| {
            let number = lock_counter(conn)? + 1;
            let key = (entrance.username.as_str(), device_column(entrance.device.as_ref()));
            // Sessions of servers that are gone count no more.
            let found: Option<Row> = conn.exec_first(
                format!(
                    "SELECT count(*) AS taken, coalesce(sum(s.username = ? AND s.device = ?), 0) AS same,
                            (SELECT run FROM servers WHERE name = ?) AS run,
                            (SELECT banned FROM accounts WHERE username = ?) AS is_banned,
                            EXISTS (SELECT * FROM account_keys
                                    WHERE username = ? AND public_key = ?) AS has_key
                     FROM sessions AS s JOIN servers AS v ON v.name = s.server
                     WHERE v.seen_ms > {NOW_MS} - ?"
                ),
                (key.0, &key.1, name.as_str(), key.0, key.0, &key.1, MAX_SILENT_MS),
            )?;
            let found = found.ok_or_else(|| StoreError::Content("a count is missing".into()))?;
            let (taken, same): (usize, usize) = (column(&found, "taken")?, column(&found, "same")?);
            if column::<Option<u64>>(&found, "run")? != Some(run) {
                return Err(name_is_taken(&name).into());
            }
            let has_key = column::<bool>(&found, "has_key")? || entrance.device.is_none();
            match column::<Option<bool>>(&found, "is_banned")? {
                Some(true) => return Ok(Entered::Banned),
                Some(false) if has_key => {}
                _ => return Ok(Entered::Refused),
            }
            if same > 0 && entrance.device.is_none() && !entrance.take {
                return Ok(Entered::NeedsTake);
            }
            if taken - same >= entrance.places {
                return Ok(Entered::Full);
            }
            conn.exec_drop(
                format!(
                    "REPLACE INTO sessions
                     (username, device, number, server, address, port, is_listed, since_ms, changed_ms)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, {NOW_MS})"
                ),
                (
                    key.0,
                    &key.1,
                    number,
                    name.as_str(),
                    entrance.address.to_string(),
                    entrance.port,
                    entrance.is_listed,
                    entrance.now_ms,
                ),
            )?;
            set_counter(conn, number)?;
            Ok(Entered::Here { number })
        })
    }

    fn leave(&mut self, endings: &[Ending]) -> Result<(), StoreError> {
        self.session.transact(|conn| {
            let number = lock_counter(conn)? + 1;
            endings.iter().try_for_each(|ending| end_sessions(conn, ending, number))?;
            set_counter(conn, number)
        })
    }

    fn ask(&mut self, known: &Known, stats: &str) -> Result<News, StoreError> {
        let Member { name, run } = self.member()?;
        let presence = self.session.run(|conn| be_seen(conn, &name, run, stats))?;
        let is_new = matches!(presence, Presence::New);
        match presence {
            Presence::NameIsTaken => {
                if !std::mem::replace(&mut self.standing.is_out, true) {
                    let error = name_is_taken(&name);
                    tracing::error!(%error, "this server has lost its place in the cluster");
                }
                // Its sessions are no more.
                return Ok(News { has_all_sessions: true, ..News::default() });
            }
            Presence::New => self.begin()?,
            Presence::There { present_ms, .. } if present_ms > FORGET_INTERVAL_MS => {
                self.forget_old()?;
            }
            Presence::There { .. } => {}
        }
        let is_late = |silent_ms: u64| silent_ms > ENDED_KEPT_MS / 2;
        self.standing.owes_all |=
            is_new || matches!(presence, Presence::There { silent_ms, .. } if is_late(silent_ms));
        let has_all_sessions = self.standing.owes_all;
        let known = Known { sessions: if has_all_sessions { 0 } else { known.sessions }, ..*known };
        let news = self.session.run(|conn| {
            let heads = Known::now(conn)?;
            let mut news =
                News { has_all_sessions, last_delivery: heads.deliveries, ..News::default() };
            news.servers = others(conn, &name)?;
            if heads.sessions > known.sessions {
                news.sessions = sessions(conn, known.sessions)?;
            }
            if heads.broadcasts > known.broadcasts {
                news.broadcasts = entries_after(conn, known.broadcasts, MAX_NEWS)?;
            }
            if heads.deliveries > known.deliveries {
                news.mail = mail(conn, &name, known.deliveries)?;
            }
            (news.messages, news.last_message) = messages(conn, &name, known.messages)?;
            Ok(news)
        })?;
        self.standing.owes_all = false;
        Ok(news)
    }

    fn tell(&mut self, messages: &[(ServerName, String)]) -> Result<(), StoreError> {
        self.session.transact(|conn| {
            // Numbers rise in the order of the commits while one transaction at a time takes them.
            lock_counter(conn)?;
            for (server, text) in messages {
                conn.exec_drop(
                    format!(
                        "INSERT INTO server_messages (server, sent_ms, text) VALUES (?, {NOW_MS}, ?)"
                    ),
                    (server.as_str(), text),
                )?;
            }
            Ok(())
        })
    }

    fn append_among_others(
        &mut self,
        after: u64,
        broadcasts: &[NewBroadcast],
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let Member { name, run } = self.member()?;
        let (mut numbers, mut dated) = (0..0, Vec::new());
        let committed = self.session.transact(|conn| {
            let head = lock_log(conn)?;
            if run_of(conn, &name)? != Some(run) {
                return Err(name_is_taken(&name).into());
            }
            numbers = next_numbers(head, after, broadcasts.len())?;
            dated = dated_after_others(conn, broadcasts)?;
            for (number, broadcast) in numbers.clone().zip(&dated) {
                insert(conn, number, broadcast)?;
            }
            conn.exec_drop("UPDATE log SET head = ?", (numbers.end - 1,))?;
            entries_after(conn, after, usize::MAX)
        });
        if committed.is_ok() || !self.session.commit_is_in_doubt() {
            return committed;
        }
        // The commit may have succeeded although its answer was lost. The row of the counter is free once it has ended
        // in one way or the other.
        let Some(first) = dated.first() else { return committed };
        let found = self.session.transact(|conn| {
            lock_log(conn)?;
            let select =
                "SELECT number FROM broadcasts WHERE number = ? AND sender = ? AND time_ms = ?";
            let name = (numbers.start, first.sender.as_str(), first.time_ms);
            match conn.exec_first::<Row, _, _>(select, name)? {
                Some(_) => {
                    // Another server may have committed more since.
                    let mut entries = entries_after(conn, after, usize::MAX)?;
                    entries.retain(|entry| entry.broadcast.number < numbers.end);
                    Ok(Some(entries))
                }
                None => Ok(None),
            }
        });
        match found {
            Ok(Some(entries)) => Ok(entries),
            _ => committed,
        }
    }

    fn end(&mut self) -> Result<(), StoreError> {
        let Member { name, run } = self.member()?;
        self.session.transact(|conn| {
            let number = lock_counter(conn)? + 1;
            let delete = "DELETE FROM servers WHERE name = ? AND run = ?";
            conn.exec_drop(delete, (name.as_str(), run))?;
            // Otherwise another server has the name.
            if conn.affected_rows() > 0 {
                end_all(conn, &name, number)?;
                set_counter(conn, number)?;
            }
            Ok(())
        })
    }
}

impl Known {
    /// Returns the highest numbers of the database, but for messages, which each server counts for itself.
    fn now(conn: &mut Conn) -> Result<Known, Failure> {
        let row: Option<Row> = conn.query_first(
            "SELECT coalesce((SELECT head FROM cluster), 0) AS sessions,
                    coalesce((SELECT head FROM log), 0) AS broadcasts,
                    coalesce((SELECT head FROM mailbox), 0) AS deliveries",
        )?;
        let Some(row) = row else { return Ok(Known::default()) };
        Ok(Known {
            sessions: column(&row, "sessions")?,
            broadcasts: column(&row, "broadcasts")?,
            deliveries: column(&row, "deliveries")?,
            ..Known::default()
        })
    }
}

/// Returns a server of a cluster that is there.
pub(super) fn present(conn: &mut Conn) -> Result<Option<String>, Failure> {
    let select = format!("SELECT name FROM servers WHERE seen_ms > {NOW_MS} - ? LIMIT 1");
    let row: Option<Row> = conn.exec_first(select, (MAX_SILENT_MS,))?;
    Ok(row.map(|row| column(&row, "name")).transpose()?)
}

fn name_is_taken(name: &ServerName) -> StoreError {
    let why = format!("another server of the cluster has the name {name}; --name chooses one");
    StoreError::Cluster(why)
}

/// Returns the run of the last server with this name.
fn run_of(conn: &mut Conn, name: &ServerName) -> Result<Option<u64>, Failure> {
    let row: Option<Row> =
        conn.exec_first("SELECT run FROM servers WHERE name = ?", (name.as_str(),))?;
    Ok(row.map(|row| column(&row, "run")).transpose()?)
}

/// Returns true if a server with this name is there.
fn is_there(conn: &mut Conn, name: &ServerName) -> Result<bool, Failure> {
    let select = format!("SELECT name FROM servers WHERE name = ? AND seen_ms > {NOW_MS} - ?");
    Ok(conn.exec_first::<Row, _, _>(select, (name.as_str(), MAX_SILENT_MS))?.is_some())
}
