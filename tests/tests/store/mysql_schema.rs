//! MySQL and MariaDB, and tests of remote databases.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ::mysql::prelude::Queryable as _;
use letschat_protocol::dialogue::Secret;
use letschat_server::settings::StoreLocation;
use letschat_server::store::admin::{Absent, open_beside_server};
use letschat_server::store::mysql::Mysql;
use letschat_server::store::mysql::location::{MysqlLocation, Tls};
use letschat_server::store::{Store, StoreError, Verdict};
use letschat_tests::mysql_server::{MysqlServer, Throwaway};
use letschat_tests::programs::program;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use crate::half_open::Relay;
use crate::{Database, alice, broadcast, entry, key, with_accounts};

/// A database on a server, dropped with the test.
pub(crate) struct MysqlSchema<'a> {
    pub(crate) server: &'a MysqlServer,
    pub(crate) location: MysqlLocation,
    users: RefCell<Vec<String>>,
}

impl MysqlSchema<'static> {
    pub(crate) fn new() -> MysqlSchema<'static> {
        MysqlSchema::on(MysqlServer::shared())
    }
}

impl<'a> MysqlSchema<'a> {
    fn on(server: &'a MysqlServer) -> MysqlSchema<'a> {
        let name = format!("letschat-test-{:016x}", fastrand::u64(..));
        MysqlSchema { server, location: server.location(&name), users: RefCell::default() }
    }

    fn rows_in(&self, table: &str) -> u64 {
        let count = format!("SELECT count(*) FROM `{}`.{table}", self.location.database);
        self.server.administrator().query_first(count).unwrap().unwrap()
    }

    fn administer(&self, statement: &str) {
        let mut administrator = self.server.administrator();
        administrator.query_drop(format!("USE `{}`", self.location.database)).unwrap();
        administrator.query_drop(statement).unwrap();
    }

    /// Creates a user with a password and the documented rights, with TLS required if requested.
    fn location_of_a_new_user(&self, requirement: &str) -> MysqlLocation {
        let user = format!("user{:016x}", fastrand::u64(..));
        let mut administrator = self.server.administrator();
        for statement in [
            format!("CREATE USER '{user}'@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE {requirement}"),
            format!("GRANT {} ON `{}`.* TO '{user}'@'%'", rights(), self.location.database),
        ] {
            administrator.query_drop(statement).unwrap();
        }
        self.users.borrow_mut().push(user.clone());
        MysqlLocation { user, password: Some(Secret(PASSWORD.into())), ..self.location.clone() }
    }
}

const PASSWORD: &str = "correct horse battery";

/// Returns the rights that docs/OPERATING.md tells operators to grant.
fn rights() -> &'static str {
    let told = include_str!("../../../docs/OPERATING.md");
    let rest = told.split("\nGRANT ").nth(1).unwrap();
    rest.split(" ON letschat.* TO chat;").next().unwrap()
}

impl Drop for MysqlSchema<'_> {
    fn drop(&mut self) {
        self.server.end_connections(&self.location.database);
        let drop = format!("DROP DATABASE IF EXISTS `{}`", self.location.database);
        let mut administrator = self.server.administrator();
        administrator.query_drop(drop).unwrap();
        for user in self.users.take() {
            administrator.query_drop(format!("DROP USER '{user}'@'%'")).unwrap();
        }
    }
}

impl Database for MysqlSchema<'_> {
    fn open(&self) -> Box<dyn Store> {
        // A store that a test never closed counts as dead, and its connection must go.
        self.server.end_connections(&self.location.database);
        Box::new(Mysql::open(&self.location).unwrap())
    }

    fn location(&self) -> StoreLocation {
        StoreLocation::Mysql(self.location.clone())
    }

    fn sealed_bodies(&self) -> u64 {
        self.rows_in("envelopes")
    }

    fn deliveries(&self) -> u64 {
        self.rows_in("deliveries")
    }
}

pub(crate) fn at(address: SocketAddr, location: &MysqlLocation) -> MysqlLocation {
    MysqlLocation {
        host: address.ip().to_string(),
        port: address.port(),
        wanted_tls: Some(Tls::Off),
        ..location.clone()
    }
}

