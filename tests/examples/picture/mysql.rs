//! A server that keeps its accounts in MySQL and creates the database. Alice signs up there.

use ::mysql::prelude::Queryable as _;
use letschat_tests::mysql_server::Throwaway;
use letschat_tests::person::{Person, Window};
use letschat_tests::server::TestServer;
use vt100::Screen;

use crate::{online, recording};

const SERVERS: Window = Window { rows: 8, columns: 100 };
const ALICES: Window = Window { rows: 19, columns: 80 };

const QUESTION: &str = "SELECT username, phc FROM letschat.accounts";

/// Returns the final screens of the server and of Alice, and the table of accounts.
pub(crate) fn play() -> [(String, Screen); 3] {
    let database = &Throwaway::shared().server;
    let mut server = TestServer::start(&[]);
    let location = format!("mysql://root@{}/letschat", database.address);
    let operator = online::serve_at_a_terminal_with(&mut server, SERVERS, &["--store", &location]);
    let data = tempfile::tempdir().unwrap();
    let alice = Person::sit_down_at(&server, "alice", data, ALICES, &[], &[]);
    online::signs_up(&alice);
    operator.sees("alice logged in");
    let accounts: Vec<(String, String)> = database.administrator().query(QUESTION).unwrap();
    // The hash is longer than a row.
    let row = |(name, hash): &(String, String)| format!("{name}  {hash:.60}…\n");
    let table: String = accounts.iter().map(row).collect();
    let [operator, alice] = online::windows([&operator, &alice]);
    [operator, alice, (QUESTION.to_owned(), recording::short_screen(&table))]
}
