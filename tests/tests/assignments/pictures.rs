//! The pictures, which the programs have drawn.

use std::fs;

use letschat_tests::project::root;

use crate::DOCUMENT;

#[test]
fn pictures_show_what_the_document_tells() {
    let told: Vec<&str> = DOCUMENT.split("![").skip(1).collect();
    let drawn: [(&str, &[&str]); 15] = [
        ("mysql.svg", &["mysql://root@", "alice logged in", "$argon2id$"]),
        ("session.svg", &["asks for a chat."]),
        (
            "server.svg",
            &["bob was introduced to alice", "Server: terminated.", "straight from you"],
        ),
        ("broadcast.svg", &["alice to all:", "Lunch at noon", "so the connection is closed."]),
        ("busy.svg", &["All places are taken.", "Trying again in", "You stopped the attempts."]),
        ("timeout.svg", &["You were idle for too long."]),
        ("by-hand.svg", &["at least 8 characters.", "are not the same.", "That was the last try."]),
        (
            "accounts.svg",
            &[
                "$ cat accounts.csv",
                "nothing was imported: 1 of 3",
                "2 imported",
                "argon2id",
                "account import hashes.csv",
                "Lunch at noon",
            ],
        ),
        ("open-room.svg", &["Server Initialized...", "&lt;From 127.0.0.1:"]),
        (
            "classroom.svg",
            &[
                "Client 5: initiated",
                "Server: terminated.",
                "Server: initiated",
                "5: reconnected",
                "5 127.0.0.1 6005",
            ],
        ),
        ("relayed.svg", &["alice -&gt; bob, 1 envelope, ", "bytes, pushed", "hello, Alice"]),
        ("absent.svg", &["bytes, kept", "Nobody has that name here;", "bob has received"]),
        (
            "group.svg",
            &[
                "#team is founded.",
                "carol has joined.",
                "alice has removed bob.",
                "carol has left.",
            ],
        ),
        ("file.svg", &["alice offers notes.txt, 12 kB.", "notes.txt from alice is saved:"]),
        ("wire.svg", &["the secret is 4711", "occurs 0 times in"]),
    ];
    // The window is drawn in pixels, which hold no text.
    assert_eq!(told.len(), drawn.len() + 1);
    assert!(told.last().unwrap().contains("](window-light.png)"));
    for (image, (file, sentences)) in told.iter().zip(drawn) {
        let (_, rest) = image.split_once("](").unwrap();
        assert!(rest.starts_with(&format!("{file})")), "{rest}");
        let picture = fs::read_to_string(root().join("docs").join(file)).unwrap();
        for sentence in sentences {
            let subject = file.trim_end_matches(".svg");
            let way = format!("`scripts/picture.sh {subject}` draws it");
            assert!(picture.contains(sentence), "{file} lacks {sentence:?}: {way}");
        }
    }
}

#[test]
fn every_task_names_its_picture() {
    for part in DOCUMENT.split("\n### Tasks\n").skip(1) {
        let (tasks, _) = part.split_once("\n### ").unwrap();
        if tasks.trim_start().starts_with("The picture below shows all of them") {
            continue;
        }
        let lines: Vec<&str> = tasks.lines().collect();
        let is_numbered = |at: &usize| lines[*at].starts_with(|first: char| first.is_ascii_digit());
        let begins: Vec<usize> = (0..lines.len()).filter(is_numbered).collect();
        let ends = begins.iter().skip(1).copied().chain([lines.len()]);
        for (begin, end) in begins.iter().zip(ends) {
            let task = lines[*begin..end].join("\n");
            assert!(task.contains("[Picture](") || task.contains("as in the first"), "{task}");
        }
    }
}
