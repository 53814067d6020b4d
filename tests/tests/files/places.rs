//! The places of received files: a small disk, and nothing outside of the folder for them.

use std::process::Command;

use letschat_tests::form::tell_not_played;
use letschat_tests::namespace::Namespace;

use super::*;

/// The calls that create, rename or delete a name, or open a file.
const NAMES: &str = "trace=open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,\
    symlinkat,unlink,unlinkat,truncate,mknod,mknodat";

#[test]
fn file_that_a_small_disk_can_not_hold_is_refused_before_a_byte() {
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=8m,mode=0700 tmpfs \"$1\" && echo ready && exec cat";
    let made = Namespace::make("--mount", script, &[folder.path().to_str().unwrap()]);
    let Some((namespace, _)) = made else {
        return tell_not_played("a small disk for files", "nobody may mount a disk here");
    };
    let by = namespace.by(&namespace.pid());
    let outside = |name: &str| {
        let inside = folder.path().strip_prefix("/").unwrap();
        Path::new("/proc").join(namespace.pid()).join("root").join(inside).join(name)
    };
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let flags = ["--downloads", folder.path().to_str().unwrap()];
    let data = tempfile::tempdir().unwrap();
    let mut bob = TestClient::start_in_by(&by, data, &server.location(), "bob", &flags);
    bob.sign_up_and_log_in();
    alice.befriend(&mut bob);
    let sources = tempfile::tempdir().unwrap();
    let huge = sources.path().join("huge");
    fs::File::create(&huge).unwrap().set_len(100 << 20).unwrap();
    let offered = offer(&mut alice, &mut bob, &huge);
    get(&mut bob, &offered);
    let failed = bob.wait_event("file_failed");
    assert_eq!(failed["code"], "disk_full", "{failed}");
    assert_eq!(fs::read_dir(outside("")).unwrap().count(), 0);
    assert!(alice.all(|line| line["event"] == "file_progress").is_empty());
    // Once there is room, the user tries again.
    let source = make_file(&sources, "photo.jpg", 6 << 20);
    fs::write(outside("filler"), vec![0; 4 << 20]).unwrap();
    let offered = offer(&mut alice, &mut bob, &source);
    get(&mut bob, &offered);
    assert_eq!(bob.wait_event("file_failed")["code"], "disk_full");
    fs::remove_file(outside("filler")).unwrap();
    get(&mut bob, &offered);
    let saved = wait_saved(&mut bob, &offered);
    let name = saved.file_name().unwrap().to_str().unwrap();
    assert_same(&outside(name), &source);
}

#[test]
fn nothing_outside_of_the_folders_is_written() {
    let is_here = Command::new("strace").arg("-V").output().is_ok();
    assert!(is_here, "this test needs strace: `make check-tools` installs it or says how");
    let folder = tempfile::tempdir().unwrap();
    let (trace, downloads) = (folder.path().join("trace"), folder.path().join("downloads"));
    let by = ["strace", "-f", "-y", "-qq", "-e", NAMES, "-o", trace.to_str().unwrap()];
    let by = by.map(str::to_owned);
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let data = tempfile::tempdir().unwrap();
    let flags = ["--downloads", downloads.to_str().unwrap()];
    let mut bob = TestClient::start_in_by(&by, data, &server.location(), "bob", &flags);
    bob.sign_up_and_log_in();
    alice.befriend(&mut bob);
    let sources = tempfile::tempdir().unwrap();
    for name in ["photo.jpg", ".bashrc", "C:\\autoexec.bat", "a\u{202e}gpj.exe", "line\nbreak"] {
        let offered = offer(&mut alice, &mut bob, &make_file(&sources, name, 3_000_000));
        get(&mut bob, &offered);
        wait_saved(&mut bob, &offered);
    }
    let names = fs::read_dir(&downloads).unwrap();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["agpj.exe", "autoexec.bat", "bashrc", "linebreak", "photo.jpg"]);
    let own = bob.data.path().to_owned();
    bob.quits();
    let calls = fs::read_to_string(&trace).unwrap();
    let below = |folder: &Path| format!("{}", folder.display());
    let allowed = [below(&downloads), below(&own), "/dev/null".into(), "/dev/shm".into()];
    let writes = calls.lines().filter(|line| writes(line));
    let is_allowed = |path: &str| allowed.iter().any(|folder| path.starts_with(folder));
    let outside: Vec<&str> =
        writes.filter(|line| !paths(line).into_iter().all(is_allowed)).collect();
    assert_eq!(outside, [""; 0], "{calls}");
    let creates = |line: &&str| line.contains(".part\", O_RDWR|O_CREAT|O_EXCL|");
    let created: Vec<&str> = calls.lines().filter(creates).collect();
    assert!(
        created.len() == 5 && created.iter().all(|line| line.contains("O_NOFOLLOW")),
        "{calls}"
    );
    assert!(calls.contains("RENAME_NOREPLACE"), "{calls}");
}

/// Returns the absolute paths in a call, of names and of open folders. The working folder is one only if a name is
/// relative to it.
fn paths(line: &str) -> Vec<&str> {
    let names: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
    let is_relative = names.iter().any(|name| !name.starts_with('/'));
    let folders = line.split(['<', '>']).filter(|part| part.starts_with('/'));
    let working = line.split_once("AT_FDCWD<").and_then(|(_, rest)| rest.split('>').next());
    let folders = folders.filter(|folder| is_relative || Some(*folder) != working);
    names.into_iter().filter(|name| name.starts_with('/')).chain(folders).collect()
}

/// Returns true for a call that changes something.
fn writes(line: &str) -> bool {
    let is_open = ["open(", "openat(", "openat2("].iter().any(|name| line.contains(name));
    let is_written =
        ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|flag| line.contains(flag));
    let is_done = !line.contains(" = -1 ");
    is_done && line.contains('(') && !line.contains("resumed>") && (!is_open || is_written)
}
