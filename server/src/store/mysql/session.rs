//! The one connection, and the lock that keeps a second server out; the operator's tool goes without.
//!
//! The lock is the connection's (`GET_LOCK`): the database lets go of it when the connection ends,
//! however that happens. A server whose machine vanished keeps it until the database notices, at
//! most [`IDLE_LIMIT`]; the sentence that refuses another one names the connection, which an
//! operator can end by `KILL`.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use ::mysql::consts::CapabilityFlags;
use ::mysql::prelude::Queryable as _;
use ::mysql::{Conn, OptsBuilder, SslOpts};

use super::failure::{Failure, connection_is_gone, database_is_missing};
use super::location::{MysqlLocation, Tls};
use super::schema;
use crate::store::StoreError;
use crate::store::admin::{Absent, Version, nothing_there};
use crate::store::sqlite::random_epoch;

/// How long the database is waited for.
#[derive(Debug, Clone, Copy)]
struct Timeouts {
    /// How long each of a host's addresses has to take a connection.
    connect: Duration,
    /// How long the database has to answer, and to take what it is sent; and how long further
    /// addresses are tried.
    answer: Duration,
}

/// At a server's start and for the operator's tool: whoever makes tables on a slow disk needs time.
const AT_THE_START: Timeouts =
    Timeouts { connect: Duration::from_secs(4), answer: Duration::from_secs(5) };

/// While people wait, who are to be told within three seconds. A call that came in vain for so long
/// tries nothing else, and those that waited meanwhile fail with it, so that waits do not add up.
const IN_SERVICE: Timeouts =
    Timeouts { connect: Duration::from_secs(2), answer: Duration::from_secs(2) };

/// A host may have more addresses; only these are tried.
const MAX_ADDRESSES: usize = 3;

/// After a try in vain, calls fail at once for this long: many may wait, and each would try again.
const REST: Duration = Duration::from_secs(1);

/// How long a connection waits for the lock: long enough for a server that has just been stopped
/// to leave, and less than the database has to answer.
const LOCK_WAIT_SECONDS: u64 = 1;

/// The operator's tool waits longer: whoever has the lock may be making the tables, on a slow disk.
const OPERATORS_LOCK_WAIT_SECONDS: u64 = 4;

/// The database ends a connection that was idle for this long. The next call makes a new one.
const IDLE_LIMIT: Duration = Duration::from_secs(8 * 60 * 60);

/// Who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The only writer of the log. It has the lock for as long as it is connected.
    Server,
    /// Somebody beside it, who has the lock only to make tables where there are none.
    Operator(Absent),
}

/// A connection that is made when it is needed and made anew when it broke.
pub(super) struct Session {
    role: Role,
    location: MysqlLocation,
    patience: Timeouts,
    connection: Option<Conn>,
    /// A lock that only the last connection held: it tells that one from other servers'.
    mark: String,
    failed: Option<(Instant, String)>,
    /// The last transaction's end was told to the database, and no answer came.
    awaits_commit: bool,
}

