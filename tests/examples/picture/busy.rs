//! A server with one place: Bob waits until Alice leaves, and Carol gives up.

use letschat_tests::person::{CTRL_X, Person, Window};
use letschat_tests::server::TestServer;
use vt100::Screen;

use crate::online;

const SERVERS: Window = Window { rows: 14, columns: 106 };
const PEOPLES: Window = Window { rows: 4, columns: 106 };

/// Returns the final screens of the server, of Alice, of Bob and of Carol.
pub(crate) fn play() -> [(String, Screen); 4] {
    let mut server = TestServer::start(&[]);
    let people = ["alice", "bob", "carol"];
    let [alice, bob, carol] = online::sign_up(&server, people).map(online::leave);
    let operator = online::serve_at_a_terminal_with(&mut server, SERVERS, &["--places", "1"]);
    let alice = online::log_in(&server, "alice", alice, PEOPLES);
    let bob = Person::sit_down_at(&server, "bob", bob, PEOPLES, &[], &[]);
    is_turned_away(&bob);
    // Bob's client tries again in 4 to 6 seconds.
    alice.press(CTRL_X);
    alice.sees("Left the server.");
    alice.is_prompted("letschat · offline> ");
    let bob = online::logged_in(bob);
    let carol = Person::sit_down_at(&server, "carol", carol, PEOPLES, &[], &[]);
    is_turned_away(&carol);
    carol.sees("letschat · attempt 1 at");
    carol.types("cancel");
    carol.sees("You stopped the attempts.");
    carol.is_prompted("letschat · offline> ");
    operator.sees_times("ended without a login: closed, busy", 2);
    online::windows([&operator, &alice, &bob, &carol])
}

fn is_turned_away(person: &Person) {
    person.sees("All places are taken. Try again later. Trying again in");
}
