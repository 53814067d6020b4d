//! Before the login: limits on waiting connections, timeouts and refused names.

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::Secret;

use super::*;
use crate::store::Created;

impl TestHub {
    /// Connects a program that has sent HELLO.
    fn newcomer(&mut self, from: &str) -> ConnectionId {
        let connection = self.arrive(from);
        self.secure(connection);
        self.say(connection, &Request::Hello);
        connection
    }

    /// Tries to sign up. If the request reaches the store, the name is taken.
    fn signs_up(&mut self, connection: ConnectionId, name: &str) -> Code {
        let secret = || Secret("correct horse".into());
        let request =
            Request::SignUp { username: name.into(), password: secret(), repeated: secret() };
        let mut effects = self.say(connection, &request).to_vec();
        if effects.iter().any(|effect| matches!(effect, Effect::Store(_))) {
            let result = Ok(Created::Taken);
            effects =
                self.put(Input::Stored(StoreAnswer::SignedUp { connection, result })).to_vec();
        }
        replies(&effects, connection).remove(0).code
    }
}

#[test]
fn refused_sign_ups_close_sign_up_to_nobody_else() {
    let mut server = TestHub::empty();
    for n in 0..5_000_u32 {
        let from = std::net::Ipv4Addr::from_bits(0x0a01_0000 + n).to_string();
        let connection = server.newcomer(&from);
        assert!((0..3).all(|_| server.signs_up(connection, "bob") == Code::NameTaken), "{n}");
        server.put(Input::Gone { connection, why: LinkEnd::Ended });
    }
    let newcomer = server.newcomer("192.0.2.1");
    assert_eq!(server.signs_up(newcomer, "bob"), Code::NameTaken);
}

#[test]
fn reserved_names_are_refused_to_programs_and_people() {
    let mut server = TestHub::empty();
    let program = server.newcomer("10.0.0.1");
    for name in ["Server", "root", "127.0.0.l", "0x7f.0.0.1"] {
        assert_eq!(server.signs_up(program, name), Code::NameInvalid, "{name}");
    }
    let person = server.arrive("10.0.0.2");
    server.secure(person);
    for line in ["HELLO", "SIGNUP"] {
        server.line(person, Frame::line(line));
    }
    for name in ["everyone", "fe80--1"] {
        let effects = server.line(person, Frame::line(name)).to_vec();
        assert_eq!(replies(&effects, person)[0].code, Code::NameInvalid, "{name}");
    }
}

#[test]
fn an_account_of_a_reserved_name_logs_in() {
    let mut server = TestHub::empty();
    let (_, welcome) = server.member("admin", "10.0.0.1");
    assert_eq!(welcome.username.as_str(), "admin");
}

#[test]
fn seventeenth_silent_connection_pushes_the_first_out() {
    let mut server = TestHub::empty();
    let first = server.arrive("10.0.0.1");
    let others: Vec<ConnectionId> = (1..16).map(|_| server.arrive("10.0.0.1")).collect();
    assert!(!closes(&server.effects, first));
    server.arrive("10.0.0.1");
    assert!(closes(&server.effects, first));
    assert!(others.iter().all(|other| !closes(&server.effects, *other)));
}

#[test]
fn a_handshake_a_program_and_a_person_each_have_their_time() {
    let mut server = TestHub::empty();
    let (silent, program, person) =
        (server.arrive("10.0.0.1"), server.arrive("10.0.0.2"), server.arrive("10.0.0.3"));
    server.secure(program);
    server.say(program, &Request::Hello);
    server.secure(person);
    server.line(person, Frame::line("HELLO"));
    let effects = server.pass(10_000);
    assert!(closes(&effects, silent) && !closes(&effects, program));
    let effects = server.pass(10_000);
    assert!(closes(&effects, program) && !closes(&effects, person));
    let effects = server.pass(40_000);
    assert!(closes(&effects, person));
    assert_eq!(notices(&effects, person), [], "a person is told in plain words");
}

