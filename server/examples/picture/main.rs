//! Draws the pictures in README.md; `scripts/picture.sh` runs it.
//!
//! * `picture session FILE` – two people, by a session that is played for it
//! * `picture recording TITLE RECORDING FILE` – what a program printed, from a file

#![allow(clippy::unwrap_used)]

use std::env;
use std::fs;

use svg::Picture;

#[path = "../../tests/processes/client.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod client;
#[path = "../../tests/terminal/palette.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod palette;
#[path = "../../tests/terminal/person.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod person;
#[path = "../../tests/processes/programs.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod programs;
mod recording;
#[path = "../../tests/processes/server.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod server;
mod session;
mod svg;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (title, windows, file) = match arguments[..] {
        ["session", file] => {
            ("A session of two people with Let's Chat", session::play().to_vec(), file)
        }
        ["recording", title, recording, file] => {
            let printed = fs::read_to_string(recording).expect("the recording can be read");
            (title, vec![(title.to_owned(), recording::screen(&printed))], file)
        }
        _ => panic!("usage: picture session FILE | recording TITLE RECORDING FILE"),
    };
    let picture = Picture { title, windows: &windows };
    fs::write(file, picture.to_string()).expect("the picture can be written");
}
