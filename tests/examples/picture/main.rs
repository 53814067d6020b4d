//! Draws the pictures in README.md and docs/ASSIGNMENTS.md; `scripts/picture.sh` runs it.
//!
//! * `picture session FILE` – a session of two people
//! * `picture full-screen FILE` – a full screen with a chat, a group and a request
//! * `picture accounts FILE` – an operator who imports accounts, and two of their users
//! * `picture mysql FILE` – a server with its accounts in MySQL, and somebody who signs up
//! * `picture open-room FILE` – an open room and two people who talk there
//! * `picture classroom FILE` – a class, whose server ends and comes back
//! * `picture relayed FILE` – a message through the server, and its log
//! * `picture group FILE` – a group of three people, from which one is removed
//! * `picture file FILE` – a file that is offered and fetched
//! * `picture absent FILE` – a message to somebody who is away
//! * `picture wire FILE` – a message, and the encrypted bytes that carry it
//! * `picture by-hand FILE` – a sign-up and wrong passwords, typed through `openssl`
//! * `picture server FILE` – a server's terminal until its end, and a chat that goes on
//! * `picture busy FILE` – a server without a free place, and clients that try again
//! * `picture broadcast FILE` – a broadcast, and a request to somebody who is not here
//! * `picture timeout FILE` – a client that was idle for too long
//! * `picture recording TITLE RECORDING FILE` – a program's recorded output

#![allow(clippy::unwrap_used)]

use std::env;
use std::fs;

use svg::Picture;
use vt100::Screen;

mod absent;
mod accounts;
mod broadcast;
mod busy;
mod by_hand;
mod classroom;
mod file;
mod full_screen;
mod group;
mod hexdump;
mod mysql;
mod online;
mod open_room;
mod proxy;
mod recording;
mod relayed;
mod server;
mod session;
mod svg;
mod timeout;
mod wire;

/// A story that is played for its picture.
struct Story {
    name: &'static str,
    /// The title of the picture.
    title: &'static str,
    /// Plays the story and returns the titled windows.
    play: fn() -> Vec<(String, Screen)>,
}

static STORIES: [Story; 16] = [
    Story {
        name: "session",
        title: "A session of two people with Let's Chat",
        play: || session::play().to_vec(),
    },
    Story {
        name: "full-screen",
        title: "The full screen of Let's Chat",
        play: || full_screen::play().to_vec(),
    },
    Story {
        name: "accounts",
        title: "Accounts from a CSV file",
        play: || accounts::play().to_vec(),
    },
    Story { name: "mysql", title: "Accounts in MySQL", play: || mysql::play().to_vec() },
    Story {
        name: "open-room",
        title: "An open room over UDP",
        play: || open_room::play().to_vec(),
    },
    Story { name: "classroom", title: "A classroom", play: classroom::play },
    Story {
        name: "relayed",
        title: "A message through the server",
        play: || relayed::play().to_vec(),
    },
    Story { name: "group", title: "A group", play: || group::play().to_vec() },
    Story { name: "file", title: "A file from client to client", play: || file::play().to_vec() },
    Story {
        name: "absent",
        title: "A message to somebody who is away",
        play: || absent::play().to_vec(),
    },
    Story { name: "wire", title: "A message on the wire", play: || wire::play().to_vec() },
    Story {
        name: "by-hand",
        title: "The dialogue, typed by hand",
        play: || by_hand::play().to_vec(),
    },
    Story {
        name: "server",
        title: "A chat that outlives its server",
        play: || server::play().to_vec(),
    },
    Story { name: "busy", title: "A full server", play: || busy::play().to_vec() },
    Story {
        name: "broadcast",
        title: "A broadcast, and an invalid request",
        play: || broadcast::play().to_vec(),
    },
    Story { name: "timeout", title: "An idle client", play: || timeout::play().to_vec() },
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (title, windows, file) = match arguments[..] {
        ["recording", title, recording, file] => {
            let printed = fs::read_to_string(recording).expect("the recording can be read");
            (title, vec![(title.to_owned(), recording::screen(&printed))], file)
        }
        [name, file] => {
            let story = STORIES.iter().find(|story| story.name == name);
            let story = story.unwrap_or_else(|| panic!("{}", usage()));
            (story.title, (story.play)(), file)
        }
        _ => panic!("{}", usage()),
    };
    let picture = Picture { title, windows: &windows };
    fs::write(file, picture.to_string()).expect("the picture can be written");
}

fn usage() -> String {
    let stories: Vec<String> = STORIES.iter().map(|story| format!("{} FILE", story.name)).collect();
    format!("usage: picture {} | recording TITLE RECORDING FILE", stories.join(" | "))
}
