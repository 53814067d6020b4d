//! Offers of files, the lines of a link that carries one, and the lists of hashes.

use letschat_protocol::body::{Body, Content, DeviceListRef, Place};
use letschat_protocol::files::name::{FileName, MAX_NAME_BYTES, MAX_OFFERED_NAME_BYTES};
use letschat_protocol::files::{
    CHUNK_BYTES, FileHash, FileInfo, FileReply, FileRequest, HASH_BYTES, HASHES_ON_PAGE, HashList,
    MAX_FILE_BYTES, MAX_FILE_LINE_BYTES,
};
use letschat_protocol::identity::{Fingerprint, Identity};
use letschat_protocol::prekey::Suite;
use letschat_protocol::printable::is_printable;
use letschat_protocol::signing::Statement;
use letschat_protocol::username::Username;

use crate::choices::Choices;

/// The kind of an offer's content.
const FILE: u8 = 6;
/// The longest name of most file systems, in bytes.
const MAX_ENTRY_BYTES: usize = 255;

/// Checks that the content of an offer is a name and a file within their limits or refused, and that any name is
/// reduced to a safe one.
pub fn file_offer(bytes: &[u8]) {
    let author = Author::new();
    author.offers(bytes);
    check_name(&String::from_utf8_lossy(bytes));

    let mut choices = Choices::new(bytes);
    let (name, size) = (choices.text(MAX_OFFERED_NAME_BYTES + 8), choices.number());
    let mut content = Vec::new();
    for field in [name.as_bytes(), &size.to_be_bytes(), &[7; 32]] {
        write_field(&mut content, field);
    }
    let is_within_limits = name.len() <= MAX_OFFERED_NAME_BYTES && size <= MAX_FILE_BYTES;
    let expected = FileInfo::new(size, FileHash([7; 32])).filter(|_| is_within_limits);
    assert_eq!(author.offers(&content), expected.map(|file| (name, file)));
    let place = choices.below(content.len());
    content[place] ^= choices.below(256) as u8;
    author.offers(&content);
}

/// An author who signs any bytes as an offer.
struct Author {
    server: Fingerprint,
    identity: Identity,
}

impl Author {
    fn new() -> Author {
        let server = Fingerprint::of_spki(b"server");
        Author { server, identity: Identity::from_seed(&[1; 32]) }
    }

    /// Offers a file by a body with this content. Returns the name and the file that a recipient reads.
    fn offers(&self, content: &[u8]) -> Option<(String, FileInfo)> {
        let signed = self.sign(content);
        let body = Body::verify(&signed, &self.server).ok()?;
        let again = body.sign(&self.identity, &self.server);
        assert!(again.starts_with(&signed), "an offer has one form");
        let Content::File(name, file) = body.content else {
            panic!("{:?} is no offer", body.content);
        };
        assert!(name.len() <= MAX_OFFERED_NAME_BYTES && file.size() <= MAX_FILE_BYTES);
        check_name(&name);
        Some((name, file))
    }

    /// Returns a signed body, without its padding, whose content is of an offer's kind and has these bytes.
    fn sign(&self, content: &[u8]) -> Vec<u8> {
        let body = self.body().sign(&self.identity, &self.server);
        let (length, rest) = body.split_at(4);
        let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
        // The last field is the content. Here it is empty, and its length is all of it.
        let mut fields = rest[..length - 4].to_vec();
        write_field(&mut fields, content);
        let statement = BodyStatement { server: &self.server, fields: &fields };
        let signature = self.identity.sign(&statement).to_string();
        let mut signed = Vec::new();
        write_field(&mut signed, &fields);
        signed.extend(from_hex(&signature));
        signed
    }

    fn body(&self) -> Body {
        let person = |name: &str| -> Username { name.parse().expect("a username") };
        Body {
            suite: Suite::X25519,
            sender: person("alice"),
            device: self.identity.public_key(),
            list: DeviceListRef::default(),
            recipients: vec![person("bob")],
            conversation: "bob".into(),
            place: Place::Sequence(1),
            time_ms: 1,
            content: Content::Unknown(FILE),
        }
    }
}

