//! The file of a classroom's clients: a line `ID ADDRESS PORT` for each, sorted by name.
//!
//! It is written for people, and for a restart, after which the server knocks at each address. It
//! decides nothing else. A line that can't be read is skipped.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use letschat_flags::files;
use letschat_protocol::username::Username;

/// The most clients of a classroom. Their introductions fit a connection's outbox beside a page of
/// mail.
pub const MAX_CLIENTS: usize = 256;

/// The most bytes that are read: more than [`MAX_CLIENTS`] lines of the longest names and addresses.
pub const MAX_FILE_BYTES: usize = 64 * 1024;

/// A client and the address on which it receives peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientEntry {
    /// The client's name.
    pub username: Username,
    /// The address of its receiver.
    pub receiver: SocketAddr,
}

/// The content of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The clients, in the order of their lines. No name is there twice.
    pub entries: Vec<ClientEntry>,
    /// The lines that are no entries.
    pub skipped: Option<Skipped>,
}

/// Lines that were skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// The number of lines. The part of a file beyond [`MAX_FILE_BYTES`] counts as one.
    pub lines: usize,
    /// The number of the first such line, from 1.
    pub first: usize,
}

impl Skipped {
    fn count(skipped: &mut Option<Skipped>, number: usize) {
        skipped.get_or_insert(Skipped { lines: 0, first: number }).lines += 1;
    }
}

/// Parses a file. Skips each line that is no `ID ADDRESS PORT`, that repeats a name, or that comes
/// after so many entries, at most [`MAX_CLIENTS`]. Empty lines are ignored.
pub fn parse(content: &[u8], most: usize) -> Parsed {
    let (whole, rest) = whole_lines(content);
    let mut parsed = Parsed::default();
    let mut last = 0;
    for (line, number) in whole.split(|byte| *byte == b'\n').zip(1..) {
        last = number;
        if line.is_empty() {
            continue;
        }
        let is_known = |entry: &ClientEntry| {
            parsed.entries.iter().any(|known| known.username == entry.username)
        };
        match parse_line(line).filter(|entry| !is_known(entry)) {
            Some(entry) if parsed.entries.len() < most.min(MAX_CLIENTS) => {
                parsed.entries.push(entry);
            }
            _ => Skipped::count(&mut parsed.skipped, number),
        }
    }
    if !rest.is_empty() {
        Skipped::count(&mut parsed.skipped, last.max(1));
    }
    parsed
}

/// Splits a file of more than [`MAX_FILE_BYTES`] after the last line that ends before.
fn whole_lines(content: &[u8]) -> (&[u8], &[u8]) {
    let Some(head) = content.get(..MAX_FILE_BYTES).filter(|head| head.len() < content.len()) else {
        return (content, &[]);
    };
    let end = head.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    content.split_at(end)
}

fn parse_line(line: &[u8]) -> Option<ClientEntry> {
    let line = str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    let (username, address, port) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || line.contains(char::is_control) {
        return None;
    }
    let address = address.parse::<IpAddr>().ok().filter(|address| is_one_host(*address))?;
    let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
    let receiver = SocketAddr::new(address.to_canonical(), port);
    Some(ClientEntry { username: username.parse().ok()?, receiver })
}

