//! Two people type the dialogue through `openssl`: Alice signs up, and Bob does not remember his password.

use letschat_tests::client::PASSWORD;
use letschat_tests::person::{Person, Window};
use letschat_tests::server::TestServer;
use pty_process::blocking::Command;
use vt100::Screen;

use crate::online;

const ALICES: Window = Window { rows: 36, columns: 100 };
const BOBS: Window = Window { rows: 20, columns: 100 };

/// Lines that Alice types, each with the answer.
const SIGN_UP: [(&str, &str); 14] = [
    ("hello", "300 Hello. Do you want to log in or to sign up?"),
    ("signup", "331 Which username do you want?"),
    ("bob", "332 Which password?"),
    ("secret", "512 Sorry: a password has at least 8 characters. 332 Which password?"),
    (PASSWORD, "333 The same password again, please."),
    ("correct house", "513 The two passwords are not the same. 332 Which password?"),
    (PASSWORD, "333 The same password again, please."),
    (PASSWORD, "511 somebody has that username; choose another 331 Which username do you want?"),
    ("alice", "332 Which password?"),
    (PASSWORD, "333 The same password again, please."),
    (PASSWORD, "201 alice has an account now; log in 300 Log in or sign up?"),
    ("login alice", "332 Your password?"),
    (PASSWORD, "230 Welcome, alice."),
    ("list", "250-alice 127.0.0.1 by hand 250 You are the only one here."),
];

/// The same of Bob.
const LOGINS: [(&str, &str); 7] = [
    ("hello", "300 Hello. Do you want to log in or to sign up?"),
    ("login bob", "332 Your password?"),
    ("correct mouse", "535 Wrong username or password. 2 more tries. 300 Log in or sign up?"),
    ("login bob", "332 Your password?"),
    ("correct house", "535 Wrong username or password. 1 more try. 300 Log in or sign up?"),
    ("login bob", "332 Your password?"),
    (
        "correct spouse",
        "535 Wrong username or password. That was the last try. \
         * Too many wrong answers. Connect again to try further.",
    ),
];

/// Returns the final screens of Alice and Bob.
pub(crate) fn play() -> [(String, Screen); 2] {
    let server = TestServer::start(&[]);
    let [bob] = online::sign_up(&server, ["bob"]);
    online::leave(bob);
    let alice = connects(&server, "alice", ALICES);
    goes_through(&alice, &SIGN_UP);
    let bob = connects(&server, "bob", BOBS);
    goes_through(&bob, &LOGINS);
    // The server has closed the connection, so that the shell is back.
    bob.is_prompted("$ ");
    online::windows([&alice, &bob])
}

/// Connects from a shell, with the warning about the self-signed certificate left out.
fn connects(server: &TestServer, name: &str, window: Window) -> Person {
    let typed = format!("openssl s_client -quiet -connect {} 2>/dev/null", server.address);
    let script = format!("echo '$ {typed}'; {typed}; printf '$ '; read line");
    let command = Command::new("sh").args(["-c", &script]);
    let person = Person::run_at(command, name, tempfile::tempdir().unwrap(), window);
    person.sees("say HELLO");
    person
}

/// Types each line, and waits for the whole answer below it.
fn goes_through(person: &Person, dialogue: &[(&str, &str)]) {
    for (place, line) in dialogue.iter().enumerate() {
        let (typed, answer) = line;
        person.types(typed);
        let times = dialogue[..=place].iter().filter(|same| *same == line).count();
        person.sees_times(&format!("{typed} {answer}"), times);
    }
}
