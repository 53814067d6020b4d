//! Transfers that break and go on.

use async_net::TcpStream;

use super::*;

/// Lets the link break after two chunks. Returns the news of the part.
fn broken(scene: &Scene) -> (PathBuf, PartId) {
    let mut answers = scene.answers();
    for chunk in 0..2 {
        answers.extend(format!("CHUNK {chunk} +{CHUNK}\n").as_bytes());
        answers.extend(&content(2 * CHUNK)[chunk * CHUNK..][..CHUNK]);
        answers.push(b'\n');
    }
    // And a part of the third.
    answers.extend(format!("CHUNK 2 +{CHUNK}\nabc").as_bytes());
    let sender = async |stream: PeerStream| {
        let mut stream = after_get(stream).await;
        stream.write_all(&answers).await.unwrap();
        stream.close().await.unwrap();
        // Unread requests would cut off what is on its way.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    assert_eq!(scene.fetch_from(sender, |_| {}), Err(FetchFailure::Link));
    let told = scene.told.borrow();
    let Some(FetchNews::Left(id, bytes)) = told.last() else { panic!("{told:?}") };
    assert_eq!(*bytes, 2 * CHUNK_BYTES);
    let Some(FetchNews::Begun(part, 0)) = told.first() else { panic!("{told:?}") };
    assert_eq!(fs::metadata(part).unwrap().len(), 2 * CHUNK_BYTES);
    (part.clone(), *id)
}

/// Returns the verified bytes with which the last attempt began.
fn begun(scene: &Scene) -> u64 {
    let told = scene.told.borrow();
    let begun = |news: &FetchNews| match news {
        FetchNews::Begun(_, bytes) => Some(*bytes),
        _ => None,
    };
    told.iter().rev().find_map(begun).unwrap()
}

#[test]
fn transfer_goes_on_where_the_link_broke() {
    for is_same_run in [true, false] {
        let scene = Scene::new(4 * CHUNK);
        let (part, id) = broken(&scene);
        let resume = |file: &mut FetchFile| {
            file.part = Some(part);
            file.verified = is_same_run.then_some((id, 2 * CHUNK_BYTES));
        };
        let path = scene.fetch(resume).unwrap();
        assert_eq!(begun(&scene), 2 * CHUNK_BYTES);
        assert!(fs::read(path).unwrap() == content(4 * CHUNK));
        assert_eq!(scene.names(), BTreeSet::from(["photo.jpg".into()]));
    }
}

#[test]
fn part_that_was_changed_is_verified_again() {
    let scene = Scene::new(4 * CHUNK);
    let (part, _) = broken(&scene);
    let mut bytes = fs::read(&part).unwrap();
    bytes[CHUNK + 3] ^= 1;
    fs::write(&part, bytes).unwrap();
    let path = scene.fetch(|file| file.part = Some(part)).unwrap();
    assert_eq!(begun(&scene), CHUNK_BYTES);
    assert!(fs::read(path).unwrap() == content(4 * CHUNK));
}

#[test]
fn part_that_is_not_ours_is_left_alone() {
    let scene = Scene::new(4 * CHUNK);
    let (part, id) = broken(&scene);
    let precious = scene.top.path().join("precious");
    for kind in ["symbolic link", "hard link", "another file", "folder"] {
        fs::write(&precious, "precious").unwrap();
        fs::remove_file(&part).or_else(|_| fs::remove_dir(&part)).unwrap();
        match kind {
            "symbolic link" => symlink(&precious, &part).unwrap(),
            "hard link" => fs::hard_link(&precious, &part).unwrap(),
            "folder" => fs::create_dir(&part).unwrap(),
            _ => fs::write(&part, vec![7; 3 * CHUNK]).unwrap(),
        }
        let again = |file: &mut FetchFile| {
            file.part = Some(part.clone());
            file.verified = Some((id, 2 * CHUNK_BYTES));
        };
        let path = scene.fetch(again).unwrap();
        assert!(fs::read(&path).unwrap() == content(4 * CHUNK), "{kind}");
        assert!(!fs::symlink_metadata(&path).unwrap().is_symlink(), "{kind}");
        assert_eq!(fs::read(&precious).unwrap(), b"precious", "{kind}");
        fs::remove_file(path).unwrap();
        if kind == "another file" {
            // It became the part, and was written over from its start. Its place is free again.
            fs::write(&part, "").unwrap();
        }
    }
}

/// Copies bytes until either side ends, and alters the one at this place.
async fn copy_altered(mut from: TcpStream, mut to: TcpStream, altered: Option<usize>) {
    let (mut buffer, mut copied) = (vec![0; 16 * 1024], 0);
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if let Some(place) = altered.and_then(|place| place.checked_sub(copied))
            && place < count
        {
            buffer[place] ^= 1;
        }
        copied += count;
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

#[test]
fn altered_record_breaks_the_link_and_not_the_file() {
    let scene = Scene::new(2 * CHUNK);
    let result = block_on(async {
        let near = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let far = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let file = scene.wanted(near.local_addr().unwrap());
        let (from, folder) = (Target::at(file.to, file.key, tls(2)), scene.downloads());
        let attempt = Fetch { file, from, folder, patience: QUICK };
        let altering = async {
            let (receiver, _) = near.accept().await.unwrap();
            let sender = TcpStream::connect(far.local_addr().unwrap()).await.unwrap();
            let there = copy_altered(receiver.clone(), sender.clone(), None);
            zip(there, copy_altered(sender, receiver, Some(CHUNK + CHUNK / 2))).await;
            pending().await
        };
        let serving = async {
            let (stream, _) = far.accept().await.unwrap();
            let (stream, _) = secure_as_receiver(stream, &tls(1)).await.unwrap();
            scene.serve(stream).await;
            pending().await
        };
        let tell = async |news| scene.told.borrow_mut().push(news);
        fetch(attempt, tell).or(altering).or(serving).await
    });
    assert_eq!(result, Err(FetchFailure::Link));
    let told = scene.told.borrow();
    assert!(matches!(told.last(), Some(FetchNews::Left(_, CHUNK_BYTES))), "{told:?}");
}
