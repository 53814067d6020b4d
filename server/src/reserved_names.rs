//! Names that are refused at sign-up because they could mislead people.
//!
//! This is a rule of the sign-up, not of [`Username`]. An existing account with such a name still
//! logs in, and an operator may create one.

use std::net::Ipv6Addr;

use letschat_protocol::username::Username;

/// Names that people would take for the server, its operator, or everybody. Others are words that
/// the client prints in the place of a name: `Server: ...`, `letschat: ...`, `error: ...`,
/// `alice (you) to all: ...`, `You block nobody.`
const ROLES: &[&str] = &[
    "admin",
    "administrator",
    "all",
    "error",
    "everybody",
    "everyone",
    "letschat",
    "letschatserver",
    "localhost",
    "me",
    "nobody",
    "operator",
    "root",
    "server",
    "system",
    "you",
];

/// The reason why a name is refused at sign-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reserved {
    /// A name of the server or its operator, or a word that the client uses for a person.
    #[error(
        "that name is reserved: it could be mistaken for the server, its operator or everybody"
    )]
    Role,
    /// A name that looks like an IP address.
    #[error("that name is reserved: it could be mistaken for an address")]
    Address,
}

/// Refuses names that look like a role or like an address.
pub fn check(username: &Username) -> Result<(), Reserved> {
    let name = username.as_str();
    if ROLES.iter().any(|role| reads_as(name, role)) {
        return Err(Reserved::Role);
    }
    if looks_like_ipv4(name) || looks_like_ipv6(&in_digits(name)) {
        return Err(Reserved::Address);
    }
    Ok(())
}

/// Returns true if a name looks like a word: with punctuation in between, or with digits or pairs
/// of letters in place of similar letters.
fn reads_as(name: &str, word: &str) -> bool {
    let letters = name.replace(['.', '-', '_'], "");
    let letters = letters.replace("rn", "m").replace("vv", "w").replace("cl", "d");
    letters.len() == word.len()
        && letters.chars().zip(word.chars()).all(|(shown, meant)| stands_for(shown, meant))
}

/// Returns true if a shown character passes for another. Names are shown in lower case, where `l`
/// passes for `i` but hardly the reverse: `ali` is not `all`.
fn stands_for(shown: char, meant: char) -> bool {
    shown == meant
        || match shown {
            '0' => meant == 'o',
            '1' => matches!(meant, 'l' | 'i'),
            'l' => meant == 'i',
            '3' => meant == 'e',
            '4' => meant == 'a',
            '5' => meant == 's',
            '7' => meant == 't',
            '8' => meant == 'b',
            _ => false,
        }
}

/// Returns the name with letters that look like digits replaced: `l` and `i` by 1, `o` by 0.
fn in_digits(name: &str) -> String {
    let fold = |c| match c {
        'l' | 'i' => '1',
        'o' => '0',
        c => c,
    };
    name.chars().map(fold).collect()
}

/// Returns true if the name begins like an IPv4 address (`10.0.0.x`), is numbers separated by dots,
/// or is one number in C syntax. inet_aton(3) accepts all of these. A single number without C's
/// prefix may be an ordinary name (`lol`, `lo-lo`). It must therefore have a digit and be as large
/// as an address.
fn looks_like_ipv4(name: &str) -> bool {
    let digits = in_digits(name);
    let parts: Vec<&str> = digits.split(['.', '-', '_']).filter(|part| !part.is_empty()).collect();
    let numbers: Vec<u64> = parts.iter().map_while(|part| number(part)).collect();
    let all = numbers.len() == parts.len();
    if name.contains('.') {
        return numbers.len() >= 3 || all;
    }
    if all && parts.iter().any(|part| part.starts_with("0x")) {
        return true;
    }
    let is_address = match numbers[..] {
        // Smaller numbers are addresses of no host.
        [address] => all && (1 << 24..1 << 32).contains(&address),
        [_, _, _, _, ..] => numbers[..4].iter().all(|number| *number < 256),
        _ => false,
    };
    is_address && name.contains(|c: char| c.is_ascii_digit())
}

