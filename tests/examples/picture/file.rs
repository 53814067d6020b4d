//! Alice offers a file to Bob, who gets it.

use std::fs;

use letschat_tests::person::{Person, Window};
use letschat_tests::server::TestServer;
use vt100::Screen;

use crate::online;

const ALICES: Window = Window { rows: 6, columns: 100 };
const BOBS: Window = Window { rows: 7, columns: 100 };

/// Returns the final screens of Alice and Bob.
pub(crate) fn play() -> [(String, Screen); 2] {
    let server = TestServer::start(&[]);
    let [alices, bobs] = online::friends(&server);
    let (home, downloads) = (tempfile::tempdir().unwrap(), bobs.path().join("downloads"));
    let notes = "Bring an umbrella.\n".repeat(650);
    fs::write(home.path().join("notes.txt"), &notes).unwrap();
    let environment = [("HOME", home.path().to_str().unwrap())];
    let alice = Person::sit_down_at(&server, "alice", alices, ALICES, &[], &environment);
    let alice = online::logged_in(alice);
    let flags = ["--downloads", downloads.to_str().unwrap()];
    let bob = online::logged_in(Person::sit_down_at(&server, "bob", bobs, BOBS, &flags, &[]));
    alice.types("file send bob ~/notes.txt");
    alice.sees("you → bob: the file notes.txt, 12 kB");
    bob.sees("alice offers notes.txt, 12 kB.");
    bob.sees("saves it.");
    bob.is_prompted("letschat> ");
    bob.types(&format!("file get {}", offered_id(&bob)));
    bob.sees("notes.txt from alice is saved:");
    alice.sees("bob has received notes.txt.");
    for person in [&alice, &bob] {
        person.is_prompted("letschat> ");
    }
    assert_eq!(fs::read_to_string(downloads.join("notes.txt")).unwrap(), notes);
    online::windows([&alice, &bob])
}

/// Returns the id of the offer on the screen.
fn offered_id(person: &Person) -> String {
    let screen = person.screen();
    let (_, rest) = screen.split_once("`/file get ").unwrap();
    let (id, _) = rest.split_once('`').unwrap();
    id.to_owned()
}
