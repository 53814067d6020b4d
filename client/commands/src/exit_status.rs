//! What a failure means to the shell. One table; the first failure of a run decides.

/// All is well.
pub const SUCCESS: u8 = 0;
/// A command failed.
pub const FAILED: u8 = 1;
/// The command line makes no sense.
pub const USAGE: u8 = 2;
/// No server, or none with a place.
pub const NO_SERVER: u8 = 3;
/// The server, or the client on its user's behalf, refused.
pub const REFUSED: u8 = 4;

const TABLE: &[(&str, u8)] = &[
    ("no_server", NO_SERVER),
    ("busy", NO_SERVER),
    ("wrong_password", REFUSED),
    ("key_refused", REFUSED),
    ("banned", REFUSED),
    ("nobody", REFUSED),
    ("yourself", REFUSED),
    ("server_key_changed", REFUSED),
    ("server_key_unknown", REFUSED),
    ("logged_in_elsewhere", REFUSED),
    ("key_changed", REFUSED),
    ("no_key", REFUSED),
];

/// The exit status of a run whose first failure has this code.
pub fn of_failure(code: &str) -> u8 {
    TABLE.iter().find(|(known, _)| *known == code).map_or(FAILED, |(_, status)| *status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_protocol::code::Code;

    #[test]
    fn the_servers_codes_are_spelt_as_the_server_spells_them() {
        let servers = |name: &str| Code::ALL.iter().any(|code| code.name() == name);
        let own =
            ["no_server", "server_key_changed", "server_key_unknown", "key_changed", "no_key"];
        for (code, _) in TABLE {
            assert!(servers(code) || own.contains(code), "{code}");
        }
    }

    #[test]
    fn a_failure_that_is_nothing_special_is_a_failed_command() {
        assert_eq!(of_failure("no_server"), 3);
        assert_eq!(of_failure("banned"), 4);
        for code in ["name_taken", "bad_arguments", "not_here", "something new"] {
            assert_eq!(of_failure(code), 1, "{code}");
        }
    }
}
