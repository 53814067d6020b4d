//! People who use only `openssl s_client` or `ncat --ssl` and have read no documentation.

use std::process::{Command, Stdio};
use std::time::Instant;

use chrono::NaiveDateTime;
use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::programs::{PATIENCE, Running};
use letschat_tests::server::TestServer;
use letschat_tests::typist::Typist;
use serde_json::{Value, json};

/// A user at a terminal with one of the two programs.
struct Person {
    program: Running,
}

impl Person {
    fn with_openssl(server: &TestServer) -> Person {
        let address = server.address.to_string();
        Person::with("openssl", &["s_client", "-quiet", "-connect", &address])
    }

    fn with_ncat(server: &TestServer) -> Person {
        let (host, port) = (server.address.ip().to_string(), server.address.port().to_string());
        Person::with("ncat", &["--ssl", &host, &port])
    }

    fn with(program: &str, arguments: &[&str]) -> Person {
        let is_here = Command::new(program).arg("--help").output().is_ok();
        assert!(is_here, "{program} is missing; `make test` sees that it is installed");
        Person { program: Running::start(Command::new(program).args(arguments)) }
    }

    /// Reads up to a line that starts like this.
    fn reads(&mut self, beginning: &str) -> String {
        self.program.wait_line(beginning, |line| line.starts_with(beginning))
    }

    /// Types each line and reads up to its answer, which contains these words.
    fn goes_through(&mut self, dialogue: &[(&str, &str, &str)]) {
        for (line, beginning, words) in dialogue {
            self.program.type_line(line);
            let answer = self.reads(beginning);
            assert!(answer.contains(words), "no {words:?} in {answer:?}");
        }
    }

    /// Reads to the end of the connection. (`ncat` itself also waits for its input to end.)
    fn sees_the_end(&mut self) {
        let until = Instant::now() + PATIENCE;
        while self.program.next_line(until).expect("the connection has an end").is_some() {}
    }

    /// Signs up and logs in without a mistake.
    fn joins(&mut self, name: &str) {
        self.reads("220 ");
        self.goes_through(&[
            ("HELLO", "300 ", "SIGNUP"),
            ("SIGNUP", "331 ", "username"),
            (name, "332 ", "password"),
            (PASSWORD, "333 ", "again"),
            (PASSWORD, "300 ", "LOGIN"),
            ("LOGIN", "331 ", "username"),
            (name, "332 ", "password"),
            (PASSWORD, "230 ", "Type LIST, BROADCAST, CONNECT"),
        ]);
    }
}

