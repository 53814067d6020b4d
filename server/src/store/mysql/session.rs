//! The one connection, and the lock that keeps a second server out. The operator's tool does not
//! hold the lock.
//!
//! The lock belongs to the connection (`GET_LOCK`): the database releases it when the connection
//! ends in any way. If a server's machine vanished, the database holds the lock until it notices,
//! at most [`IDLE_LIMIT`]. The error names the connection, so that an operator can `KILL` it.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use ::mysql::consts::CapabilityFlags;
use ::mysql::prelude::Queryable as _;
use ::mysql::{Conn, OptsBuilder, SslOpts};

use super::cluster;
use super::failure::{Failure, connection_is_gone, database_is_missing};
use super::location::{MysqlLocation, Tls};
use super::schema;
use crate::store::StoreError;
use crate::store::admin::{Absent, Version, nothing_there};
use crate::store::sqlite::random_epoch;

/// The timeouts of the database.
#[derive(Debug, Clone, Copy)]
struct Timeouts {
    /// The timeout of connecting to each of a host's addresses.
    connect: Duration,
    /// The timeout of each read and write, and of trying further addresses.
    answer: Duration,
}

/// The timeouts at a server's start and for the operator's tool. They allow for creating tables on
/// a slow disk.
const AT_THE_START: Timeouts =
    Timeouts { connect: Duration::from_secs(4), answer: Duration::from_secs(5) };

/// The timeouts in service, where clients must be answered within three seconds. A call that took
/// this long tries nothing else. Calls that waited meanwhile fail with it, so that waits don't add
/// up.
const IN_SERVICE: Timeouts =
    Timeouts { connect: Duration::from_secs(2), answer: Duration::from_secs(2) };

/// The most addresses of a host that are tried.
const MAX_ADDRESSES: usize = 3;

/// The pause after a failed attempt, in which calls fail at once. Otherwise each of the waiting
/// calls would try again.
const REST: Duration = Duration::from_secs(1);

/// The timeout of taking the lock. It gives a stopping server time to leave, and is less than the
/// database's timeout.
const LOCK_WAIT_SECONDS: u64 = 1;

/// The lock's timeout for the operator's tool: the holder may be creating tables on a slow disk.
const OPERATORS_LOCK_WAIT_SECONDS: u64 = 4;

/// The idle time after which the database ends a connection. The next call makes a new one.
const IDLE_LIMIT: Duration = Duration::from_secs(8 * 60 * 60);

/// The same for a server of a cluster, which asks every second: if it was cut off in the middle of a transaction, the
/// others wait this long for the rows that it has locked.
const MEMBERS_IDLE_LIMIT: Duration = Duration::from_secs(4);

/// The longest wait for a row that another connection has locked.
const LOCKED_ROW_WAIT_SECONDS: u64 = 1;

/// The times that a transaction is tried which the database has rolled back for the sake of another one.
const DEADLOCK_TRIES: usize = 4;

/// The kind of program that connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The only writer of the log. It holds the lock while it is connected.
    Server,
    /// A server of a cluster. It takes the lock while it migrates, so that no other kind of server is there.
    Member,
    /// The operator's tool, which takes the lock only to create missing tables.
    Operator(Absent),
}

/// A connection that is made on demand and replaced when it breaks.
pub(super) struct Session {
    role: Role,
    location: MysqlLocation,
    patience: Timeouts,
    connection: Option<Conn>,
    /// The name of a lock that only the last connection held, which distinguishes it from other
    /// servers' connections.
    mark: String,
    failed: Option<(Instant, String)>,
    /// True if a commit was sent and not answered yet.
    awaits_commit: bool,
}

