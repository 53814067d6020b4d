//! Alice broadcasts to Bob, and to Carol, who comes later. Bob asks for people who are not here.

use letschat_tests::person::{Person, Window};
use letschat_tests::server::TestServer;
use vt100::Screen;

use crate::online;

const SERVERS: Window = Window { rows: 14, columns: 102 };
const ALICES: Window = Window { rows: 5, columns: 102 };
const BOBS: Window = Window { rows: 13, columns: 102 };
const CAROLS: Window = Window { rows: 4, columns: 102 };

const TEXT: &str = "Lunch at noon";

/// Returns the final screens of the server, of Alice, of Bob and of Carol.
pub(crate) fn play() -> [(String, Screen); 4] {
    let mut server = TestServer::start(&[]);
    let people = ["alice", "bob", "carol"];
    let [alice, bob, carol] = online::sign_up(&server, people).map(online::leave);
    let operator = online::serve_at_a_terminal(&mut server, SERVERS);
    let alice = online::log_in(&server, "alice", alice, ALICES);
    let bob = online::log_in(&server, "bob", bob, BOBS);
    alice.types(&format!("broadcast {TEXT}"));
    alice.sees(&format!("alice (you) to all: {TEXT}"));
    alice.is_prompted("letschat> ");
    bob.sees(&format!("alice to all: {TEXT}"));
    bob.is_prompted("letschat> ");
    let carol = online::log_in(&server, "carol", carol, CAROLS);
    carol.sees(&format!("alice to all: {TEXT}"));
    carol.is_prompted("letschat> ");
    asks_for_strangers(&bob);
    operator.sees("bob left: closed, penalty");
    online::windows([&operator, &alice, &bob, &carol])
}

/// The client warns before a request that its list says is invalid.
fn asks_for_strangers(bob: &Person) {
    for (who, answer) in
        [("bob", "That is you."), ("mallory", "To try anyway: `/connect mallory force`")]
    {
        bob.types(&format!("connect {who}"));
        bob.sees(answer);
        bob.is_prompted("letschat> ");
    }
    bob.types("connect mallory force");
    bob.sees("Nobody is here by that name or address.");
    bob.sees("You asked for somebody who is not here, so the connection is closed.");
    bob.sees("`/login bob` tries again.");
    bob.is_prompted("letschat · offline> ");
}
