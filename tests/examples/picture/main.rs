//! Draws the pictures in README.md and docs/ASSIGNMENTS.md; `scripts/picture.sh` runs it.
//!
//! * `picture session FILE` – a session of two people
//! * `picture full-screen FILE` – a full screen with a chat, a group and a request
//! * `picture accounts FILE` – an operator who imports accounts, and two of their users
//! * `picture open-room FILE` – an open room and two people who talk there
//! * `picture classroom FILE` – a class, whose server ends and comes back
//! * `picture recording TITLE RECORDING FILE` – a program's recorded output

#![allow(clippy::unwrap_used)]

use std::env;
use std::fs;

use svg::Picture;

mod accounts;
mod classroom;
mod full_screen;
mod open_room;
mod recording;
mod session;
mod svg;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (title, windows, file) = match arguments[..] {
        ["session", file] => {
            ("A session of two people with Let's Chat", session::play().to_vec(), file)
        }
        ["full-screen", file] => {
            ("The full screen of Let's Chat", full_screen::play().to_vec(), file)
        }
        ["accounts", file] => ("Accounts from a CSV file", accounts::play().to_vec(), file),
        ["open-room", file] => ("An open room over UDP", open_room::play().to_vec(), file),
        ["classroom", file] => ("A classroom", classroom::play(), file),
        ["recording", title, recording, file] => {
            let printed = fs::read_to_string(recording).expect("the recording can be read");
            (title, vec![(title.to_owned(), recording::screen(&printed))], file)
        }
        _ => panic!(
            "usage: picture session FILE | full-screen FILE | accounts FILE | open-room FILE | classroom FILE | recording TITLE RECORDING FILE"
        ),
    };
    let picture = Picture { title, windows: &windows };
    fs::write(file, picture.to_string()).expect("the picture can be written");
}
