//! Transfers over loopback, with senders and receivers that do not keep to the rules, and with folders that somebody
//! else changes meanwhile.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_net::TcpListener;
use futures_lite::future::{block_on, zip};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use letschat_core::codes::FailureCode;
use letschat_core::files::{FetchFailure, FetchFile, FetchNews, PartId, ServeNews, TransferId};
use letschat_protocol::files::name::FileName;
use letschat_protocol::files::{CHUNK_BYTES, FileHash, FileInfo, HashList, MAX_FILE_BYTES};
use letschat_protocol::identity::Identity;
use letschat_protocol::message_id::MessageId;
use tempfile::TempDir;

mod breaking;

use super::*;
use crate::net::peer_link::{self, PeerStream, Target, secure_as_receiver};
use crate::net::tls::PeerTls;

const CHUNK: usize = CHUNK_BYTES as usize;
const QUICK: Patience =
    Patience { silence: Duration::from_millis(2_000), chunk: Duration::from_millis(4_000) };

fn identity() -> Identity {
    Identity::from_seed(&[1; 32])
}

fn tls(seed: u8) -> PeerTls {
    PeerTls::new(&Identity::from_seed(&[seed; 32])).unwrap()
}

/// Returns bytes that do not repeat from chunk to chunk.
fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n / CHUNK + n % 251) as u8).collect()
}

/// A source on disk, a folder for downloads, and what the receiver was told.
struct Scene {
    top: TempDir,
    info: FileInfo,
    hashes: HashList,
    told: RefCell<Vec<FetchNews>>,
}

impl Scene {
    fn new(bytes: usize) -> Scene {
        let top = tempfile::tempdir().unwrap();
        fs::write(top.path().join("source"), content(bytes)).unwrap();
        let (info, hashes) = read(&top.path().join("source"), || true).unwrap();
        fs::create_dir(top.path().join("downloads")).unwrap();
        Scene { top, info, hashes, told: RefCell::default() }
    }

    fn source_path(&self) -> PathBuf {
        self.top.path().join("source")
    }

    fn source(&self) -> Source {
        Source { path: self.source_path(), info: self.info, hashes: self.hashes.clone() }
    }

    fn downloads(&self) -> PathBuf {
        self.top.path().join("downloads")
    }

    /// Returns the names in the folder for downloads.
    fn names(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.downloads()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn wanted(&self, to: SocketAddr) -> FetchFile {
        FetchFile {
            transfer: TransferId(1),
            to,
            key: identity().public_key(),
            id: MessageId::of_broadcast(1, 1),
            name: FileName::reduced("photo.jpg"),
            info: self.info,
            path: None,
            part: None,
            verified: None,
        }
    }

    /// Fetches the file from a sender. `change` changes the attempt.
    fn fetch_from<T>(
        &self,
        sender: impl AsyncFnOnce(PeerStream) -> T,
        change: impl FnOnce(&mut FetchFile),
    ) -> Result<PathBuf, FetchFailure> {
        block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let mut file = self.wanted(listener.local_addr().unwrap());
            change(&mut file);
            let from = Target::at(file.to, file.key, tls(2));
            let attempt = Fetch { file, from, folder: self.downloads(), patience: QUICK };
            let tell = async |news| {
                // The way is of no concern to the file.
                if !matches!(news, FetchNews::Met(_)) {
                    self.told.borrow_mut().push(news);
                }
            };
            let sending = async {
                let (stream, _) = listener.accept().await.unwrap();
                let (stream, _) = secure_as_receiver(stream, &tls(1)).await.unwrap();
                sender(stream).await
            };
            // An attempt that fails early does not dial.
            let sending = async {
                sending.await;
                pending().await
            };
            fetch(attempt, tell).or(sending).await
        })
    }

    /// Fetches the file from an honest sender.
    fn fetch(&self, change: impl FnOnce(&mut FetchFile)) -> Result<PathBuf, FetchFailure> {
        self.fetch_from(async |stream| self.serve(stream).await, change)
    }

    async fn serve(&self, stream: PeerStream) -> ServeNews {
        let stream = after_get(stream).await;
        serve(stream, Ok(self.source()), QUICK, async |_| {}).await
    }

    /// Fetches the file from a sender that answers with these bytes, whatever it is asked.
    fn fetch_answered(&self, answers: &[u8]) -> Result<PathBuf, FetchFailure> {
        let sender = async |stream: PeerStream| {
            let mut stream = after_get(stream).await;
            let _ = stream.write_all(answers).await;
            let _ = stream.flush().await;
            // Until the receiver hangs up.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        };
        self.fetch_from(sender, |_| {})
    }

    /// Returns an honest sender's answers up to the first chunk's line.
    fn answers(&self) -> Vec<u8> {
        let mut bytes = b"READY\n".to_vec();
        for page in 0..self.info.pages() {
            let hashes = self.hashes.page(page).unwrap();
            bytes.extend(format!("HASHES {page} +{}\n", hashes.len()).as_bytes());
            bytes.extend(hashes);
            bytes.push(b'\n');
        }
        bytes
    }
}