#[test]
fn a_person_who_answers_in_time_has_five_minutes_in_all() {
    let mut server = TestHub::empty();
    let person = server.arrive("10.0.0.3");
    server.secure(person);
    server.line(person, Frame::line("HELLO"));
    for _ in 0..5 {
        assert!(!closes(&server.pass(50_000), person));
        server.line(person, Frame::line("HELP"));
    }
    assert!(closes(&server.pass(50_000), person));
}

#[test]
fn the_clock_stands_while_the_store_works() {
    let mut server = TestHub::empty();
    let program = server.arrive("10.0.0.2");
    server.secure(program);
    server.say(program, &Request::Hello);
    server.pass(15_000);
    let sign_up = Request::SignUp {
        username: "alice".into(),
        password: letschat_protocol::dialogue::Secret("correct horse".into()),
        repeated: letschat_protocol::dialogue::Secret("correct horse".into()),
    };
    server.say(program, &sign_up);
    assert!(!closes(&server.pass(60_000), program));
    let result = Ok(crate::store::Created::New);
    server.put(Input::Stored(StoreAnswer::SignedUp { connection: program, result }));
    assert!(!closes(&server.pass(4_000), program));
    assert!(closes(&server.pass(2_000), program));
}

#[test]
fn after_wrong_answers_an_address_waits_for_its_turn() {
    let mut server = TestHub::empty();
    let ready = |server: &mut TestHub, from: &str| {
        let connection = server.arrive(from);
        server.secure(connection);
        server.say(connection, &Request::Hello);
        connection
    };
    let begins =
        |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Store(_)));
    let wrong = |server: &mut TestHub, connection| {
        let nobody = Request::Login {
            username: "!".into(),
            credentials: Credentials {
                key: Identity::from_seed(&[1; 32]).public_key(),
                signature: "00".repeat(64).parse().unwrap(),
                port: 4401,
                take: false,
            },
            password: letschat_protocol::dialogue::Secret("whatever".into()),
        };
        let begun = begins(server.say(connection, &nobody));
        let refused = StoreAnswer::Checked { connection, result: Ok(Verdict::Refused) };
        if begun {
            server.put(Input::Stored(refused));
        }
        begun
    };
    let guesser = ready(&mut server, "10.0.0.1");
    assert!((0..3).all(|_| wrong(&mut server, guesser)));
    assert!(closes(&server.effects, guesser), "the third is the last");
    let again = ready(&mut server, "10.0.0.1");
    assert!(wrong(&mut server, again));
    let third = ready(&mut server, "10.0.0.1");
    assert!(!wrong(&mut server, third), "the fifth from there waits");
    let elsewhere = ready(&mut server, "10.0.0.2");
    assert!(wrong(&mut server, elsewhere), "from elsewhere nobody waits");
    assert!(begins(&server.pass(1_000)), "its turn comes");
}

#[test]
fn two_spellings_of_a_password_are_one_at_sign_up() {
    let mut server = TestHub::empty();
    let begins = |effects: &[Effect]| {
        let is_sign_up =
            |effect: &Effect| matches!(effect, Effect::Store(StoreRequest::SignUp { .. }));
        effects.iter().any(is_sign_up)
    };
    let program = server.arrive("10.0.0.1");
    server.secure(program);
    server.say(program, &Request::Hello);
    let secret = |text: &str| letschat_protocol::dialogue::Secret(text.into());
    let sign_up = Request::SignUp {
        username: "alice".into(),
        password: secret("cafe\u{301} noir"),
        repeated: secret("caf\u{e9}\u{a0}noir"),
    };
    assert!(begins(server.say(program, &sign_up)));

    let person = server.arrive("10.0.0.2");
    server.secure(person);
    for line in ["HELLO", "SIGNUP bob", "cafe\u{301} noir"] {
        server.line(person, Frame::line(line));
    }
    assert!(begins(server.line(person, Frame::line("caf\u{e9}\u{a0}noir"))));
}