/// The statement by which a device signs a body, whatever the fields are. The library signs only bodies that are sound.
struct BodyStatement<'a> {
    server: &'a Fingerprint,
    fields: &'a [u8],
}

impl Statement for BodyStatement<'_> {
    const PURPOSE: &'static str = "body";

    fn server(&self) -> &Fingerprint {
        self.server
    }

    fn write_fields(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.fields);
    }
}

fn write_field(bytes: &mut Vec<u8>, field: &[u8]) {
    bytes.extend_from_slice(&(field.len() as u32).to_be_bytes());
    bytes.extend_from_slice(field);
}

fn from_hex(digits: &str) -> impl Iterator<Item = u8> {
    let byte = move |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("two digits");
    (0..digits.len()).step_by(2).map(byte)
}

/// Checks that an offered name is reduced to one that is safe to create and to show.
fn check_name(offered: &str) {
    let name = FileName::reduced(offered);
    let text = name.as_str();
    assert!(!text.is_empty() && text.len() <= MAX_NAME_BYTES, "{text:?}");
    assert!(!text.starts_with(['.', '-']), "{text:?}");
    let part = format!("{}.part", name.numbered(u32::MAX));
    assert!(part.len() <= MAX_ENTRY_BYTES, "{part:?}");
    for text in [text, &part] {
        assert!(is_printable(text) && !text.contains(['/', '\\', '\0']), "{text:?}");
    }
    assert_eq!(FileName::reduced(text), name, "of {offered:?}");
}

/// Checks that a line of a link is written as it was parsed or refused, and that chunks and pages cover a file.
pub fn file_lines(bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        check_line(line);
    }
    let mut choices = Choices::new(bytes);
    check_line(some_line(&mut choices).as_bytes());
    let number = choices.number();
    for request in [FileRequest::Hashes(number), FileRequest::Chunk(number), FileRequest::Done] {
        assert_eq!(FileRequest::parse(request.to_string().as_bytes()), Ok(request));
    }
    let length = choices.number() as usize;
    for reply in [FileReply::Hashes(number, length), FileReply::Chunk(number, length)] {
        assert_eq!(FileReply::parse(reply.to_string().as_bytes()), Ok(reply));
    }
    let size = choices.number();
    assert_eq!(FileInfo::new(size, FileHash([7; 32])).is_some(), size <= MAX_FILE_BYTES);
    let file = FileInfo::new(size % (MAX_FILE_BYTES + 1), FileHash([7; 32]));
    check_parts(&file.expect("a size within the limit"), number);
}

fn check_line(line: &[u8]) {
    let request = FileRequest::parse(line).map(|request| request.to_string());
    let reply = FileReply::parse(line).map(|reply| reply.to_string());
    for written in [request, reply].into_iter().flatten() {
        assert_eq!(written.as_bytes(), line, "it was parsed from another line");
        assert!(line.len() < MAX_FILE_LINE_BYTES, "{written:?}");
    }
}

/// Returns a line of words that occur in lines.
fn some_line(choices: &mut Choices<'_>) -> String {
    const WORDS: [&str; 16] = [
        "HASHES", "CHUNK", "DONE", "READY", "REFUSE", "CHANGED", "busy", "unknown", "over", "",
        "0", "01", "+", "+0", "-1", "+01",
    ];
    let word = |choices: &mut Choices<'_>| match choices.below(3) {
        0 => choices.number().to_string(),
        1 => format!("+{}", choices.number()),
        _ => WORDS[choices.below(WORDS.len())].to_owned(),
    };
    let words: Vec<String> = (0..=choices.below(4)).map(|_| word(choices)).collect();
    words.join(" ")
}

/// Checks the sizes of the chunks and pages at the end of a file, and of those with this number.
fn check_parts(file: &FileInfo, number: u64) {
    let (chunks, pages) = (file.chunks(), file.pages());
    for chunk in [number, chunks.saturating_sub(2), chunks.saturating_sub(1), chunks, chunks + 1] {
        let whole = (chunks, CHUNK_BYTES, file.size());
        check_part(chunk, file.chunk_bytes(chunk), whole);
    }
    for page in [number, pages.saturating_sub(2), pages.saturating_sub(1), pages, pages + 1] {
        let whole = (pages, HASHES_ON_PAGE * HASH_BYTES, chunks * HASH_BYTES);
        check_part(page, file.page_bytes(page), whole);
    }
}

