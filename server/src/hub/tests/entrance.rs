//! Before the login: who may wait, for how long, and by which names nobody signs up.

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::Secret;

use super::*;
use crate::store::Created;

impl Stage {
    /// A program that has said HELLO.
    fn newcomer(&mut self, from: &str) -> ConnectionId {
        let connection = self.arrive(from);
        self.secure(connection);
        self.say(connection, &Request::Hello);
        connection
    }

    /// Tries to sign up. If the store is asked, the name is taken.
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
    let mut stage = Stage::empty();
    for n in 0..5_000_u32 {
        let from = std::net::Ipv4Addr::from_bits(0x0a01_0000 + n).to_string();
        let connection = stage.newcomer(&from);
        assert!((0..3).all(|_| stage.signs_up(connection, "bob") == Code::NameTaken), "{n}");
        stage.put(Input::Gone { connection, why: Gone::Ended });
    }
    let newcomer = stage.newcomer("192.0.2.1");
    assert_eq!(stage.signs_up(newcomer, "bob"), Code::NameTaken);
}

#[test]
fn reserved_names_are_refused_to_programs_and_people() {
    let mut stage = Stage::empty();
    let program = stage.newcomer("10.0.0.1");
    for name in ["Server", "root", "127.0.0.l", "0x7f.0.0.1"] {
        assert_eq!(stage.signs_up(program, name), Code::NameInvalid, "{name}");
    }
    let person = stage.arrive("10.0.0.2");
    stage.secure(person);
    for line in ["HELLO", "SIGNUP"] {
        stage.line(person, Frame::line(line));
    }
    for name in ["everyone", "fe80--1"] {
        let effects = stage.line(person, Frame::line(name)).to_vec();
        assert_eq!(replies(&effects, person)[0].code, Code::NameInvalid, "{name}");
    }
}

#[test]
fn an_account_of_a_reserved_name_logs_in() {
    let mut stage = Stage::empty();
    let (_, welcome) = stage.member("admin", "10.0.0.1");
    assert_eq!(welcome.username.as_str(), "admin");
}

#[test]
fn seventeenth_silent_connection_pushes_the_first_out() {
    let mut stage = Stage::empty();
    let first = stage.arrive("10.0.0.1");
    let others: Vec<ConnectionId> = (1..16).map(|_| stage.arrive("10.0.0.1")).collect();
    assert!(!closes(&stage.effects, first));
    stage.arrive("10.0.0.1");
    assert!(closes(&stage.effects, first));
    assert!(others.iter().all(|other| !closes(&stage.effects, *other)));
}

#[test]
fn a_handshake_a_program_and_a_person_each_have_their_time() {
    let mut stage = Stage::empty();
    let (silent, program, person) =
        (stage.arrive("10.0.0.1"), stage.arrive("10.0.0.2"), stage.arrive("10.0.0.3"));
    stage.secure(program);
    stage.say(program, &Request::Hello);
    stage.secure(person);
    stage.line(person, Frame::line("HELLO"));
    let effects = stage.pass(10_000);
    assert!(closes(&effects, silent) && !closes(&effects, program));
    let effects = stage.pass(10_000);
    assert!(closes(&effects, program) && !closes(&effects, person));
    let effects = stage.pass(40_000);
    assert!(closes(&effects, person));
    assert_eq!(notices(&effects, person), [], "a person is told in plain words");
}

#[test]
fn a_person_who_answers_in_time_has_five_minutes_in_all() {
    let mut stage = Stage::empty();
    let person = stage.arrive("10.0.0.3");
    stage.secure(person);
    stage.line(person, Frame::line("HELLO"));
    for _ in 0..5 {
        assert!(!closes(&stage.pass(50_000), person));
        stage.line(person, Frame::line("HELP"));
    }
    assert!(closes(&stage.pass(50_000), person));
}

#[test]
fn the_clock_stands_while_the_store_works() {
    let mut stage = Stage::empty();
    let program = stage.arrive("10.0.0.2");
    stage.secure(program);
    stage.say(program, &Request::Hello);
    stage.pass(15_000);
    let sign_up = Request::SignUp {
        username: "alice".into(),
        password: letschat_protocol::dialogue::Secret("correct horse".into()),
        repeated: letschat_protocol::dialogue::Secret("correct horse".into()),
    };
    stage.say(program, &sign_up);
    assert!(!closes(&stage.pass(60_000), program));
    let result = Ok(crate::store::Created::New);
    stage.put(Input::Stored(StoreAnswer::SignedUp { connection: program, result }));
    assert!(!closes(&stage.pass(4_000), program));
    assert!(closes(&stage.pass(2_000), program));
}

#[test]
fn after_wrong_answers_an_address_waits_for_its_turn() {
    let mut stage = Stage::empty();
    let ready = |stage: &mut Stage, from: &str| {
        let connection = stage.arrive(from);
        stage.secure(connection);
        stage.say(connection, &Request::Hello);
        connection
    };
    let begins =
        |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Store(_)));
    let wrong = |stage: &mut Stage, connection| {
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
        let begun = begins(stage.say(connection, &nobody));
        let refused = StoreAnswer::Checked { connection, result: Ok(Verdict::Refused) };
        if begun {
            stage.put(Input::Stored(refused));
        }
        begun
    };
    let guesser = ready(&mut stage, "10.0.0.1");
    assert!((0..3).all(|_| wrong(&mut stage, guesser)));
    assert!(closes(&stage.effects, guesser), "the third is the last");
    let again = ready(&mut stage, "10.0.0.1");
    assert!(wrong(&mut stage, again));
    let third = ready(&mut stage, "10.0.0.1");
    assert!(!wrong(&mut stage, third), "the fifth from there waits");
    let elsewhere = ready(&mut stage, "10.0.0.2");
    assert!(wrong(&mut stage, elsewhere), "from elsewhere nobody waits");
    assert!(begins(&stage.pass(1_000)), "its turn comes");
}

#[test]
fn two_spellings_of_a_password_are_one_at_sign_up() {
    let mut stage = Stage::empty();
    let begins = |effects: &[Effect]| {
        let is_sign_up =
            |effect: &Effect| matches!(effect, Effect::Store(StoreRequest::SignUp { .. }));
        effects.iter().any(is_sign_up)
    };
    let program = stage.arrive("10.0.0.1");
    stage.secure(program);
    stage.say(program, &Request::Hello);
    let secret = |text: &str| letschat_protocol::dialogue::Secret(text.into());
    let sign_up = Request::SignUp {
        username: "alice".into(),
        password: secret("cafe\u{301} noir"),
        repeated: secret("caf\u{e9}\u{a0}noir"),
    };
    assert!(begins(stage.say(program, &sign_up)));

    let person = stage.arrive("10.0.0.2");
    stage.secure(person);
    for line in ["HELLO", "SIGNUP bob", "cafe\u{301} noir"] {
        stage.line(person, Frame::line(line));
    }
    assert!(begins(stage.line(person, Frame::line("caf\u{e9}\u{a0}noir"))));
}
