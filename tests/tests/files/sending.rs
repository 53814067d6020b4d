//! Files from one person to another, and to a group.

use super::*;

#[test]
fn file_arrives_whole_beside_a_chat() {
    let (_server, mut alice, mut bob) = friends();
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("empty", 0), ("one", 1), ("photo.jpg", 5_000_000), ("even", 2 << 20)] {
        let source = make_file(&folder, name, bytes);
        let offered = offer(&mut alice, &mut bob, &source);
        assert_eq!((&offered["name"], &offered["size"]), (&json!(name), &json!(bytes)));
        assert_eq!((&offered["from"], &offered["own"]), (&json!("alice"), &json!(false)));
        get(&mut bob, &offered);
        let saved = wait_saved(&mut bob, &offered);
        assert_eq!(saved, bob.data.path().join("downloads").join(name));
        assert_same(&saved, &source);
        let done = alice.wait_event("file_done");
        assert_eq!((&done["to"], &done["id"]), (&json!("bob"), &offered["id"]));
    }
    let names = fs::read_dir(bob.data.path().join("downloads")).unwrap();
    assert_eq!(names.count(), 4, "nothing else is left in the folder");
    let listed = bob.ok("files", json!({}))["files"].clone();
    assert!(listed.as_array().unwrap().iter().all(|file| file["state"] == "saved"), "{listed}");
}