/// Reads the line GET.
async fn after_get(mut stream: PeerStream) -> PeerStream {
    let mut byte = [0];
    while byte != *b"\n" {
        stream.read_exact(&mut byte).await.unwrap();
    }
    stream
}

#[test]
fn file_is_saved_whole_and_nothing_else_is_left() {
    for bytes in [0, 1, CHUNK, 3 * CHUNK + 5] {
        let scene = Scene::new(bytes);
        let path = scene.fetch(|_| {}).unwrap();
        assert_eq!(path, scene.downloads().join("photo.jpg"));
        assert!(fs::read(path).unwrap() == content(bytes));
        assert_eq!(scene.names(), BTreeSet::from(["photo.jpg".into()]));
    }
}

#[test]
fn existing_files_are_never_replaced() {
    let scene = Scene::new(10);
    for taken in ["photo.jpg", "photo (2).jpg.part"] {
        fs::write(scene.downloads().join(taken), "mine").unwrap();
    }
    symlink("/nowhere", scene.downloads().join("photo (3).jpg")).unwrap();
    let path = scene.fetch(|_| {}).unwrap();
    assert_eq!(path, scene.downloads().join("photo (4).jpg"));
    assert_eq!(fs::read(scene.downloads().join("photo.jpg")).unwrap(), b"mine");
    // A path that the user names is taken as it is, or not at all.
    let exact = scene.downloads().join("exact");
    let to = |path: &Path| {
        let path = path.to_owned();
        move |file: &mut FetchFile| file.path = Some(path)
    };
    assert_eq!(scene.fetch(to(&exact)).unwrap(), exact);
    assert!(matches!(scene.fetch(to(&exact)), Err(FetchFailure::File { .. })));
    let folder = scene.top.path().join("other");
    fs::create_dir(&folder).unwrap();
    assert_eq!(scene.fetch(to(&folder)).unwrap(), folder.join("photo.jpg"));
    let missing = scene.top.path().join("missing").join("x");
    assert!(matches!(scene.fetch(to(&missing)), Err(FetchFailure::File { .. })));
}

#[test]
fn name_that_is_taken_meanwhile_is_not_replaced() {
    let scene = Scene::new(10);
    let sender = async |stream: PeerStream| {
        let stream = after_get(stream).await;
        fs::write(scene.downloads().join("photo.jpg"), "mine").unwrap();
        serve(stream, Ok(scene.source()), QUICK, async |_| {}).await
    };
    let path = scene.fetch_from(sender, |_| {}).unwrap();
    assert_eq!(path, scene.downloads().join("photo (2).jpg"));
    assert_eq!(fs::read(scene.downloads().join("photo.jpg")).unwrap(), b"mine");
}

#[test]
fn changed_source_is_not_sent() {
    for change in ["altered", "shorter", "longer", "gone"] {
        let scene = Scene::new(2 * CHUNK);
        let mut bytes = content(2 * CHUNK);
        match change {
            "altered" => bytes[CHUNK + 7] ^= 1,
            "shorter" => bytes.truncate(CHUNK + 1),
            "longer" => bytes.push(0),
            _ => {}
        }
        fs::write(scene.source_path(), bytes).unwrap();
        if change == "gone" {
            fs::remove_file(scene.source_path()).unwrap();
        }
        assert_eq!(scene.fetch(|_| {}), Err(FetchFailure::Changed), "{change}");
        let is_part = |name: &String| name.ends_with(".part");
        assert!(scene.names().iter().all(is_part), "{change}: {:?}", scene.names());
    }
}

#[test]
fn source_that_changes_while_it_is_sent_is_found_out() {
    let scene = Scene::new(6 * CHUNK);
    let sender = async |stream: PeerStream| {
        let stream = after_get(stream).await;
        let path = scene.source_path();
        // The first news of a chunk comes while others are still missing.
        let serving = serve(stream, Ok(scene.source()), QUICK, async |_| {});
        let changing = async {
            while !scene.told.borrow().iter().any(|news| matches!(news, FetchNews::Begun(..))) {
                futures_lite::future::yield_now().await;
            }
            fs::write(path, vec![0; 6 * CHUNK]).unwrap();
        };
        zip(serving, changing).await.0
    };
    assert_eq!(scene.fetch_from(sender, |_| {}), Err(FetchFailure::Changed));
}

