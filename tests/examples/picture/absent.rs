//! Alice writes to Bob while he is away. The server keeps the message until he is back.

use letschat_tests::person::Window;
use letschat_tests::server::TestServer;
use vt100::Screen;

use crate::online;

const SERVERS: Window = Window { rows: 14, columns: 100 };
const ALICES: Window = Window { rows: 10, columns: 100 };
const BOBS: Window = Window { rows: 4, columns: 100 };

/// Returns the final screens of the server and of Alice, and those of Bob's first client and of his second.
pub(crate) fn play() -> [(String, Screen); 4] {
    let mut server = TestServer::start(&[]);
    let [alice, bob] = online::friends(&server);
    let operator = online::serve_at_a_terminal(&mut server, SERVERS);
    let alice = online::log_in(&server, "alice", alice, ALICES);
    let mut bob = online::log_in(&server, "bob", bob, BOBS);
    bob.types("quit");
    assert_eq!(bob.sees_the_end(), 0);
    operator.sees("bob left: said QUIT");
    let [left] = online::windows([&bob]);
    alice.types("send nobody hello");
    alice.sees("Nobody has that name here; nothing was sent.");
    alice.is_prompted("letschat> ");
    alice.types("send bob call me when you are back");
    alice.sees("The server keeps your message for bob and delivers it later.");
    alice.is_prompted("letschat> ");
    operator.sees("alice -> bob, 1 envelope,");
    operator.sees("bytes, kept");
    let back = online::log_in(&server, "bob", bob.leaves_the_data(), BOBS);
    back.sees("alice: call me when you are back");
    back.is_prompted("letschat> ");
    alice.sees("bob has received your message.");
    alice.is_prompted("letschat> ");
    // The receipt tells Alice's client that the message has arrived.
    operator.sees("bob -> alice, 1 envelope,");
    operator.sees("bytes, pushed");
    let [operator, alice, (_, back)] = online::windows([&operator, &alice, &back]);
    [operator, alice, left, ("bob, when he is back".into(), back)]
}
