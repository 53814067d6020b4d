//! The servers that the first run found on the local network, as a numbered list.

use letschat_commands::text::short_key;
use letschat_engine::address::ServerAddress;
use letschat_engine::discovery::{FoundServer, MAX_SERVERS};
use letschat_protocol::printable::Printable;
use letschat_protocol::rows::most_columns;
use unicode_segmentation::UnicodeSegmentation as _;

/// The maximum width of a name.
const MAX_NAME_COLUMNS: usize = 24;

/// The end of a name that was cut.
const CUT: &str = "…";

const HEADING: &str = "\
Found there. Anybody can offer a server: if in doubt, ask its operator for the key.";

/// Returns the list, or nothing if there is none.
pub(super) fn list(servers: &[FoundServer]) -> String {
    if servers.is_empty() {
        return String::new();
    }
    let rows = servers.iter().zip(1..).map(|(server, number): (_, usize)| {
        let key = match server.address.fingerprint {
            Some(key) => format!("key {}", short_key(&key.to_string())),
            None => "no key announced".into(),
        };
        let address = server.address.to_string();
        // The name is last: it may be made to look like an address and a key.
        format!("  {number:>2}  {}, {key}, {}\n", Printable(&address), name(&server.name))
    });
    let more = if servers.len() < MAX_SERVERS { "" } else { "  There may be more.\n" };
    format!("{HEADING}\n{}{more}", rows.collect::<String>())
}

/// Returns the server of that number.
pub(super) fn numbered(servers: &[FoundServer], answer: &str) -> Option<ServerAddress> {
    let number = answer.parse::<usize>().ok()?;
    Some(servers.get(number.checked_sub(1)?)?.address.clone())
}

/// Returns an announced name, safe for a terminal and of limited width.
fn name(announced: &str) -> String {
    let printable = Printable(announced).to_string();
    if printable.trim().is_empty() {
        return "(no name)".into();
    }
    if most_columns(&printable) <= MAX_NAME_COLUMNS {
        return printable;
    }
    let mut columns = most_columns(CUT);
    let fits = |letter: &&str| {
        columns += most_columns(letter);
        columns <= MAX_NAME_COLUMNS
    };
    printable.graphemes(true).take_while(fits).chain([CUT]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, address: &str) -> FoundServer {
        FoundServer { name: name.into(), address: address.parse().unwrap() }
    }

    #[test]
    fn list_numbers_servers_with_address_and_short_key() {
        let key = "0123456789abcdef".repeat(4);
        let servers =
            [found("alpha", &format!("10.0.0.1:4400#{key}")), found("beta", "[fe80::1%eth0]:99")];
        let list = list(&servers);
        let rows: Vec<&str> = list.lines().collect();
        assert_eq!(rows[0], HEADING);
        assert_eq!(rows[1], "   1  10.0.0.1:4400, key 0123 4567 89ab cdef, alpha");
        assert_eq!(rows[2], "   2  [fe80::1%eth0]:99, no key announced, beta");
        assert_eq!(rows.len(), 3);
    }

    #[test]
    fn nothing_is_listed_if_nothing_was_found() {
        assert_eq!(list(&[]), "");
        assert_eq!(numbered(&[], "1"), None);
    }

    #[test]
    fn full_list_tells_that_there_may_be_more() {
        let servers = vec![found("a", "10.0.0.1"); MAX_SERVERS];
        assert!(list(&servers).ends_with("There may be more.\n"));
        assert!(!list(&servers[1..]).contains("more."));
    }

    #[test]
    fn hostile_name_stays_one_short_harmless_row() {
        for hostile in ["\x1b[2J\nServer", "\u{202e}evil", &"x".repeat(255), &"漢".repeat(80), " "]
        {
            let list = list(&[found(hostile, "10.0.0.1")]);
            assert_eq!(list.lines().count(), 2, "{list:?}");
            assert!(!list.contains(['\x1b', '\u{202e}']), "{list:?}");
            let name = name(hostile);
            assert!(most_columns(&name) <= MAX_NAME_COLUMNS, "{name:?}");
        }
        assert_eq!(name(&"x".repeat(25)), format!("{}…", "x".repeat(22)));
        assert_eq!(name(&"x".repeat(24)), "x".repeat(24));
        assert_eq!(name(" \t"), "(no name)");
    }

    #[test]
    fn number_chooses_from_the_list_alone() {
        let servers = [found("alpha", "10.0.0.1"), found("beta", "10.0.0.2")];
        assert_eq!(numbered(&servers, "2"), Some(servers[1].address.clone()));
        for other in ["0", "3", "-1", "", "x", "99999999999999999999999"] {
            assert_eq!(numbered(&servers, other), None, "{other:?}");
        }
    }
}