/// Parses a number in C syntax: hexadecimal after `0x`, octal after `0`.
fn number(part: &str) -> Option<u64> {
    let (digits, radix) = match part.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None if part.starts_with('0') && !part.contains(['8', '9']) => (part, 8),
        None => (part, 10),
    };
    let is_digit = |c: char| c.is_digit(radix);
    let is_number = !digits.is_empty() && digits.chars().all(is_digit);
    // A number that is too large still reads as a number.
    is_number.then(|| u64::from_str_radix(digits, radix).unwrap_or(u64::MAX))
}

/// Returns true for an IPv6 address with another sign for the colon, as in `fe80--1`.
fn looks_like_ipv6(name: &str) -> bool {
    ['-', '_', '.'].iter().any(|colon| name.replace(*colon, ":").parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(name: &str) -> Result<(), Reserved> {
        check(&name.parse().unwrap())
    }

    #[test]
    fn names_of_the_server_and_its_operator_are_reserved() {
        let names = ["server", "Operator", "ADMIN", "root", "everyone", "r00t", "adm1n", "ad-min"];
        for name in names.into_iter().chain(["server.", "0perator", "ro_ot", "letschat-server"]) {
            assert_eq!(checked(name), Err(Reserved::Role), "{name}");
        }
    }

    #[test]
    fn words_of_the_client_are_reserved() {
        for name in
            ["all", "you", "me", "nobody", "error", "letschat", "y0u", "a11", "al1", "a.l.l"]
        {
            assert_eq!(checked(name), Err(Reserved::Role), "{name}");
        }
    }

    #[test]
    fn look_alikes_of_roles_are_reserved() {
        for name in [
            "s3rver",
            "5erver",
            "53rv3r",
            "adrnin",
            "ad-rnin",
            "4dm1n",
            "admln",
            "aclmin",
            "sy5tem",
            "sys7em",
            "3veryone",
            "every80dy",
            "1ocalhost",
            "l0calh0st",
            "adminis7rator",
            "1etschat",
        ] {
            assert_eq!(checked(name), Err(Reserved::Role), "{name}");
        }
    }

    #[test]
    fn look_alikes_of_addresses_are_reserved() {
        for name in [
            "127.0.0.l",
            "127.0.0.I",
            "l27.0.0.1",
            "1O.0.0.1",
            "o.o.o.o",
            "0x7f.0.0.1",
            "0x7f.1",
            "0x7f000001",
            "Ox7f.o.o.l",
            "1.2.3.4-like",
            "1.2.3.4a",
            "10.0.0.x",
            "1.2.3.l.5",
            "127-0.0.l",
            "127.0.0.l.",
            "fe80--1",
            "fe80--l",
            "fe80..1",
            "2001-db8-0-0-0-0-0-1",
            "0--ffff-127.0.0.l",
            "2l30706433",
            "2I3o7o6433",
            "ol77ooooooo1",
            "l27-0-0-l",
            "l27_0_0_1",
            "l0-0-0-1-x",
            "192-l68-1-l",
        ] {
            assert_eq!(checked(name), Err(Reserved::Address), "{name}");
        }
    }

    #[test]
    fn ordinary_names_are_free() {
        for name in [
            "alice",
            "lol",
            "olli",
            "1o1",
            "bob2",
            "2pac",
            "rooter",
            "servers",
            "dead-beef",
            "a.b.c",
            "alice.1.2.3",
            "v1.2",
            "r2-d2",
            "lo-lo",
            "ill",
            "x0x",
            "a--z",
            "user1",
            "jo.smith",
            "m.1",
            "bob1",
            "anna",
            "lois",
            "1234x",
            "ali",
            "ail",
            "mel",
            "mee",
            "l",
            "4l",
            "i2",
            "1ool",
            "l001",
            "lolololol",
            "lo-lo-lo-lo",
            "l0-20-2026",
            "1l-9-2001-4",
            "serverus",
            "admin2",
            "younes",
            "allan",
            "norma",
            "clara",
            "arne",
            "5even",
        ] {
            assert_eq!(checked(name), Ok(()), "{name}");
        }
    }
}
