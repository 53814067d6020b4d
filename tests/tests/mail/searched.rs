//! The server's files and memory are searched for what was said.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use letschat_tests::server::TestServer;

use super::*;

/// A word that nothing else contains.
const SECRET: &str = "xylophonic-zeppelin-quagmire";

/// Returns true if a file in the folder or below contains the word.
pub(crate) fn is_in_a_file(folder: &Path, word: impl AsRef<[u8]> + Copy) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => is_in_a_file(&path, word),
            false => contains(&fs::read(&path).unwrap_or_default(), word),
        }
    })
}

/// Returns true if the readable memory of a process contains the word.
fn is_in_memory(pid: u32, word: &str) -> bool {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let regions = maps.lines().filter(|line| line.contains(" rw")).filter_map(|line| {
        let (begin, end) = line.split(' ').next()?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some((number(begin)?, number(end)?))
    });
    let mut bytes = Vec::new();
    let mut searched = 0;
    for (begin, end) in regions {
        bytes.resize((end - begin) as usize, 0);
        memory.seek(SeekFrom::Start(begin)).unwrap();
        // Some regions belong to the kernel.
        let Ok(()) = memory.read_exact(&mut bytes) else { continue };
        searched += bytes.len();
        if contains(&bytes, word) {
            return true;
        }
    }
    assert!(searched > 1024 * 1024, "{searched} bytes were read");
    false
}

fn contains(bytes: &[u8], word: impl AsRef<[u8]>) -> bool {
    let word = word.as_ref();
    bytes.windows(word.len()).any(|window| window == word)
}

#[test]
fn server_never_holds_what_was_said() {
    let (server, mut alice, mut bob): (TestServer, _, _) = friends(&[]);
    let pid = server.process.pid();
    // A broadcast is in the clear for the server, so that the search finds it.
    let known = "obvious-broadcast-marker";
    alice.ok("broadcast", json!({"text": known}));
    bob.wait_event("broadcast");
    assert!(is_in_a_file(server.data.path(), known) && is_in_memory(pid, known));

    send(&mut alice, "bob", &format!("{SECRET} while here"));
    wait_mail(&mut bob, &format!("{SECRET} while here"));
    let data = leave(bob);
    for n in 0..20 {
        send(&mut alice, "bob", &format!("{SECRET} while away {n}"));
    }
    let held =
        |server: &TestServer| [is_in_a_file(server.data.path(), SECRET), is_in_memory(pid, SECRET)];
    assert_eq!(held(&server), [false, false]);
    let mut bob = come_back(data, &server, "bob");
    wait_mail(&mut bob, &format!("{SECRET} while away 19"));
    alice.wait_event_with("message_state", "state", "delivered");
    assert_eq!(held(&server), [false, false]);
    // The log tells who wrote to whom, and nothing of what was said.
    server.wait_log("alice -> bob, 1 envelope");
    assert!(!server.process.errors().contains(SECRET));
}