#[test]
fn sender_that_breaks_the_rules_is_found_out() {
    let bytes = CHUNK + 5;
    let scene = Scene::new(bytes);
    let good = scene.answers();
    let with = |tail: &[u8]| [&good[..], tail].concat();
    let chunk = |number: usize, announced: usize, bytes: &[u8]| {
        [format!("CHUNK {number} +{announced}\n").as_bytes(), bytes, b"\n"].concat()
    };
    let first = &content(bytes)[..CHUNK];
    let mut altered = first.to_vec();
    altered[9] ^= 1;
    let mut other_hashes = good.clone();
    let at = other_hashes.len() - 5;
    other_hashes[at] ^= 1;
    for (what, answers) in [
        ("another chunk", with(&chunk(1, 5, b"12345"))),
        ("an altered chunk", with(&chunk(0, CHUNK, &altered))),
        ("a longer chunk", with(&chunk(0, CHUNK + 1, &[first, b"x"].concat()))),
        ("a chunk without an end", with(&chunk(0, CHUNK, &[first, b"x"].concat()))),
        (
            "a last chunk that is too long",
            with(&[chunk(0, CHUNK, first), chunk(1, 6, b"123456")].concat()),
        ),
        ("no line", with(b"hello\n")),
        ("an endless line", with(&[b'x'; 200])),
        ("other hashes", other_hashes),
        ("hashes of a longer file", b"READY\nHASHES 0 +96\n".to_vec()),
        ("a huge page", b"READY\nHASHES 0 +18446744073709551615\n".to_vec()),
        ("another page", b"READY\nHASHES 1 +64\n".to_vec()),
        ("no READY", b"CHUNK 0 +1\n".to_vec()),
    ] {
        assert_eq!(scene.fetch_answered(&answers), Err(FetchFailure::Invalid), "{what}");
        let largest = scene
            .names()
            .iter()
            .map(|name| fs::metadata(scene.downloads().join(name)).unwrap().len())
            .max();
        assert!(
            largest.unwrap_or_default() <= CHUNK_BYTES,
            "{what}: nothing unverified is written"
        );
        for name in scene.names() {
            fs::remove_file(scene.downloads().join(name)).unwrap();
        }
    }
    for (refusal, answers) in [
        (FetchFailure::Changed, &b"CHANGED\n"[..]),
        (FetchFailure::Refused(letschat_protocol::peer::Refusal::Over), b"REFUSE over\n"),
        (FetchFailure::Changed, &with(b"CHANGED\n")),
    ] {
        assert_eq!(scene.fetch_answered(answers), Err(refusal));
    }
}

#[test]
fn requests_that_make_no_sense_end_the_link() {
    let scene = Scene::new(10);
    for request in ["CHUNK 1\n", "CHUNK 18446744073709551615\n", "HASHES 1\n", "GET\n", "x\n"] {
        let ended = block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let to = listener.local_addr().unwrap();
            let asking = async {
                let key = identity().public_key();
                let target = Target::at(to, key, tls(2));
                let (mut stream, _) = peer_link::reach(&target, async || {}).await.ok().unwrap();
                stream.write_all(request.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                let _ = stream.read_to_end(&mut Vec::new()).await;
            };
            let serving = async {
                let (stream, _) = listener.accept().await.unwrap();
                let (stream, _) = secure_as_receiver(stream, &tls(1)).await.unwrap();
                serve(stream, Ok(scene.source()), QUICK, async |_| {}).await
            };
            zip(asking, serving).await.1
        });
        assert_eq!(ended, ServeNews::Ended, "{request:?}");
    }
}