fn refusal(location: &MysqlLocation) -> String {
    let error = Mysql::open(location).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn a_broken_connection_is_replaced_at_the_next_call() {
    let database = MysqlSchema::new();
    let mut store = with_accounts(&database);
    store.append(0, &[broadcast(1)]).unwrap();
    database.server.end_connections(&database.location.database);
    store.append(0, &[broadcast(2)]).unwrap();
    database.server.end_connections(&database.location.database);
    store.add_key(&alice(), &key(1), 1).unwrap();
    database.server.end_connections(&database.location.database);
    assert_eq!(store.check_key(&alice(), &key(1), 2).unwrap(), Verdict::Accepted);
    database.server.end_connections(&database.location.database);
    assert_eq!(store.load_log().unwrap().entries, [entry(1), entry(2)]);
}

#[test]
fn the_store_recovers_when_the_database_does() {
    if !Throwaway::is_here_to_test("the_store_recovers_when_the_database_does") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut throwaway = Throwaway::private(&folder);
    let location = throwaway.server.location("letschat");
    let mut store = Mysql::open(&location).unwrap();
    store.append(0, &[broadcast(1)]).unwrap();
    throwaway.stop();
    let away = store.append(0, &[broadcast(2)]);
    assert!(matches!(away, Err(StoreError::Database(_))), "{away:?}");
    throwaway.start_again();
    let until = Instant::now() + Duration::from_secs(20);
    let number = loop {
        match store.append(0, &[broadcast(3)]) {
            Ok(number) => break number,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        std::thread::yield_now();
    };
    assert_eq!(store.load_log().unwrap().entries, [entry(1), broadcast(3).numbered(number)]);
}

#[test]
fn one_database_has_one_server_at_a_time() {
    let database = MysqlSchema::new();
    let mut first = Mysql::open(&database.location).unwrap();
    let second = Mysql::open(&database.location).unwrap_err();
    assert!(matches!(second, StoreError::InUse(_)), "{second:?}");
    assert!(second.to_string().contains("another server is using it"), "{second}");
    first.append(0, &[broadcast(1)]).unwrap();
    drop(first);
    let mut second = Mysql::open(&database.location).unwrap();
    assert_eq!(second.load_log().unwrap().entries, [entry(1)]);
}

#[test]
fn the_operator_takes_no_ones_place() {
    let database = MysqlSchema::new();
    let mut server = Mysql::open(&database.location).unwrap();
    let _operator = open_beside_server(&database.location(), Absent::Make).unwrap();
    server.append(0, &[broadcast(1)]).unwrap();
    database.server.end_connections(&database.location.database);
    let _operator = open_beside_server(&database.location(), Absent::Make).unwrap();
    server.append(0, &[broadcast(2)]).unwrap();
    let second = Mysql::open(&database.location).unwrap_err();
    assert!(matches!(second, StoreError::InUse(_)), "{second:?}");
}

#[test]
fn a_server_that_lost_its_place_can_change_nothing() {
    let database = MysqlSchema::new();
    let mut first = Mysql::open(&database.location).unwrap();
    first.append(0, &[broadcast(1)]).unwrap();
    database.server.end_connections(&database.location.database);
    let mut second = Mysql::open(&database.location).unwrap();
    second.append(0, &[broadcast(2)]).unwrap();
    let refused = first.append(0, &[broadcast(3)]);
    assert!(matches!(refused, Err(StoreError::InUse(_))), "{refused:?}");
    assert_eq!(second.load_log().unwrap().entries, [entry(1), entry(2)]);
}

#[test]
fn half_open_connection_of_the_database_is_taken_over() {
    let database = MysqlSchema::new();
    let relay = Relay::start(database.server.address);
    let mut store = Mysql::open(&at(relay.address, &database.location)).unwrap();
    relay.cut_off_the_client();
    store.append(0, &[broadcast(1)]).unwrap();
    assert_eq!(store.load_log().unwrap().head, 1);
}

#[test]
fn broadcast_refused_for_want_of_an_answer_is_not_kept() {
    let database = MysqlSchema::new();
    let relay = Relay::start(database.server.address);
    let mut store = Mysql::open(&at(relay.address, &database.location)).unwrap();
    store.append(0, &[broadcast(1)]).unwrap();
    relay.lose_the_answer_to(b"COMMIT");
    let refused = store.append(0, &[broadcast(2)]);
    assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
    assert_eq!(numbers_in(&database), [1, 2]);
    let until = Instant::now() + Duration::from_secs(20);
    while let Err(error) = store.append(0, &[broadcast(3)]) {
        assert!(Instant::now() < until, "{error}");
        std::thread::yield_now();
    }
    assert_eq!(store.load_log().unwrap().entries, [entry(1), entry(3)]);
}

/// Returns the numbers in the database, even while another program has it open.
fn numbers_in(database: &MysqlSchema<'_>) -> Vec<u64> {
    let name = &database.location.database;
    let select = format!("SELECT number FROM `{name}`.broadcasts ORDER BY number");
    database.server.administrator().query(select).unwrap()
}

#[test]
fn a_newer_database_is_refused_and_left_alone() {
    let database = MysqlSchema::new();
    drop(database.open());
    database.administer("UPDATE schema_version SET version = 1000");
    let error = refusal(&database.location);
    assert!(error.contains("newer letschat-server"), "{error}");
    let version = format!("SELECT version FROM `{}`.schema_version", database.location.database);
    let version: Option<u64> = database.server.administrator().query_first(version).unwrap();
    assert_eq!(version, Some(1000));
}

#[test]
fn time_before_1970_is_unknown_and_shuts_nobody_out() {
    let database = MysqlSchema::new();
    let mut store = with_accounts(&database);
    store.add_key(&alice(), &key(1), 1).unwrap();
    store.append(0, &[broadcast(1)]).unwrap();
    database.administer("UPDATE accounts SET created_ms = -1");
    database.administer("UPDATE account_keys SET used_ms = -1");
    database.administer("UPDATE broadcasts SET time_ms = -1, boot_ms = -1");
    let shown = &database.open_beside_server().accounts_after(None, 1).unwrap()[0];
    assert_eq!((shown.created_ms, shown.used_ms), (0, None));
    assert_eq!(store.load_log().unwrap().entries[0].broadcast.time_ms, 0);
    assert_eq!(store.check_key(&alice(), &key(1), 2).unwrap(), Verdict::Accepted);
}

#[test]
fn a_migration_that_was_interrupted_is_taken_up_again() {
    let database = MysqlSchema::new();
    drop(database.open());
    database.administer("DROP TABLE log");
    database.administer("DELETE FROM schema_version");
    database.open().append(0, &[broadcast(1)]).unwrap();
}

#[test]
fn documented_grants_suffice_to_make_and_use_the_database() {
    let database = MysqlSchema::new();
    let location = database.location_of_a_new_user("NONE");
    assert!(matches!(
        open_beside_server(&StoreLocation::Mysql(location.clone()), Absent::Refuse),
        Err(StoreError::NotReady(_))
    ));
    let mut store = Mysql::open(&location).unwrap();
    store.create_account(&alice(), "phc", 1).unwrap();
    store.add_key(&alice(), &key(1), 1).unwrap();
    assert!(store.set_password(&alice(), "new", Some(&key(1))).unwrap());
    store.append(0, &[broadcast(1), broadcast(2)]).unwrap();
    store.forget(1).unwrap();
    assert_eq!(store.load_log().unwrap().entries, [entry(2)]);
    let mut operator =
        open_beside_server(&StoreLocation::Mysql(location.clone()), Absent::Refuse).unwrap();
    assert!(operator.delete_account(&alice()).unwrap());
    assert_eq!(store.check_key(&alice(), &key(1), 2).unwrap(), Verdict::Refused);
}

#[test]
fn a_user_without_rights_to_make_databases_can_use_one() {
    let database = MysqlSchema::new();
    drop(database.open());
    Mysql::open(&database.location_of_a_new_user("NONE")).unwrap();
}

#[test]
fn a_password_is_taken_with_tls_and_without() {
    for tls in [Tls::Off, Tls::Required] {
        let mut server = MysqlServer::shared();
        // The named server may not support TLS.
        if tls == Tls::Required && !server.offers_tls() {
            if !Throwaway::is_here_to_test("a_password_is_taken_with_tls_and_without: with it") {
                return;
            }
            server = &Throwaway::shared().server;
        }
        let database = MysqlSchema::on(server);
        // A new user each time: the database caches users and then asks less of them.
        let user = database.location_of_a_new_user("NONE");
        Mysql::open(&MysqlLocation { wanted_tls: Some(tls.clone()), ..user })
            .unwrap_or_else(|error| panic!("{tls:?}: {error}"));
    }
}

#[test]
fn a_wrong_password_is_one_sentence_without_it() {
    let database = MysqlSchema::new();
    for password in [None, Some(Secret("hunter22".into()))] {
        let user = database.location_of_a_new_user("NONE");
        let error = refusal(&MysqlLocation { password, ..user });
        assert!(error.contains("Access denied"), "{error}");
        assert!(error.contains("--store-password-file"), "{error}");
        assert!(!error.contains("hunter22"), "{error}");
    }
}

#[test]
fn an_unknown_user_is_one_sentence() {
    let database = MysqlSchema::new();
    let error = refusal(&MysqlLocation { user: "nobody".into(), ..database.location.clone() });
    // MySQL does not reveal unknown users, and asks them for a password by any method.
    let methods = ["Access denied", "does not know the user"];
    assert!(methods.iter().any(|method| error.contains(method)), "{error}");
}

#[test]
fn tls_is_what_was_asked_for() {
    if !Throwaway::is_here_to_test("tls_is_what_was_asked_for") {
        return;
    }
    let throwaway = Throwaway::shared();
    let database = MysqlSchema::on(&throwaway.server);
    let user = database.location_of_a_new_user("SSL");
    let with = |tls| MysqlLocation { wanted_tls: Some(tls), ..user.clone() };
    let authority = Some(throwaway.authority());
    Mysql::open(&with(Tls::Required)).unwrap();
    Mysql::open(&with(Tls::Verified { authority })).unwrap();
    let error = refusal(&with(Tls::Off));
    assert!(error.contains("Access denied"), "{error}");
    let error = refusal(&with(Tls::Verified { authority: None }));
    assert!(error.contains("UnknownIssuer"), "{error}");
}

#[test]
fn a_database_that_is_away_is_one_sentence_at_once() {
    // The port is bound, so that nobody else gets it, but not listened on.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let nobody = socket.local_addr().unwrap().as_socket().unwrap();
    let location = at(nobody, &MysqlServer::shared().location("letschat"));
    let error = refusal(&location);
    assert!(error.contains("nobody answers there"), "{error}");
}

#[test]
fn a_database_that_says_nothing_is_given_up_within_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let location = at(address, &MysqlServer::shared().location("letschat"));
    let begin = Instant::now();
    let error = refusal(&location);
    assert!(error.contains("did not answer in time"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
fn the_password_is_in_nothing_that_is_shown() {
    let database = MysqlSchema::new();
    let location = database.location_of_a_new_user("NONE");
    let store = Mysql::open(&location).unwrap();
    assert!(!format!("{store:?} {store:#?} {location:?} {location}").contains(PASSWORD));
}

/// Returns the server's program as people start it.
fn letschat_server(folder: &TempDir, location: &MysqlLocation) -> Command {
    let mut command = Command::new(program("letschat-server"));
    let store = location.to_string();
    command.args(["--listen", "127.0.0.1", "--port", "0", "--log", "trace", "--store", &store]);
    command.arg("--data").arg(folder.path()).stdin(Stdio::piped());
    command.env("LETSCHAT_SERVER_CONFIG", "/dev/null");
    command.env_remove("LETSCHAT_SERVER_STORE_PASSWORD");
    if let Some(Secret(password)) = &location.password {
        command.env("LETSCHAT_SERVER_STORE_PASSWORD", password);
    }
    command
}

/// Runs a program that must exit. Returns its standard error and its status.
fn run_to_its_end(mut command: Command) -> (String, Option<i32>) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(40);
    while child.try_wait().unwrap().is_none() && Instant::now() < until {
        std::thread::yield_now();
    }
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    (String::from_utf8(output.stderr).unwrap(), output.status.code())
}

#[test]
fn the_program_keeps_its_store_there_and_keeps_another_one_out() {
    let database = MysqlSchema::new();
    let location = database.location_of_a_new_user("NONE");
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut first = letschat_server(&one, &location).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines();
    let listening = lines.next().unwrap().unwrap();
    assert!(listening.starts_with("listening on "), "{listening}");
    let (said, status) = run_to_its_end(letschat_server(&two, &location));
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("another server is using it"), "{said}");
}

#[test]
fn the_program_says_in_one_line_why_it_can_not_start() {
    let database = MysqlSchema::new();
    let folder = tempfile::tempdir().unwrap();
    let mut location = database.location_of_a_new_user("NONE");
    location.password = Some(Secret("hunter22".into()));
    let (said, status) = run_to_its_end(letschat_server(&folder, &location));
    assert_eq!(status, Some(1), "{said}");
    assert!(said.starts_with("letschat-server: can't use the database mysql://"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(!said.contains("hunter22"), "{said}");
}

#[test]
fn accounts_are_looked_after_beside_the_server() {
    let database = MysqlSchema::new();
    let location = database.location_of_a_new_user("NONE");
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let password_file = two.path().join("password");
    std::fs::write(&password_file, PASSWORD).unwrap();
    let account = |task: &[&str]| {
        let mut command = letschat_server(&two, &location);
        let output = command.stdin(Stdio::null()).arg("account").args(task).output().unwrap();
        let [said, errors] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(!errors.contains(PASSWORD), "{errors}");
        (output.status.code(), said, errors)
    };
    let add = ["add", "alice", "--password-file", password_file.to_str().unwrap()];

    let (status, _, errors) = account(&["list"]);
    assert_eq!(status, Some(1), "{errors}");
    assert!(errors.contains("there is no database yet"), "{errors}");
    assert_eq!(account(&add).0, Some(0), "the first account may come before the first start");

    let mut server = letschat_server(&one, &location).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let listening = lines.next().unwrap().unwrap();
    assert!(listening.starts_with("listening on "), "{listening}");
    assert_eq!(account(&add).0, Some(1), "there is one of that name already");
    assert_eq!(account(&["ban", "alice"]).0, Some(0));
    let (status, listed, errors) = account(&["list"]);
    assert_eq!(status, Some(0), "{errors}");
    assert!(listed.contains("alice") && listed.contains(" banned "), "{listed}");
    assert_eq!(account(&["delete", "alice", "--yes"]).0, Some(0));
    server.kill().unwrap();
    server.wait().unwrap();
}
