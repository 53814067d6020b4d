//! The pictures, which the programs have drawn.

use std::fs;

use letschat_tests::project::root;

use crate::DOCUMENT;

#[test]
fn pictures_show_what_the_document_tells() {
    let told: Vec<&str> = DOCUMENT.split("![").skip(1).collect();
    assert_eq!(told.len(), 4);
    for (image, (subject, sentences)) in told.iter().zip([
        ("session", &["asks for a chat."][..]),
        ("accounts", &["account import accounts.csv", "2 imported", "Lunch at noon"]),
        ("open-room", &["Server Initialized...", "&lt;From 127.0.0.1:"]),
        (
            "classroom",
            &["Client 5: initiated", "Server: terminated.", "Server: initiated", "5: reconnected"],
        ),
    ]) {
        let (_, rest) = image.split_once("](").unwrap();
        assert!(rest.starts_with(&format!("{subject}.svg)")), "{rest}");
        let drawn = fs::read_to_string(root().join(format!("docs/{subject}.svg"))).unwrap();
        for sentence in sentences {
            let way = format!("`scripts/picture.sh {subject}` draws it");
            assert!(drawn.contains(sentence), "{subject}.svg lacks {sentence:?}: {way}");
        }
    }
}
