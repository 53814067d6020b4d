//! The store on a MySQL server (8.4 and later) or a MariaDB server (10.11 and later).
//!
//! * [`location`] – the database's address and credentials
//! * `session` – the one connection, and the lock that keeps a second server out
//! * `schema` – the tables, and their migrations
//! * `cluster` – what the servers of a cluster share
//! * `devices` – device lists
//! * `mailbox` – prekeys and envelopes
//! * `failure` – errors as sentences
//! * `admin` – the operator's tool, beside a server
//!
//! Everything goes over one connection. It holds the lock, so only one server ever writes, unless
//! the server belongs to a cluster. Each call first replaces a broken connection, so that the server
//! recovers with the database.
//!
//! Commits are as durable as the database is configured: this store relies on the default
//! `innodb_flush_log_at_trx_commit = 1`.

mod admin;
mod cluster;
mod devices;
mod failure;
pub mod location;
mod mailbox;
mod schema;
mod session;

use ::mysql::Row;
use ::mysql::prelude::Queryable as _;
use letschat_protocol::dialogue::Broadcast;
use letschat_protocol::identity::{Fingerprint, PublicKey};
use letschat_protocol::username::Username;

use self::cluster::{Member, Standing};
use self::failure::{Failure, column, refused_as_duplicate};
use self::location::MysqlLocation;
use self::session::{Role, Session};
use super::cluster::{Cluster, ServerName};
use super::password::NO_PASSWORD;
use super::sqlite::{next_numbers, random_epoch};
use super::{
    Account, Created, KEY_USE_MS, MAX_KEYS, NewBroadcast, Store, StoreError, StoredEntry,
    StoredLog, Verdict, time_from_column,
};

/// The most broadcasts with an unknown outcome that are remembered: as many as the log can hold.
const MAX_DOUBTFUL: usize = 10_000;

/// The store in a MySQL database.
#[derive(Debug)]
pub struct Mysql {
    session: Session,
    /// The numbers and times of broadcasts that were reported as failed but may be committed, since
    /// the answer was lost. The next commit deletes them.
    doubtful: Vec<(u64, u64)>,
    /// This server in its cluster, if it belongs to one.
    member: Option<Member>,
    /// The memory of a member of a cluster.
    standing: Standing,
}

impl Mysql {
    /// Connects, creates the database if it is missing, takes its lock and migrates its tables.
    /// Takes a few seconds at most if the server does not answer.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] while another server uses the database, [`StoreError::Cluster`] if that belongs to a cluster, and [`StoreError::Content`]
    /// for one of a newer version, which is left unchanged.
    pub fn open(location: &MysqlLocation) -> Result<Mysql, StoreError> {
        Mysql::open_as(Role::Server, location)
    }

    /// Opens the database as a server of a cluster, which shares it with others.
    ///
    /// # Errors
    ///
    /// As [`open`](Mysql::open), and [`StoreError::Cluster`] while another server has this name, or servers with another
    /// key are there.
    pub fn join(
        location: &MysqlLocation,
        name: ServerName,
        fingerprint: &Fingerprint,
    ) -> Result<Mysql, StoreError> {
        let mut mysql = Mysql::open_as(Role::Member, location)?;
        mysql.member = Some(Member { name, run: random_epoch()? });
        mysql.wait_for_name()?;
        mysql.agree_on_the_key(fingerprint)?;
        mysql.begin()?;
        Ok(mysql)
    }
}

impl Store for Mysql {
    fn create_account(
        &mut self,
        username: &Username,
        phc: &str,
        created_ms: u64,
    ) -> Result<Created, StoreError> {
        self.session.run(|conn| create_account(conn, username, phc, created_ms))
    }

    fn account(&mut self, username: &Username) -> Result<Option<Account>, StoreError> {
        self.session.run(|conn| {
            let select = "SELECT phc, banned FROM accounts WHERE username = ?";
            let row: Option<Row> = conn.exec_first(select, (username.as_str(),))?;
            row.map(|row| {
                Ok(Account { phc: column(&row, "phc")?, banned: column(&row, "banned")? })
            })
            .transpose()
        })
    }

    fn set_password(
        &mut self,
        username: &Username,
        phc: &str,
        keep: Option<&PublicKey>,
    ) -> Result<bool, StoreError> {
        self.session.transact(|conn| set_password(conn, username, phc, keep))
    }

    fn admit(
        &mut self,
        username: &Username,
        phc: &str,
        key: Option<&PublicKey>,
        now_ms: u64,
    ) -> Result<Verdict, StoreError> {
        self.session.transact(|conn| {
            let verdict = judge(conn, username, phc)?;
            if let (Verdict::Accepted, Some(key)) = (verdict, key) {
                add_key(conn, username, key, now_ms)?;
                if devices::is_unlisted(conn, username, &key.to_string())? {
                    return Ok(Verdict::Unlisted);
                }
            }
            Ok(verdict)
        })
    }

