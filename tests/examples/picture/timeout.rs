//! A server that drops idle clients after a few seconds, and a client that logs in again.

use letschat_tests::person::Window;
use letschat_tests::server::TestServer;
use vt100::Screen;

use crate::online;

const SERVERS: Window = Window { rows: 9, columns: 100 };
const ALICES: Window = Window { rows: 8, columns: 100 };

/// Returns the final screens of the server and of Alice.
pub(crate) fn play() -> [(String, Screen); 2] {
    let mut server = TestServer::start(&[]);
    let [alice] = online::sign_up(&server, ["alice"]).map(online::leave);
    let operator = online::serve_at_a_terminal_with(&mut server, SERVERS, &["--idle-seconds", "5"]);
    let alice = online::log_in(&server, "alice", alice, ALICES);
    alice.sees("You were idle for too long.");
    alice.is_prompted("letschat · offline> ");
    operator.sees("alice left: closed, idle");
    alice.types("list");
    alice.sees("Logged in as alice, by key. alice 127.0.0.1");
    alice.is_prompted("letschat> ");
    operator.sees("alice asked: LIST");
    online::windows([&operator, &alice])
}