#[test]
fn openssl_with_ml_kem_exchanges_keys_with_it() {
    let server = TestServer::start(&[]);
    let address = server.address.to_string();
    let connect = |group: &str| {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-connect", &address, "-groups", group]);
        let output = openssl.stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let classic = connect("X25519");
    assert!(
        classic.contains("Server Temp Key: X25519") || classic.contains("group: X25519"),
        "{classic}"
    );
    // OpenSSL before 3.5 does not know the group.
    let hybrid = connect("X25519MLKEM768");
    if !hybrid.contains("Error with command") && !hybrid.contains("Call to SSL_CONF_cmd") {
        assert!(hybrid.contains("group: X25519MLKEM768"), "{hybrid}");
    }
}

/// Plays a newcomer up to a first broadcast. The preceding output names every line to type.
fn finds_the_way(mut harry: Person, server: &TestServer) {
    let mut alice = TestClient::join(server, "alice");
    let greeting = harry.reads("220 ");
    assert!(greeting.contains("HELLO"), "{greeting}");
    harry.goes_through(&[
        ("HELLO", "300 ", "LOGIN, SIGNUP, HELP or QUIT"),
        ("SIGNUP", "331 ", "Which username do you want?"),
        ("harry", "332 ", "At least 8 characters"),
        (PASSWORD, "333 ", "The same password again"),
        ("something else", "513 ", "not the same"),
        (PASSWORD, "333 ", "The same password again"),
        (PASSWORD, "201 ", "log in"),
        ("LOGIN", "331 ", "username"),
        ("harry", "332 ", "password"),
        (PASSWORD, "230 ", "One other is here. Type LIST, BROADCAST, CONNECT"),
        ("LIST", "250-alice", "127.0.0.1"),
        ("BROADCAST", "334 ", "What do you want to say"),
        ("hello from a terminal", "250 ", "to everybody"),
        ("BROADCAST and in one line", "250 ", "to everybody"),
    ]);
    for text in ["hello from a terminal", "and in one line"] {
        let broadcast = alice.wait_event_with("broadcast", "text", text);
        assert_eq!(broadcast["from"], "harry");
    }
    harry.goes_through(&[("QUIT", "221 ", "Goodbye")]);
    harry.sees_the_end();
}

#[test]
fn with_openssl_one_finds_the_way_from_nothing_to_a_broadcast() {
    let server = TestServer::start(&[]);
    finds_the_way(Person::with_openssl(&server), &server);
}

#[test]
fn with_ncat_one_finds_the_way_from_nothing_to_a_broadcast() {
    let server = TestServer::start(&[]);
    finds_the_way(Person::with_ncat(&server), &server);
}

#[test]
fn slips_at_the_signup_are_explained_and_asked_again() {
    let server = TestServer::start(&[]);
    let _alice = TestClient::join(&server, "alice");
    let mut harry = Person::with_openssl(&server);
    harry.reads("220 ");
    harry.goes_through(&[
        ("HELLO", "300 ", "SIGNUP"),
        ("SIGNUP", "331 ", "username"),
        ("Harry Lime!", "510 ", "a to z"),
        ("harry", "332 ", "At least 8 characters"),
        ("short", "512 ", "at least 8 characters"),
        (PASSWORD, "333 ", "again"),
        ("something else", "332 ", "Which password?"),
        (PASSWORD, "333 ", "again"),
        (PASSWORD, "300 ", "LOGIN"),
        ("SIGNUP", "331 ", "username"),
        ("Alice", "332 ", "At least 8 characters"),
        (PASSWORD, "333 ", "again"),
        (PASSWORD, "511 ", "choose another"),
        ("holly", "332 ", "At least 8 characters"),
    ]);
}

/// Parses the time of a broadcast, in seconds, as people and programs see it.
fn seconds(text: &str, format: &str) -> NaiveDateTime {
    let (time, _) = NaiveDateTime::parse_and_remainder(text, format).unwrap();
    time
}

fn hears_a_broadcast(mut harry: Person, server: &TestServer) {
    harry.joins("harry");
    let mut alice = TestClient::join(server, "alice");
    let sent = alice.ok("broadcast", json!({"text": "hello, all"}));
    let line = harry.reads("* ");
    assert!(line.ends_with(" UTC alice: hello, all"), "{line}");
    let (shown, told) = (&line["* ".len()..], sent["time"].as_str().unwrap());
    assert_eq!(seconds(shown, "%Y-%m-%d %H:%M:%S"), seconds(told, "%Y-%m-%dT%H:%M:%S"));
}

#[test]
fn openssl_shows_a_broadcast_with_its_sender_date_and_time() {
    let server = TestServer::start(&[]);
    hears_a_broadcast(Person::with_openssl(&server), &server);
}

#[test]
fn with_ncat_a_broadcast_is_read_with_its_sender_date_and_time() {
    let server = TestServer::start(&[]);
    hears_a_broadcast(Person::with_ncat(&server), &server);
}

#[test]
fn to_ask_for_nobody_is_explained_and_ends_the_program() {
    let server = TestServer::start(&[]);
    let people = [Person::with_openssl(&server), Person::with_ncat(&server)];
    for (mut person, name) in people.into_iter().zip(["olga", "nell"]) {
        person.joins(name);
        person.goes_through(&[
            ("CONNECT", "335 ", "To whom?"),
            ("nobody", "550 ", "Nobody is here by that name or address."),
        ]);
        let why = person.reads("* ");
        assert!(why.contains("so the connection is closed."), "{why}");
        person.sees_the_end();
    }
}

#[test]
fn chat_by_hand_is_refused_with_the_way_to_do_it() {
    let server = TestServer::start(&[]);
    let _alice = TestClient::join(&server, "alice");
    let mut harry = Typist::joins(server.address, "harry");
    harry.types("CONNECT alice");
    assert!(harry.expects("452 ").contains("needs the letschat program"));
    harry.types("LIST");
    harry.expects("250 ");
}

#[test]
fn an_empty_line_goes_back_from_any_question() {
    let server = TestServer::start(&[]);
    let mut harry = Typist::connect(server.address);
    harry.types("HELLO");
    harry.expects("300 ");
    for before in [&["SIGNUP"][..], &["SIGNUP", "harry"], &["LOGIN"], &["LOGIN", "harry"]] {
        for line in before {
            harry.types(line);
            harry.expects("33");
        }
        harry.types("");
        harry.expects("250 All right.");
        harry.expects("300 ");
    }
    let mut harriet = Typist::joins(server.address, "harriet");
    for question in ["BROADCAST", "CONNECT"] {
        harriet.types(question);
        harriet.expects("33");
        harriet.types(" ");
        harriet.expects("250 All right.");
    }
}

#[test]
fn quit_is_understood_at_every_step() {
    let server = TestServer::start(&[]);
    let greeted = Typist::connect(server.address);
    let mut choosing = Typist::connect(server.address);
    choosing.types("HELLO");
    choosing.expects("300 ");
    let member = Typist::joins(server.address, "harry");
    for mut person in [greeted, choosing, member] {
        person.types("quit");
        person.expects("221 ");
        person.expects_end();
    }
}

#[test]
fn the_end_of_the_server_is_told() {
    let mut server = TestServer::start(&[]);
    let mut harry = Typist::joins(server.address, "harry");
    server.stop();
    assert_eq!(harry.expects("* "), "* Server: terminated.");
    harry.expects_end();
}

#[test]
fn who_comes_later_is_sent_what_was_broadcast_before() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    for text in ["first", "second"] {
        alice.ok("broadcast", json!({"text": text}));
    }
    let mut harry = Typist::joins(server.address, "harry");
    assert!(harry.expects("* ").ends_with(" alice: first"));
    assert!(harry.expects("* ").ends_with(" alice: second"));
}