    fn replace_password(
        &mut self,
        username: &Username,
        old: &str,
        new: &str,
        keep: Option<&PublicKey>,
    ) -> Result<Verdict, StoreError> {
        self.session.transact(|conn| {
            let verdict = judge(conn, username, old)?;
            if verdict == Verdict::Accepted {
                set_password(conn, username, new, keep)?;
            }
            Ok(verdict)
        })
    }

    fn add_key(
        &mut self,
        username: &Username,
        key: &PublicKey,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        self.session.transact(|conn| add_key(conn, username, key, now_ms))
    }

    fn check_key(
        &mut self,
        username: &Username,
        key: &PublicKey,
        now_ms: u64,
    ) -> Result<Verdict, StoreError> {
        // Both statements always run, so that an unknown account takes as long as an unknown key.
        let (name, key) = (username.as_str(), key.to_string());
        self.session.run(|conn| {
            let select = "SELECT used_ms FROM account_keys WHERE username = ? AND public_key = ?";
            let row: Option<Row> = conn.exec_first(select, (name, &key))?;
            let used: Option<i64> = row.map(|row| column(&row, "used_ms")).transpose()?;
            let select = "SELECT banned FROM accounts WHERE username = ?";
            let row: Option<Row> = conn.exec_first(select, (name,))?;
            let banned: Option<bool> = row.map(|row| column(&row, "banned")).transpose()?;
            let used_ms = match (used, banned) {
                (Some(used), Some(false)) => time_from_column(used),
                (Some(_), Some(true)) => return Ok(Verdict::Banned),
                _ => return Ok(Verdict::Refused),
            };
            // The clock may have been set back.
            if now_ms.abs_diff(used_ms) >= KEY_USE_MS {
                conn.exec_drop(
                    "UPDATE account_keys SET used_ms = ? WHERE username = ? AND public_key = ?",
                    (now_ms, name, &key),
                )?;
            }
            match devices::is_unlisted(conn, username, &key)? {
                true => Ok(Verdict::Unlisted),
                false => Ok(Verdict::Accepted),
            }
        })
    }

    fn claim_name(
        &mut self,
        username: &Username,
        key: &PublicKey,
        now_ms: u64,
    ) -> Result<Verdict, StoreError> {
        match self.check_key(username, key, now_ms)? {
            Verdict::Refused => self.session.transact(|conn| {
                Ok(match create_account(conn, username, NO_PASSWORD, now_ms)? {
                    Created::Taken => Verdict::Refused,
                    Created::New => {
                        add_key(conn, username, key, now_ms)?;
                        Verdict::Accepted
                    }
                })
            }),
            verdict => Ok(verdict),
        }
    }

    fn load_log(&mut self) -> Result<StoredLog, StoreError> {
        let (epoch, head, entries) = self.session.transact(|conn| {
            let (epoch, head) = epoch_and_head(conn)?;
            let rows: Vec<Row> = conn.query("SELECT * FROM broadcasts ORDER BY number")?;
            let entries = rows.iter().map(stored_entry).collect::<Result<Vec<_>, _>>()?;
            Ok((epoch, head, entries))
        })?;
        if entries.last().is_some_and(|last| last.broadcast.number > head) {
            return Err(StoreError::Content(format!("broadcasts above the counter, {head}")));
        }
        Ok(StoredLog { epoch, head, entries })
    }

    fn append(&mut self, after: u64, broadcasts: &[NewBroadcast]) -> Result<u64, StoreError> {
        let doubtful = &self.doubtful;
        let mut numbers = 0..0;
        let committed = self.session.transact(|conn| {
            for names in doubtful {
                conn.exec_drop("DELETE FROM broadcasts WHERE number = ? AND time_ms = ?", names)?;
            }
            let (_, head) = epoch_and_head(conn)?;
            numbers = next_numbers(head, after, broadcasts.len())?;
            for (number, broadcast) in numbers.clone().zip(broadcasts) {
                insert(conn, number, broadcast)?;
            }
            conn.exec_drop("UPDATE log SET head = ?", (numbers.end - 1,))?;
            Ok(numbers.start)
        });
        let is_in_doubt = committed.is_err() && self.session.commit_is_in_doubt();
        // The commit may have succeeded although its answer was lost. The counter tells, since this
        // connection holds the lock, so it is the only writer, and the previous one has ended.
        if committed.is_ok() || is_in_doubt && self.head().is_ok_and(|head| head + 1 == numbers.end)
        {
            self.doubtful.clear();
            return Ok(numbers.start);
        }
        if is_in_doubt {
            let times = broadcasts.iter().map(|broadcast| broadcast.time_ms);
            self.doubtful.extend(numbers.zip(times));
            // The log holds no more, so older ones have been deleted already.
            let too_many = self.doubtful.len().saturating_sub(MAX_DOUBTFUL);
            self.doubtful.drain(..too_many);
        }
        committed
    }

    fn forget(&mut self, through: u64) -> Result<(), StoreError> {
        self.session
            .run(|conn| Ok(conn.exec_drop("DELETE FROM broadcasts WHERE number <= ?", (through,))?))
    }

    fn cluster(&mut self) -> Option<&mut dyn Cluster> {
        if self.member.is_some() { Some(self) } else { None }
    }
}

