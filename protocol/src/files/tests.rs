use super::*;
use proptest::prelude::*;

fn info(size: u64) -> FileInfo {
    FileInfo::new(size, FileHash::of(b"")).unwrap()
}

#[test]
fn chunks_and_pages_cover_a_file() {
    for (size, chunks, pages) in [
        (0, 0, 0),
        (1, 1, 1),
        (CHUNK_BYTES, 1, 1),
        (CHUNK_BYTES + 1, 2, 1),
        (CHUNK_BYTES * HASHES_ON_PAGE, HASHES_ON_PAGE, 1),
        (CHUNK_BYTES * HASHES_ON_PAGE + 1, HASHES_ON_PAGE + 1, 2),
        (MAX_FILE_BYTES, 65_536, 32),
    ] {
        let file = info(size);
        assert_eq!((file.chunks(), file.pages()), (chunks, pages), "{size}");
        let bytes: u64 = (0..chunks).map(|chunk| file.chunk_bytes(chunk) as u64).sum();
        assert_eq!((bytes, file.chunk_bytes(chunks)), (size, 0), "{size}");
        let hashes: u64 = (0..pages).map(|page| file.page_bytes(page) as u64).sum();
        assert_eq!((hashes, file.page_bytes(pages)), (chunks * 32, 0), "{size}");
    }
    assert_eq!(info(1).chunk_bytes(u64::MAX), 0);
    assert_eq!(info(1).page_bytes(u64::MAX), 0);
    assert_eq!(FileInfo::new(MAX_FILE_BYTES + 1, FileHash::of(b"")), None);
}

#[test]
fn list_of_another_file_is_refused() {
    let mut list = HashList::default();
    for chunk in 0..3_u8 {
        list.add(FileHash::of(&[chunk]));
    }
    let file = FileInfo::new(2 * CHUNK_BYTES + 1, list.root()).unwrap();
    let bytes = list.as_bytes().to_vec();
    assert_eq!(HashList::checked(bytes.clone(), &file), Some(list.clone()));
    assert_eq!(list.hash(2), Some(FileHash::of(&[2])));
    assert_eq!((list.hash(3), list.hash(u64::MAX)), (None, None));
    assert_eq!((list.page(0), list.page(1)), (Some(&bytes[..]), None));
    let mut altered = bytes.clone();
    altered[40] ^= 1;
    assert_eq!(HashList::checked(altered, &file), None);
    assert_eq!(HashList::checked(bytes[..64].to_vec(), &file), None);
    // The root alone does not say how long the file is.
    let longer = FileInfo::new(3 * CHUNK_BYTES + 1, list.root()).unwrap();
    assert_eq!(HashList::checked(bytes, &longer), None);
}

#[test]
fn every_line_survives_the_wire() {
    for request in [FileRequest::Hashes(0), FileRequest::Chunk(u64::MAX), FileRequest::Done] {
        let line = request.to_string();
        assert!(line.len() < MAX_FILE_LINE_BYTES);
        assert_eq!(FileRequest::parse(line.as_bytes()), Ok(request));
    }
    let mut replies = vec![
        FileReply::Ready,
        FileReply::Hashes(31, 65_536),
        FileReply::Chunk(65_535, CHUNK_BYTES as usize),
        FileReply::Changed,
    ];
    replies.extend(Refusal::ALL.iter().map(|why| FileReply::Refuse(*why)));
    for reply in replies {
        let line = reply.to_string();
        assert!(line.len() < MAX_FILE_LINE_BYTES);
        assert_eq!(FileReply::parse(line.as_bytes()), Ok(reply));
    }
}

#[test]
fn other_lines_are_refused() {
    for line in [
        "",
        "CHUNK",
        "CHUNK ",
        "CHUNK  1",
        "CHUNK +1",
        "CHUNK 01",
        "CHUNK -1",
        "CHUNK 1 2",
        "DONE ",
        "chunk 1",
        "HASHES x",
        "CHUNK 99999999999999999999",
    ] {
        assert_eq!(FileRequest::parse(line.as_bytes()), Err(NotAFileLine), "{line}");
    }
    for line in ["CHUNK 1 2", "CHUNK 1 +", "CHUNK 1 ++2", "REFUSE", "REFUSE x", "HASHES 1"] {
        assert_eq!(FileReply::parse(line.as_bytes()), Err(NotAFileLine), "{line}");
    }
    assert_eq!(FileRequest::parse(b"CHUNK \xff"), Err(NotAFileLine));
}

proptest! {
    #[test]
    fn a_parsed_line_is_written_alike(line in "[A-Z]{0,7} ?[0-9]{0,22} ?[+]?[0-9]{0,9}") {
        if let Ok(request) = FileRequest::parse(line.as_bytes()) {
            prop_assert_eq!(request.to_string(), line.clone());
        }
        if let Ok(reply) = FileReply::parse(line.as_bytes()) {
            prop_assert_eq!(reply.to_string(), line);
        }
    }
}
