//! Two people chat at a server that its operator ends. The chat goes on.

use letschat_tests::person::{Person, Window};
use letschat_tests::server::TestServer;
use vt100::Screen;

use crate::online;

const SERVERS: Window = Window { rows: 23, columns: 104 };
const ALICES: Window = Window { rows: 11, columns: 104 };
const BOBS: Window = Window { rows: 10, columns: 104 };

/// Returns the final screens of the server, of Alice and of Bob.
pub(crate) fn play() -> [(String, Screen); 3] {
    let mut server = TestServer::start(&[]);
    let people = ["alice", "bob", "carol"];
    let [alice, bob, carol] = online::sign_up(&server, people).map(online::leave);
    let mut operator = online::serve_at_a_terminal(&mut server, SERVERS);
    let alice = online::log_in(&server, "alice", alice, ALICES);
    let bob = online::log_in(&server, "bob", bob, BOBS);
    let carol = online::log_in(&server, "carol", carol, BOBS);
    operator.types("kick carol");
    operator.sees("carol was told so, and is out.");
    operator.sees("carol left: closed, kicked");
    carol.sees("The operator closed your connection.");
    online::open_chat(&bob, &alice);
    operator.sees("bob was introduced to alice");
    operator.types("list");
    operator.sees("2 of 50 places taken;");
    operator.types("exit");
    assert_eq!(operator.sees_the_end(), 0);
    for person in [&alice, &bob] {
        person.sees("Server: terminated.");
    }
    says(&alice, &bob, "The server is gone. Are you still there?");
    says(&bob, &alice, "Yes: this goes straight from you to me.");
    online::windows([&operator, &alice, &bob])
}

fn says(speaker: &Person, listener: &Person, text: &str) {
    speaker.types(text);
    speaker.sees(&format!("you → {}: {text}", listener.name));
    listener.sees(&format!("{}: {text}", speaker.name));
    for (person, other) in [(speaker, listener), (listener, speaker)] {
        person.is_prompted(&format!("→ {} · reconnecting> ", other.name));
    }
}