/// Without the connection: the driver would show the password in it.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("location", &self.location).finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(role: Role, location: MysqlLocation) -> Result<Session, StoreError> {
        let (patience, mark) = (AT_THE_START, random_mark()?);
        Ok(Session {
            role,
            location,
            patience,
            connection: None,
            mark,
            failed: None,
            awaits_commit: false,
        })
    }

    /// Goes over to a connection that nobody waits for too long.
    pub(super) fn enter_service(&mut self) -> Result<(), StoreError> {
        self.connection = None;
        // Nobody waits yet: a packet or two may be lost.
        self.patience = Timeouts { connect: AT_THE_START.connect, ..IN_SERVICE };
        let entered = self.run(|_| Ok(()));
        self.patience = IN_SERVICE;
        entered
    }

    /// Does some work on a connection that works and has the lock. The connection is given up if
    /// the work leaves it in doubt, by a panic too.
    pub(super) fn run<T>(
        &mut self,
        work: impl FnOnce(&mut Conn) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let mut conn = self.take_connection()?;
        match work(&mut conn) {
            Err(failure) if !failure.leaves_the_connection_whole() => Err(self.given_up(failure)),
            result => {
                self.connection = Some(conn);
                Ok(result?)
            }
        }
    }

    /// The same in a transaction.
    pub(super) fn transact<T>(
        &mut self,
        work: impl FnOnce(&mut Conn) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let mut awaits_commit = false;
        let result = self.run(|conn| {
            conn.query_drop("START TRANSACTION")?;
            let result = work(conn);
            match &result {
                Ok(_) => {
                    awaits_commit = true;
                    conn.query_drop("COMMIT")?;
                    awaits_commit = false;
                }
                Err(failure) if failure.leaves_the_connection_whole() => {
                    conn.query_drop("ROLLBACK")?;
                }
                // The database rolls back when the connection ends.
                Err(_) => {}
            }
            result
        });
        self.awaits_commit = awaits_commit;
        result
    }

    /// Whether nobody knows what became of the last transaction.
    pub(super) fn commit_is_in_doubt(&self) -> bool {
        self.awaits_commit
    }

    fn take_connection(&mut self) -> Result<Conn, StoreError> {
        match self.connection.take().map(|mut conn| conn.ping().map(|()| conn)) {
            Some(Ok(conn)) => return Ok(conn),
            Some(Err(error)) => {
                let error = Failure::from(error);
                let is_late = error.is_late();
                let error = self.given_up(error);
                tracing::warn!(%error, "the connection to the store is lost");
                if is_late {
                    return Err(error);
                }
            }
            None => {}
        }
        if let Some((when, why)) = &self.failed
            && when.elapsed() < REST
        {
            return Err(StoreError::Database(why.clone()));
        }
        let connected = self.connect().map_err(StoreError::from);
        self.failed = match &connected {
            Err(StoreError::Database(why)) => Some((Instant::now(), why.clone())),
            _ => None,
        };
        connected
    }

    /// What a failure that ended the connection means for others: if it took its time, they are
    /// not to take as much again.
    fn given_up(&mut self, failure: Failure) -> StoreError {
        let is_late = failure.is_late();
        let error = StoreError::from(failure);
        if let (true, StoreError::Database(why)) = (is_late, &error) {
            self.failed = Some((Instant::now(), why.clone()));
        }
        error
    }

    fn connect(&mut self) -> Result<Conn, Failure> {
        let mut conn = dial(&self.location, self.patience)?;
        let database = &self.location.database;
        match self.role {
            Role::Operator(Absent::Refuse) => {
                enter_database(&mut conn, database)?;
                expect_tables(&mut conn)?;
            }
            Role::Operator(Absent::Make) => {
                enter_or_make_database(&mut conn, database)?;
                make_tables(&mut conn, database)?;
            }
            Role::Server => {
                enter_or_make_database(&mut conn, database)?;
                self.lock(&mut conn)?;
                schema::migrate(&mut conn)?;
            }
        }
        Ok(conn)
    }

    /// Takes the lock of the database. One that a former connection of this very session holds,
    /// since the database has not noticed that it broke, is taken from it.
    fn lock(&mut self, conn: &mut Conn) -> Result<(), Failure> {
        let lock = lock_of(&self.location.database);
        if !take_lock(conn, &lock, LOCK_WAIT_SECONDS)? {
            match lock_holder(conn, &lock)? {
                Some(holder) if lock_holder(conn, &self.mark)? == Some(holder) => {
                    end_connection(conn, holder)?;
                }
                Some(holder) => return Err(in_use(&format!(", by its connection {holder}"))),
                None => {}
            }
            if !take_lock(conn, &lock, LOCK_WAIT_SECONDS)? {
                return Err(in_use(""));
            }
        }
        self.mark = random_mark()?;
        take_lock(conn, &self.mark, LOCK_WAIT_SECONDS)?;
        Ok(())
    }
}

/// The lock of the only writer.
fn lock_of(database: &str) -> String {
    format!("letschat-server {database}")
}

fn in_use(by: &str) -> Failure {
    Failure::Store(StoreError::InUse(format!("another server is using it{by}")))
}

fn take_lock(conn: &mut Conn, name: &str, wait_seconds: u64) -> Result<bool, Failure> {
    let taken: Option<Option<u64>> =
        conn.exec_first("SELECT GET_LOCK(?, ?)", (name, wait_seconds))?;
    Ok(taken.flatten() == Some(1))
}

/// The connection that has this lock.
fn lock_holder(conn: &mut Conn, name: &str) -> Result<Option<u64>, Failure> {
    let holder: Option<Option<u64>> = conn.exec_first("SELECT IS_USED_LOCK(?)", (name,))?;
    Ok(holder.flatten())
}