#[test]
fn broadcast_with_control_characters_reaches_nobody() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut harry = Typist::joins(server.address, "harry");
    for text in ["\u{1b}[2J", "bell \u{7}", "c1 \u{9b}31m", "delete \u{7f}"] {
        harry.types(&format!("BROADCAST {text}"));
        harry.expects("553 ");
        harry.types("BROADCAST");
        harry.expects("334 ");
        harry.types(text);
        harry.expects("553 ");
    }
    harry.types("BROADCAST +9\ntwo\nlines");
    harry.expects("553 ");
    harry.types("BROADCAST all is well");
    harry.expects("250 ");
    alice.wait_event("broadcast");
    let heard = alice.all(|line| line["event"] == "broadcast");
    let texts: Vec<&Value> = heard.iter().map(|line| &line["text"]).collect();
    assert_eq!(texts, ["all is well"]);
}

#[test]
fn a_tab_in_a_broadcast_is_shown_as_blanks() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let mut harry = Typist::joins(server.address, "harry");
    harry.types("BROADCAST by\thand");
    harry.expects("250 ");
    assert_eq!(alice.wait_event("broadcast")["text"], "by\thand");
    alice.ok("broadcast", json!({"text": "by\tprogram"}));
    assert!(harry.expects("* ").ends_with(" alice: by program"));
}

#[test]
fn a_broadcast_with_nothing_to_read_is_told_so() {
    let server = TestServer::start(&[]);
    let mut harry = Typist::joins(server.address, "harry");
    harry.types("BROADCAST \u{200b}\u{16fe4}\u{1d159}");
    assert!(harry.expects("553 ").contains("nothing to read"));
}

#[test]
fn nothing_that_others_say_steers_a_terminal() {
    let mut server = TestServer::start(&[]);
    let mut harry = Typist::joins(server.address, "harry");
    let mut alice = TestClient::join(&server, "alice");
    alice.ok("broadcast", json!({"text": "turned \u{202e}dnuora\u{202c}, \u{200b}hidden"}));
    assert!(harry.expects("* ").ends_with(r"alice: turned"));
    assert_eq!(harry.expects("* "), r"*   \u{202e}dnuora\u{202c}, \u{200b}hidden");
    server.process.type_line("say \u{1b}[2Jall gone\u{9b}31m");
    assert_eq!(harry.expects("* "), r"* Server: \u{1b}[2Jall gone\u{9b}31m");
    let raw = |c: char| c.is_control() || matches!(c, '\u{200b}' | '\u{202c}' | '\u{202e}');
    assert!(!harry.heard.concat().contains(raw), "{:?}", harry.heard);
}
