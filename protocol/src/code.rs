//! Reply codes: a number for the wire, a stable name for programs.

use std::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal $name:literal,)+) => {
        /// The meaning of a reply, in the manner of SMTP (RFC 5321, section 4.2): 2xx done, 3xx
        /// asks for more, 4xx not now, 5xx no.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// All codes, in the order of their numbers.
            pub const ALL: &[Code] = &[$(Code::$variant,)+];

            /// Returns the three-digit number on the wire.
            pub fn number(self) -> u16 {
                match self { $(Code::$variant => $number,)+ }
            }

            /// Returns the name that programs, scripts and `--json` see.
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)+ }
            }

            /// Returns the code with this number, if there is one.
            pub fn from_number(number: u16) -> Option<Code> {
                match number { $($number => Some(Code::$variant),)+ _ => None }
            }
        }
    };
}

codes! {
    /// An account was made.
    SignedUp = 201 "signed_up",
    /// The commands that are available now.
    Help = 214 "help",
    /// The greeting.
    Ready = 220 "ready",
    /// The server closes because the client asked it to.
    Goodbye = 221 "goodbye",
    /// Logged in. Fields: username, session, epoch, head, UDP port, own address.
    LoggedIn = 230 "logged_in",
    /// Done.
    Ok = 250 "ok",
    /// The choice between login and sign-up is wanted.
    WhichWay = 300 "which_way",
    /// A username is wanted.
    AskUsername = 331 "ask_username",
    /// A password is wanted.
    AskPassword = 332 "ask_password",
    /// The same password again is wanted.
    AskPasswordAgain = 333 "ask_password_again",
    /// The text of a broadcast is wanted.
    AskMessage = 334 "ask_message",
    /// A name or address to connect to is wanted.
    AskWho = 335 "ask_who",
    /// All places are taken; the server closes.
    Busy = 421 "busy",
    /// Too many commands or failures; wait before the next.
    SlowDown = 429 "slow_down",
    /// The account store is unavailable or overloaded.
    StoreUnavailable = 431 "store_unavailable",
    /// Logged in within the retention period, but not now.
    NotHere = 450 "not_here",
    /// Several clients share that address. Fields of each line: username, address, port.
    Ambiguous = 451 "ambiguous",
    /// That session is typed by hand and accepts no calls.
    NoReceiver = 452 "no_receiver",
    /// The account is logged in with another key.
    LoggedInElsewhere = 453 "logged_in_elsewhere",
    /// The mailbox of a recipient's device is full. No reply has this code: the reply to POST names
    /// it as the outcome for a device.
    MailboxFull = 454 "mailbox_full",
    /// The account's device list has changed meanwhile: a change has to follow the newest one.
    ListChanged = 455 "list_changed",
    /// No relay: the server has turned them off, or as many are open as it allows.
    NoRelay = 456 "no_relay",
    /// Not understood as a line or payload.
    Malformed = 500 "malformed",
    /// The verb is known, but its arguments are invalid.
    BadArguments = 501 "bad_arguments",
    /// The verb is unknown.
    UnknownCommand = 502 "unknown_command",
    /// The request is not allowed in this phase of the dialogue.
    WrongPhase = 503 "wrong_phase",
    /// The username is invalid.
    NameInvalid = 510 "name_invalid",
    /// The username is taken.
    NameTaken = 511 "name_taken",
    /// Too short, too long, too simple or not printable.
    PasswordWeak = 512 "password_weak",
    /// The two passwords are not the same.
    PasswordsDiffer = 513 "passwords_differ",
    /// Wrong username or password.
    WrongPassword = 535 "wrong_password",
    /// Unknown username or key, or a signature that is not this key's.
    KeyRefused = 536 "key_refused",
    /// The account is banned.
    Banned = 537 "banned",
    /// Penalty: no user has that name or address; the server closes.
    Nobody = 550 "nobody",
    /// Penalty: the request names its own sender; the server closes.
    Yourself = 551 "yourself",
    /// The text is too long.
    TextTooLong = 552 "text_too_long",
    /// The text is empty or has characters that can't be sent.
    TextInvalid = 553 "text_invalid",
    /// No account has that name.
    UnknownUser = 554 "unknown_user",
    /// The account has no device that envelopes can be sealed to.
    NoDevice = 555 "no_device",
    /// Not understood as an envelope.
    EnvelopeInvalid = 556 "envelope_invalid",
    /// Not a change that can follow the account's device list.
    ListInvalid = 557 "list_invalid",
    /// No meeting has that token, or no longer.
    TokenInvalid = 558 "token_invalid",
}

impl Code {
    /// Returns true for 1xx and 2xx.
    pub fn is_success(self) -> bool {
        self.number() < 300
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialogue::Outcome;
    use std::collections::HashSet;

    #[test]
    fn refusals_of_a_delivery_have_the_names_of_codes() {
        for (outcome, code) in [
            (Outcome::UnknownUser, Code::UnknownUser),
            (Outcome::NoDevice, Code::NoDevice),
            (Outcome::MailboxFull, Code::MailboxFull),
        ] {
            assert_eq!(outcome.name(), code.name());
        }
    }

    #[test]
    fn numbers_and_names_are_unique_and_in_order() {
        let numbers: Vec<u16> = Code::ALL.iter().map(|code| code.number()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        let names: HashSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(Code::from_number(code.number()), Some(*code));
        }
    }

    #[test]
    fn what_is_not_asked_for_more_and_not_refused_is_a_success() {
        let successes: Vec<u16> =
            Code::ALL.iter().filter(|code| code.is_success()).map(|code| code.number()).collect();
        assert_eq!(successes, [201, 214, 220, 221, 230, 250]);
    }
}