fn end_connection(conn: &mut Conn, id: u64) -> Result<(), Failure> {
    match conn.query_drop(format!("KILL {id}")) {
        Err(error) if !connection_is_gone(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

fn random_mark() -> Result<String, StoreError> {
    Ok(format!("letschat-session {:016x}", random_epoch()?))
}

fn dial(location: &MysqlLocation, patience: Timeouts) -> Result<Conn, Failure> {
    if matches!(location.tls(), Tls::Verified { .. }) {
        return Ok(Conn::new(options(location, &location.host, patience))?);
    }
    // The driver gives up when the first of a name's addresses refuses, and `localhost` often has
    // one that nobody listens on.
    let (begin, mut last) = (Instant::now(), None);
    for address in addresses(location)? {
        let left = patience.answer.max(patience.connect).saturating_sub(begin.elapsed());
        if left.is_zero() {
            break;
        }
        let patience = Timeouts { connect: patience.connect.min(left), ..patience };
        match Conn::new(options(location, &address.ip().to_string(), patience)) {
            Ok(conn) => return Ok(conn),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| unresolved("it has no address").into(), Failure::from))
}

fn addresses(location: &MysqlLocation) -> Result<impl Iterator<Item = SocketAddr>, StoreError> {
    let found = (location.host.as_str(), location.port).to_socket_addrs();
    Ok(found.map_err(|error| unresolved(&error.to_string()))?.take(MAX_ADDRESSES))
}

fn unresolved(why: &str) -> StoreError {
    StoreError::Database(format!("the host's address can't be found: {why}"))
}

fn options(location: &MysqlLocation, host: &str, patience: Timeouts) -> OptsBuilder {
    OptsBuilder::new()
        .ip_or_hostname(Some(host))
        .tcp_port(location.port)
        .user(Some(&location.user))
        .pass(location.password.as_ref().map(|password| &password.0))
        .prefer_socket(false)
        .tcp_connect_timeout(Some(patience.connect))
        .read_timeout(Some(patience.answer))
        .write_timeout(Some(patience.answer))
        .ssl_opts(tls_options(location.tls()))
        // An update that changes nothing still tells whether there was such a row.
        .additional_capabilities(CapabilityFlags::CLIENT_FOUND_ROWS)
        .init(vec![
            "SET NAMES utf8mb4".to_owned(),
            // Whatever the server's own settings: what is acknowledged is committed.
            "SET SESSION autocommit = 1".to_owned(),
            // Values that do not fit are errors and not warnings.
            "SET SESSION sql_mode = 'TRADITIONAL'".to_owned(),
            format!("SET SESSION wait_timeout = {}", IDLE_LIMIT.as_secs()),
        ])
}

fn tls_options(tls: Tls) -> Option<SslOpts> {
    match tls {
        Tls::Off => None,
        Tls::Required => Some(SslOpts::default().with_danger_accept_invalid_certs(true)),
        Tls::Verified { authority } => Some(SslOpts::default().with_root_cert_path(authority)),
    }
}

fn enter_database(conn: &mut Conn, database: &str) -> Result<(), Failure> {
    // The name is of letters, digits, `_` and `-`, so nothing in it ends the quotes.
    match conn.query_drop(format!("USE `{database}`")) {
        Err(error) if database_is_missing(&error) => Err(nothing_there().into()),
        entered => Ok(entered?),
    }
}

/// Makes the database if it is missing. It is entered first: a user who may not make databases
/// may use one that an administrator has made.
fn enter_or_make_database(conn: &mut Conn, database: &str) -> Result<(), Failure> {
    match enter_database(conn, database) {
        Err(Failure::Store(StoreError::NotReady(_))) => {
            conn.query_drop(format!(
                "CREATE DATABASE IF NOT EXISTS `{database}`
                 CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
            ))?;
            enter_database(conn, database)
        }
        entered => entered,
    }
}

fn expect_tables(conn: &mut Conn) -> Result<(), Failure> {
    match schema::version(conn)? {
        Version::Known => Ok(()),
        Version::None => Err(nothing_there().into()),
    }
}

/// Makes the tables where there are none. A server that starts at the same moment waits for the
/// lock a little, or has it: then it makes them.
fn make_tables(conn: &mut Conn, database: &str) -> Result<(), Failure> {
    if schema::version(conn)? == Version::Known {
        return Ok(());
    }
    let lock = lock_of(database);
    if !take_lock(conn, &lock, OPERATORS_LOCK_WAIT_SECONDS)? {
        return expect_tables(conn);
    }
    schema::migrate(conn)?;
    // The lock goes with the connection in any case, only later.
    Ok(conn.exec_drop("DO RELEASE_LOCK(?)", (&lock,))?)
}
