//! Two people write to each other through the server, whose terminal shows its log.

use letschat_tests::person::Window;
use letschat_tests::server::TestServer;
use vt100::Screen;

use crate::online;

const SERVERS: Window = Window { rows: 15, columns: 100 };
const ALICES: Window = Window { rows: 6, columns: 100 };
const BOBS: Window = Window { rows: 8, columns: 100 };

/// Returns the final screens of the server, of Alice and of Bob.
pub(crate) fn play() -> [(String, Screen); 3] {
    let mut server = TestServer::start(&[]);
    let [alice, bob] = online::sign_up(&server, ["alice", "bob"]).map(online::leave);
    let operator = online::serve_at_a_terminal(&mut server, SERVERS);
    let alice = online::log_in(&server, "alice", alice, ALICES);
    let bob = online::log_in(&server, "bob", bob, BOBS);
    alice.types("send bob hello");
    alice.sees("you → bob: hello");
    alice.is_prompted("letschat> ");
    operator.sees("alice -> bob, 1 envelope,");
    bob.sees("alice has written to you.");
    bob.is_prompted("letschat> ");
    bob.types("approve");
    bob.sees("alice: hello");
    bob.is_prompted("→ alice · no chat> ");
    bob.types("hello, Alice");
    bob.sees("you → alice: hello, Alice");
    bob.is_prompted("→ alice · no chat> ");
    alice.sees("bob: hello, Alice");
    alice.is_prompted("letschat> ");
    // Each message is followed by a receipt, which is an envelope as well.
    operator.sees_times("alice -> bob, 1 envelope,", 2);
    operator.sees_times("bob -> alice, 1 envelope,", 2);
    operator.sees_times("bytes, pushed", 4);
    online::windows([&operator, &alice, &bob])
}
