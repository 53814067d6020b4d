//! Names that nobody can sign up by, since people would take them for something else.
//!
//! This is a rule of the sign-up, not of [`Username`]: an account that has such a name already logs in
//! as before, and an operator may make one on purpose.

use std::net::Ipv6Addr;

use letschat_protocol::username::Username;

/// People would take these for the server, for its operator or for everybody.
const ROLES: &[&str] = &[
    "admin",
    "administrator",
    "everybody",
    "everyone",
    "localhost",
    "operator",
    "root",
    "server",
    "system",
];

/// Why nobody can sign up by a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reserved {
    /// Of the server or its operator.
    #[error("that name could be taken for the server, its operator or everybody")]
    Role,
    /// It looks like an IP address.
    #[error("that name could be taken for an address")]
    Address,
}

/// Refuses names that look like a role or like an address.
pub fn check(username: &Username) -> Result<(), Reserved> {
    let name = folded(username.as_str());
    let letters = |name: &str| name.replace(['.', '-', '_'], "");
    if ROLES.iter().any(|role| letters(&name) == folded(role)) {
        return Err(Reserved::Role);
    }
    if looks_like_ipv4(&name) || looks_like_ipv6(&name) {
        return Err(Reserved::Address);
    }
    Ok(())
}

/// The name as the eye reads it: `l` and `i` for 1, and `o` for 0.
fn folded(name: &str) -> String {
    let fold = |c| match c {
        'l' | 'i' => '1',
        'o' => '0',
        c => c,
    };
    name.chars().map(fold).collect()
}

/// Whether it begins like an IPv4 address (`10.0.0.x`), or is numbers with dots in between, or is a
/// number in the way of C: inet_aton(3) takes all of these.
fn looks_like_ipv4(name: &str) -> bool {
    let parts: Vec<&str> = name.split(['.', '-', '_']).filter(|part| !part.is_empty()).collect();
    let numbers = parts.iter().take_while(|part| is_number(part)).count();
    let all = numbers == parts.len();
    let has_dot = name.contains('.');
    (has_dot && (numbers >= 3 || all)) || (all && parts.iter().any(|part| part.starts_with("0x")))
}

fn is_number(part: &str) -> bool {
    match part.strip_prefix("0x") {
        Some(digits) => !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit()),
        None => part.chars().all(|c| c.is_ascii_digit()),
    }
}

/// Whether it is an IPv6 address with another sign for the colon, as in `fe80--1`.
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
        for name in names.into_iter().chain(["server.", "0perator", "ro_ot"]) {
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
        ] {
            assert_eq!(checked(name), Ok(()), "{name}");
        }
    }
}
