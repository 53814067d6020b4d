//! Two people talk in an open room.

use letschat_tests::person::{Person, Window};
use letschat_tests::programs::{NO_SETTINGS, foreign_settings, program};
use letschat_tests::room::TestRoom;
use pty_process::blocking::Command;
use vt100::Screen;

use crate::recording;

const WINDOW: Window = Window { rows: 4, columns: 80 };

/// Returns the final screens of the server and of the two people.
pub(crate) fn play() -> [(String, Screen); 3] {
    let room = TestRoom::start();
    let (first, second) = (enters(&room, "first"), enters(&room, "second"));
    for (speaker, text) in [(&first, "Is anybody here?"), (&second, "So it seems. Hello!")] {
        speaker.types(text);
        for person in [&first, &second] {
            person.sees(&format!(">: {text}"));
            person.is_prompted("] ");
        }
    }
    let typed = format!("$ letschat-server open-room {}\nServer Initialized...", room.port);
    let title = format!("letschat open-room 127.0.0.1 {}", room.port);
    let [first, second] =
        [&first, &second].map(|person| (title.clone(), person.looks_at_the_screen()));
    [("the server".into(), recording::short_screen(&typed)), first, second]
}

fn enters(room: &TestRoom, name: &str) -> Person {
    let fresh = foreign_settings()
        .into_iter()
        .fold(Command::new(program("letschat")), |command, name| command.env_remove(name));
    let command = fresh
        .args(["open-room", "127.0.0.1", &room.port.to_string()])
        .env("LETSCHAT_CONFIG", NO_SETTINGS)
        .env_remove("NO_COLOR");
    let person = Person::run_at(command, name, tempfile::tempdir().unwrap(), WINDOW);
    person.is_prompted("] ");
    person
}