impl Mysql {
    fn head(&mut self) -> Result<u64, StoreError> {
        self.session.transact(|conn| Ok(epoch_and_head(conn)?.1))
    }
}

fn create_account(
    conn: &mut ::mysql::Conn,
    username: &Username,
    phc: &str,
    created_ms: u64,
) -> Result<Created, Failure> {
    let insert = "INSERT INTO accounts (username, phc, created_ms) VALUES (?, ?, ?)";
    match conn.exec_drop(insert, (username.as_str(), phc, created_ms)) {
        Ok(()) => Ok(Created::New),
        Err(error) if refused_as_duplicate(&error) => Ok(Created::Taken),
        Err(error) => Err(error.into()),
    }
}

/// Checks that the account still has the hash that a password was compared with. The row stays
/// locked until the transaction ends, so that an operator's change comes before or after it.
fn judge(conn: &mut ::mysql::Conn, username: &Username, phc: &str) -> Result<Verdict, Failure> {
    let select = "SELECT phc, banned FROM accounts WHERE username = ? FOR UPDATE";
    let row: Option<Row> = conn.exec_first(select, (username.as_str(),))?;
    let Some(row) = row else { return Ok(Verdict::Refused) };
    let current: String = column(&row, "phc")?;
    Ok(match column(&row, "banned")? {
        _ if current != phc => Verdict::Refused,
        true => Verdict::Banned,
        false => Verdict::Accepted,
    })
}

fn set_password(
    conn: &mut ::mysql::Conn,
    username: &Username,
    phc: &str,
    keep: Option<&PublicKey>,
) -> Result<bool, Failure> {
    let name = username.as_str();
    conn.exec_drop("UPDATE accounts SET phc = ? WHERE username = ?", (phc, name))?;
    let changed = conn.affected_rows();
    let keep = keep.map(PublicKey::to_string).unwrap_or_default();
    mailbox::delete_keys(conn, name, &keep)?;
    Ok(changed == 1)
}

fn add_key(
    conn: &mut ::mysql::Conn,
    username: &Username,
    key: &PublicKey,
    now_ms: u64,
) -> Result<(), Failure> {
    let (name, key) = (username.as_str(), key.to_string());
    conn.exec_drop(
        "INSERT INTO account_keys (username, public_key, added_ms, used_ms)
         VALUES (?, ?, ?, ?) ON DUPLICATE KEY UPDATE used_ms = ?",
        (name, &key, now_ms, now_ms, now_ms),
    )?;
    let count = "SELECT count(*) AS count FROM account_keys WHERE username = ?";
    let row: Option<Row> = conn.exec_first(count, (name,))?;
    let count = row.map_or(Ok(0), |row| column::<usize>(&row, "count"))?;
    // The given key stays whatever the clock says: it must not evict itself. An unlisted device evicts no
    // listed one as long as there are other unlisted ones.
    let evicted: Vec<Row> = conn.exec(
        "SELECT k.public_key FROM account_keys AS k LEFT JOIN listed_devices AS l
         ON l.username = k.username AND l.public_key = k.public_key
         WHERE k.username = ? AND k.public_key <> ?
         ORDER BY l.name IS NOT NULL, k.used_ms, k.added_ms LIMIT ?",
        (name, &key, count.saturating_sub(MAX_KEYS)),
    )?;
    for row in &evicted {
        mailbox::delete_key(conn, name, &column::<String>(row, "public_key")?)?;
    }
    Ok(())
}

/// Returns the log's only row, creating it at the first call.
fn epoch_and_head(conn: &mut ::mysql::Conn) -> Result<(u64, u64), Failure> {
    let row: Option<Row> = conn.query_first("SELECT epoch, head FROM log")?;
    if let Some(row) = row {
        return Ok((column(&row, "epoch")?, column(&row, "head")?));
    }
    // Another server may create it at the same time.
    let insert = "INSERT IGNORE INTO log (only, epoch, head) VALUES (1, ?, 0)";
    conn.exec_drop(insert, (random_epoch()?,))?;
    epoch_and_head(conn)
}

fn stored_entry(row: &Row) -> Result<StoredEntry, Failure> {
    let number = column(row, "number")?;
    let sender: String = column(row, "sender")?;
    let sender = sender.parse().map_err(|error| {
        StoreError::Content(format!("the sender of broadcast {number}: {error}"))
    })?;
    let time_ms = time_from_column(column(row, "time_ms")?);
    Ok(StoredEntry {
        broadcast: Broadcast { number, sender, time_ms, text: column(row, "text")? },
        boot_ms: time_from_column(column(row, "boot_ms")?),
        boot_id: column(row, "boot_id")?,
    })
}

fn insert(conn: &mut ::mysql::Conn, number: u64, broadcast: &NewBroadcast) -> Result<(), Failure> {
    let NewBroadcast { sender, time_ms, text, boot_ms, boot_id } = broadcast;
    Ok(conn.exec_drop(
        "INSERT INTO broadcasts (number, sender, time_ms, text, boot_ms, boot_id)
         VALUES (?, ?, ?, ?, ?, ?)",
        (number, sender.as_str(), time_ms, text, boot_ms, boot_id),
    )?)
}