/// Checks the size of a part of a whole: so many parts of at most so many bytes, which are `total` bytes together.
fn check_part(part: u64, bytes: usize, (parts, most, total): (u64, u64, u64)) {
    // Numbers of twice the bits can't overflow.
    let start = u128::from(part) * u128::from(most);
    let expected = u128::from(total).saturating_sub(start).min(u128::from(most));
    assert_eq!(bytes as u128, expected, "part {part} of {total} bytes");
    assert_eq!(bytes > 0, part < parts, "part {part} of {parts}");
}

/// Checks that a list of hashes is that of its file or refused, and that any page and any hash of it can be asked for.
pub fn file_hashes(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let list = some_list(&mut choices, bytes);
    let fitting = (list.len() as u64 / HASH_BYTES) * CHUNK_BYTES;
    let size = match choices.flip() {
        true => choices.number(),
        false => fitting.saturating_sub(choices.below(CHUNK_BYTES as usize) as u64),
    };
    let own_root = FileHash::of(&list);
    let root = if choices.flip() { FileHash([7; 32]) } else { own_root };
    let Some(file) = FileInfo::new(size, root) else { return };
    let is_its_own = root == own_root && list.len() as u64 == file.chunks() * HASH_BYTES;
    let checked = HashList::checked(list.clone(), &file);
    assert_eq!(checked.is_some(), is_its_own, "{} bytes of a list of {file:?}", list.len());
    if let Some(hashes) = checked {
        check_list(&hashes, &list, &file, choices.number());
        check_altered(list, &file, &mut choices);
    }
}

/// Returns the bytes of a list that need not be whole hashes. Some lists have several pages.
fn some_list(choices: &mut Choices<'_>, bytes: &[u8]) -> Vec<u8> {
    let whole = bytes.len() - bytes.len() % HASH_BYTES as usize;
    let length = if choices.below(4) == 3 { bytes.len() } else { whole };
    let times = if choices.below(8) == 7 { 1 + choices.below(100) } else { 1 };
    bytes[..length].repeat(times)
}

/// Checks an accepted list: its bytes, its pages, and the hash and the page of this number.
fn check_list(hashes: &HashList, list: &[u8], file: &FileInfo, number: u64) {
    assert_eq!((hashes.as_bytes(), hashes.root()), (list, file.root()));
    let pages = (0..file.pages()).flat_map(|page| hashes.page(page).unwrap_or_default());
    assert!(pages.eq(list), "the pages are not the list");
    for page in [number, 0, file.pages()] {
        let length = hashes.page(page).map_or(0, <[u8]>::len);
        assert_eq!(length, file.page_bytes(page), "page {page}");
    }

    let mut added = HashList::default();
    list.chunks(HASH_BYTES as usize).for_each(|hash| added.add(to_hash(hash)));
    assert_eq!(added, *hashes);
    for chunk in [number, 0, file.chunks()] {
        let place = usize::try_from(chunk).expect("64 bits");
        let expected = list.chunks(HASH_BYTES as usize).nth(place).map(to_hash);
        assert_eq!(hashes.hash(chunk), expected, "chunk {chunk}");
    }
}

fn to_hash(bytes: &[u8]) -> FileHash {
    FileHash(bytes.try_into().expect("32 bytes"))
}

/// Checks that a list with another bit, or without its last hash, is refused.
fn check_altered(mut list: Vec<u8>, file: &FileInfo, choices: &mut Choices<'_>) {
    if list.is_empty() {
        return;
    }
    let shorter = list[..list.len() - HASH_BYTES as usize].to_vec();
    assert_eq!(HashList::checked(shorter, file), None);
    let place = choices.below(list.len());
    list[place] ^= 1 << choices.below(8);
    assert_eq!(HashList::checked(list, file), None);
}