fn is_one_host(address: IpAddr) -> bool {
    let address = address.to_canonical();
    !address.is_unspecified()
        && !address.is_multicast()
        && address != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Returns the content of a file with these entries.
pub fn render(entries: &[ClientEntry]) -> String {
    let line = |ClientEntry { username, receiver }: &ClientEntry| {
        format!("{username} {} {}\n", receiver.ip(), receiver.port())
    };
    entries.iter().map(line).collect()
}

/// Reads a file as [`parse`] does. A missing one is empty.
///
/// # Errors
///
/// Fails if it is no regular file or can't be read.
pub fn read(path: &Path, most: usize) -> io::Result<Parsed> {
    match files::open_existing(path)? {
        Some(file) => Ok(parse(&beginning(file)?, most)),
        None => Ok(Parsed::default()),
    }
}

/// Reads a byte more than is parsed, so that [`parse`] notices a file that is too large.
fn beginning(file: File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

/// Writes a file, atomically even at a power failure.
///
/// # Errors
///
/// Fails if the path names something other than a regular file, or if the file or the temporary one
/// beside it can't be written.
pub fn write(path: &Path, entries: &[ClientEntry]) -> io::Result<()> {
    files::refuse_irregular(path)?;
    files::write_private(path, render(entries).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(name: &str, receiver: &str) -> ClientEntry {
        ClientEntry { username: name.parse().unwrap(), receiver: receiver.parse().unwrap() }
    }

    fn skipped(content: &[u8]) -> Option<(usize, usize)> {
        parse(content, MAX_CLIENTS).skipped.map(|skipped| (skipped.lines, skipped.first))
    }

    #[test]
    fn each_line_is_a_client_with_its_address() {
        let parsed =
            parse(b"1 127.0.0.1 9001\n\nbob ::1 9002\nCarl ::ffff:10.0.0.3 9003", MAX_CLIENTS);
        let entries = [
            entry("1", "127.0.0.1:9001"),
            entry("bob", "[::1]:9002"),
            entry("carl", "10.0.0.3:9003"),
        ];
        assert_eq!((parsed.entries.as_slice(), parsed.skipped), (&entries[..], None));
        assert_eq!(render(&entries), "1 127.0.0.1 9001\nbob ::1 9002\ncarl 10.0.0.3 9003\n");
    }

    #[test]
    fn broken_line_is_skipped_and_counted() {
        let endless = [b"bob ", &[b'1'; 5_000][..], b" 9001"].concat();
        for line in [
            &b"bob"[..],
            b"bob 127.0.0.1",
            b"bob 127.0.0.1 9001 x",
            b"b!b 127.0.0.1 9001",
            b"10.0.0.1 127.0.0.1 9001",
            b"bob localhost 9001",
            b"bob 127.0.0.1:9001 9001",
            b"bob 0.0.0.0 9001",
            b"bob ff02::1 9001",
            b"bob 255.255.255.255 9001",
            b"bob 127.0.0.1 0",
            b"bob 127.0.0.1 65536",
            b"bob 127.0.0.1 9001\r",
            b"bob\t127.0.0.1 9001",
            b"b\xffb 127.0.0.1 9001",
            b" ",
            &endless,
        ] {
            let content = [b"1 127.0.0.1 9001\n", line, b"\n", line].concat();
            assert_eq!(skipped(&content), Some((2, 2)), "{:?}", String::from_utf8_lossy(line));
            assert_eq!(parse(&content, MAX_CLIENTS).entries, [entry("1", "127.0.0.1:9001")]);
        }
    }

    #[test]
    fn first_line_of_a_name_counts() {
        let parsed = parse(b"bob 127.0.0.1 9001\nBOB 127.0.0.1 9002\n", MAX_CLIENTS);
        assert_eq!(parsed.entries, [entry("bob", "127.0.0.1:9001")]);
        assert_eq!(parsed.skipped, Some(Skipped { lines: 1, first: 2 }));
    }

    #[test]
    fn too_many_lines_are_skipped() {
        let line = |n: usize| format!("c{n} 127.0.0.1 {}\n", 9_000 + n);
        let content: String = (1..=MAX_CLIENTS + 3).map(line).collect();
        assert_eq!(parse(content.as_bytes(), MAX_CLIENTS).entries.len(), MAX_CLIENTS);
        assert_eq!(skipped(content.as_bytes()), Some((3, MAX_CLIENTS + 1)));
        let parsed = parse(content.as_bytes(), 2);
        assert_eq!((parsed.entries.len(), parsed.skipped.unwrap().first), (2, 3));
    }

    #[test]
    fn huge_file_is_read_to_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients.txt");
        let content = [&b"1 127.0.0.1 9001\n"[..], &vec![b'x'; 10 * MAX_FILE_BYTES]].concat();
        std::fs::write(&path, content).unwrap();
        let parsed = read(&path, MAX_CLIENTS).unwrap();
        assert_eq!(parsed.entries, [entry("1", "127.0.0.1:9001")]);
        assert_eq!(parsed.skipped.map(|skipped| skipped.lines), Some(1));
        assert_eq!(skipped(&vec![b'x'; 2 * MAX_FILE_BYTES]), Some((1, 1)));
    }

    #[test]
    fn written_file_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients.txt");
        assert_eq!(read(&path, MAX_CLIENTS).unwrap(), Parsed::default());
        let entries = [entry("1", "127.0.0.1:9001"), entry("2", "[::1]:9002")];
        for entries in [&entries[..1], &entries] {
            write(&path, entries).unwrap();
            assert_eq!(read(&path, MAX_CLIENTS).unwrap().entries, entries);
        }
        assert!(
            read(folder.path(), MAX_CLIENTS).is_err() && write(folder.path(), &entries).is_err()
        );
    }

    proptest! {
        #[test]
        fn no_content_is_too_much(content in proptest::collection::vec(any::<u8>(), 0..4_096)) {
            let parsed = parse(&content, MAX_CLIENTS);
            prop_assert_eq!(parse(render(&parsed.entries).as_bytes(), MAX_CLIENTS).entries, parsed.entries);
        }

        #[test]
        fn damaged_file_is_read_as_far_as_it_is_whole(
            names in proptest::collection::btree_set("[a-z]{1,8}", 1..20),
            at in any::<proptest::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let entries: Vec<_> = names.iter().map(|name| entry(name, "127.0.0.1:9001")).collect();
            let mut content = render(&entries).into_bytes();
            let at = at.index(content.len());
            content[at] = byte;
            let parsed = parse(&content, MAX_CLIENTS);
            // The damage is to one line, or joins two.
            prop_assert!(parsed.entries.len() + 3 > entries.len());
        }
    }
}