#[test]
fn sender_that_falls_silent_or_never_ends_is_given_up() {
    let scene = Scene::new(CHUNK);
    for trickles in [false, true] {
        let sender = async |stream: PeerStream| {
            let mut stream = after_get(stream).await;
            let mut answers = scene.answers();
            answers.extend(format!("CHUNK 0 +{CHUNK}\n").as_bytes());
            stream.write_all(&answers).await.unwrap();
            stream.flush().await.unwrap();
            while trickles && stream.write_all(b"x").await.is_ok() && stream.flush().await.is_ok() {
                async_io::Timer::after(Duration::from_millis(100)).await;
            }
            pending::<()>().await;
        };
        let begun = Instant::now();
        assert_eq!(scene.fetch_from(sender, |_| {}), Err(FetchFailure::Link));
        let limit = if trickles { QUICK.chunk } else { QUICK.silence };
        assert!((limit..limit * 3).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}

/// Swaps the part and the saved file for links to a precious file, as fast as it can.
fn swap(folder: &Path, precious: &Path, is_over: &AtomicBool) {
    let spare = folder.join("spare");
    while !is_over.load(Ordering::Relaxed) {
        for name in ["photo.jpg.part", "photo.jpg"] {
            let _ = symlink(precious, &spare);
            let _ = fs::rename(&spare, folder.join(name));
            let _ = fs::remove_file(folder.join(name));
        }
    }
}

#[test]
fn swapped_links_lead_nowhere_in_10000_races() {
    let scene = Scene::new(1_000);
    let precious = scene.top.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (folder, precious, is_over) = (scene.downloads(), precious.clone(), is_over.clone());
        thread::spawn(move || swap(&folder, &precious, &is_over))
    };
    let (mut saved, mut refused) = (0, 0);
    for _ in 0..10_000 {
        let file = scene.wanted((Ipv4Addr::LOCALHOST, 1).into());
        let place = part::Place::open(&file, &scene.downloads()).unwrap();
        let written = place.create().and_then(|part| {
            part.write(0, &content(1_000)).unwrap();
            place.finish(part)
        });
        match written {
            Ok(_) => saved += 1,
            Err(FetchFailure::File { .. }) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
        if let Some(part) = place.reopen(&scene.downloads().join("photo.jpg.part")) {
            part.cut(0).unwrap();
        }
    }
    is_over.store(true, Ordering::Relaxed);
    swapping.join().unwrap();
    assert_eq!(saved + refused, 10_000);
    assert_eq!(fs::read(&precious).unwrap(), b"precious", "{saved} saved, {refused} refused");
    assert!(refused > 0, "nothing was ever swapped in time");
}

#[test]
fn huge_file_is_refused_before_a_byte() {
    let scene = Scene::new(10);
    let nobody = |file: &mut FetchFile| {
        file.info = FileInfo::new(MAX_FILE_BYTES, FileHash([1; 32])).unwrap();
        // A dial would fail with another reason.
        file.to = (Ipv4Addr::LOCALHOST, 1).into();
    };
    let free = rustix::fs::statvfs(scene.downloads()).unwrap();
    let free = free.f_bavail * free.f_frsize;
    let result = scene.fetch(nobody);
    match free < MAX_FILE_BYTES {
        true => assert!(matches!(result, Err(FetchFailure::DiskFull { .. })), "{result:?}"),
        false => assert_eq!(result, Err(FetchFailure::Link)),
    }
    assert_eq!(scene.names(), BTreeSet::new());
}

#[test]
fn only_regular_files_are_offered() {
    let top = tempfile::tempdir().unwrap();
    let fifo = top.path().join("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0).unwrap();
    for path in [fifo, top.path().to_owned(), top.path().join("missing"), "/dev/zero".into()] {
        let why = read(&path, || true).unwrap_err();
        assert_eq!(why.code(), FailureCode::File, "{path:?}");
    }
    let huge = top.path().join("huge");
    fs::File::create(&huge).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
    assert_eq!(read(&huge, || true).unwrap_err().code(), FailureCode::FileTooLarge);
}

#[test]
fn folder_that_can_not_be_written_is_an_error() {
    let scene = Scene::new(10);
    let at = |path: PathBuf| move |file: &mut FetchFile| file.path = Some(path);
    let beside = scene.source_path().join("x");
    assert!(matches!(scene.fetch(at(beside)), Err(FetchFailure::File { .. })));
    fs::set_permissions(scene.downloads(), fs::Permissions::from_mode(0o500)).unwrap();
    if !rustix::process::geteuid().is_root() {
        assert!(matches!(scene.fetch(|_| {}), Err(FetchFailure::File { .. })));
    }
}

#[test]
fn part_alone_is_deleted() {
    let scene = Scene::new(10);
    let (part, link) = (scene.downloads().join("a.part"), scene.downloads().join("b.part"));
    fs::write(&part, "").unwrap();
    symlink(scene.source_path(), &link).unwrap();
    for path in [&part, &link, &scene.source_path(), &scene.downloads()] {
        delete_part(path);
    }
    assert_eq!(scene.names(), BTreeSet::from(["b.part".into()]));
    assert!(scene.source_path().exists());
}