/// Omits the connection: the driver would print the password in it.
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

    /// Replaces the connection by one with the timeouts of service.
    pub(super) fn enter_service(&mut self) -> Result<(), StoreError> {
        self.connection = None;
        // Nobody waits yet, so a packet or two may be lost while connecting.
        self.patience = Timeouts { connect: AT_THE_START.connect, ..IN_SERVICE };
        let entered = self.run(|_| Ok(()));
        self.patience = IN_SERVICE;
        entered
    }

    /// Runs some work on a working connection that holds the lock. Drops the connection if the work
    /// leaves its state unknown, also by a panic.
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

    /// Runs some work in a transaction.
    pub(super) fn transact<T>(
        &mut self,
        mut work: impl FnMut(&mut Conn) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let mut awaits_commit = false;
        let result = self.run(|conn| {
            let mut tries = 0;
            loop {
                tries += 1;
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
                match &result {
                    Err(failure) if failure.is_deadlock() && tries < DEADLOCK_TRIES => {}
                    _ => return result,
                }
            }
        });
        self.awaits_commit = awaits_commit;
        result
    }

    /// Returns true if the outcome of the last transaction is unknown.
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
        if connected.is_ok() && self.failed.is_some() {
            tracing::info!("the store is back");
        }
        self.failed = match &connected {
            Err(StoreError::Database(why)) => Some((Instant::now(), why.clone())),
            _ => None,
        };
        connected
    }

    /// Handles a failure that ended the connection. If it took long, other calls fail at once
    /// instead of waiting as long.
    fn given_up(&mut self, failure: Failure) -> StoreError {
        let is_late = failure.is_late();
        let error = StoreError::from(failure);
        if let (true, StoreError::Database(why)) = (is_late, &error) {
            self.failed = Some((Instant::now(), why.clone()));
        }
        error
    }

    fn connect(&mut self) -> Result<Conn, Failure> {
        let mut conn = dial(&self.location, self.patience, self.role)?;
        let database = &self.location.database.clone();
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
                if let Some(name) = cluster::present(&mut conn)? {
                    let why =
                        format!("the server {name} of a cluster is using it; --cluster joins it");
                    return Err(Failure::Store(StoreError::Cluster(why)));
                }
            }
            Role::Member => {
                enter_or_make_database(&mut conn, database)?;
                self.lock(&mut conn)?;
                schema::migrate(&mut conn)?;
                conn.exec_drop("DO RELEASE_LOCK(?)", (lock_of(database),))?;
            }
        }
        Ok(conn)
    }

    /// Takes the database's lock. If a broken former connection of this session still holds it,
    /// that connection is killed.
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

/// Returns the name of the only writer's lock.
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

/// Returns the id of the connection that holds this lock.
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

fn dial(location: &MysqlLocation, patience: Timeouts, role: Role) -> Result<Conn, Failure> {
    if matches!(location.tls(), Tls::Verified { .. }) {
        return Ok(Conn::new(options(location, &location.host, patience, role))?);
    }
    // The driver gives up when a host's first address refuses, and often nothing listens on one of
    // `localhost`.
    let (begin, mut last) = (Instant::now(), None);
    for address in addresses(location)? {
        let left = patience.answer.max(patience.connect).saturating_sub(begin.elapsed());
        if left.is_zero() {
            break;
        }
        let patience = Timeouts { connect: patience.connect.min(left), ..patience };
        match Conn::new(options(location, &address.ip().to_string(), patience, role)) {
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

fn options(location: &MysqlLocation, host: &str, patience: Timeouts, role: Role) -> OptsBuilder {
    let mut init = vec![
        "SET NAMES utf8mb4".to_owned(),
        // Acknowledged changes must be committed, whatever the server's defaults are.
        "SET SESSION autocommit = 1".to_owned(),
        // Values that don't fit must be errors instead of warnings.
        "SET SESSION sql_mode = 'TRADITIONAL'".to_owned(),
    ];
    match role {
        Role::Server | Role::Operator(_) => {
            init.push(format!("SET SESSION wait_timeout = {}", IDLE_LIMIT.as_secs()));
        }
        Role::Member => init.extend([
            format!("SET SESSION wait_timeout = {}", MEMBERS_IDLE_LIMIT.as_secs()),
            // A read after the lock of a counter must see what was committed before.
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
            // Nobody waits longer for an answer.
            format!("SET SESSION innodb_lock_wait_timeout = {LOCKED_ROW_WAIT_SECONDS}"),
        ]),
    }
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
        // An update that changes nothing must still report a matching row.
        .additional_capabilities(CapabilityFlags::CLIENT_FOUND_ROWS)
        .init(init)
}

fn tls_options(tls: Tls) -> Option<SslOpts> {
    match tls {
        Tls::Off => None,
        Tls::Required => Some(SslOpts::default().with_danger_accept_invalid_certs(true)),
        Tls::Verified { authority } => Some(SslOpts::default().with_root_cert_path(authority)),
    }
}

fn enter_database(conn: &mut Conn, database: &str) -> Result<(), Failure> {
    // The name has only letters, digits, `_` and `-`, so it needs no escaping.
    match conn.query_drop(format!("USE `{database}`")) {
        Err(error) if database_is_missing(&error) => Err(nothing_there().into()),
        entered => Ok(entered?),
    }
}

/// Selects the database, and creates it if it is missing. Selecting comes first, since a user
/// without the right to create databases may use an existing one.
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

/// Creates missing tables. If a server starts at the same time, either it waits for the lock
/// briefly, or it holds the lock and creates them.
fn make_tables(conn: &mut Conn, database: &str) -> Result<(), Failure> {
    if schema::version(conn)? == Version::Known {
        return Ok(());
    }
    let lock = lock_of(database);
    if !take_lock(conn, &lock, OPERATORS_LOCK_WAIT_SECONDS)? {
        return expect_tables(conn);
    }
    schema::migrate(conn)?;
    // The lock is released with the connection in any case, only later.
    Ok(conn.exec_drop("DO RELEASE_LOCK(?)", (&lock,))?)
}
