//! Nothing that anybody says steers the terminal of anybody else, or stands raw in a log: every
//! control character, every opener of a sequence, what turns writing around and what hides, by
//! every way there is. What is judged are the bytes as they were written.

use std::fs;
use std::io::{self, Write as _};
use std::process::{Command, Output};
use std::str;

use letschat_tests::client::TestClient;
use letschat_tests::person::{Person, Window};
use letschat_tests::programs::{Running, program, without_settings};
use letschat_tests::server::TestServer;
use letschat_tests::typist::Typist;
use serde_json::json;
use tempfile::tempdir;

use crate::hostile::{assert_harmless, assert_tamed, characters, pieces, texts};
use crate::pretender::{NOT_IN_A_LINE, Pretender};

const ALT_A: &str = "\x1ba";

/// So wide that little is broken at its edge.
const WIDE: Window = Window { rows: 60, columns: 500 };

/// Somebody who reads what is written to a pipe.
fn reads_lines(server: &TestServer, name: &str, flags: &[&str]) -> Running {
    let mut before = TestClient::start(server, name);
    before.sign_up_and_log_in();
    before.process.end_input();
    assert_eq!(before.process.exit_code(), 0);
    let mut command = Command::new(program("letschat"));
    without_settings(&mut command);
    command.args(["--peer-port", "0", "--server", &server.location(), "--data"]);
    // The folder is left to the system, which throws it away some day.
    command.arg(before.data.keep()).args(flags);
    let mut process = Running::start(&mut command);
    process.wait_line("login", |line| line.contains("Logged in as"));
    process
}

#[test]
fn what_a_peer_says_steers_nothing() {
    let server = TestServer::start(&[]);
    let alice = Person::join_at(&server, "alice", WIDE, &[], &[]);
    let mut bob = TestClient::join(&server, "bob");
    let mut carol = TestClient::join(&server, "carol");
    alice.chats_with(&mut bob);
    bob.chat_with(&mut carol);
    for text in texts(&[], 4_000, "endofchat") {
        bob.ok("say", json!({"text": text, "to": "alice"}));
        bob.says_to(&mut carol, &text);
    }
    alice.sees("endofchat");
    assert_tamed(&alice.raw_bytes(), &[]);
    assert_tamed(carol.process.heard.join("\n").as_bytes(), &[]);
}

#[test]
fn peer_text_steers_no_full_screen() {
    let server = TestServer::start(&[]);
    let alice = Person::join_at(&server, "alice", WIDE, &["--full", "--notify-by", "osc9"], &[]);
    let mut bob = TestClient::join(&server, "bob");
    let call = bob.tell("connect", json!({"who": "alice"}));
    alice.sees("bob asks for a chat");
    alice.types("approve bob");
    bob.reply(call);
    for text in texts(&[], 1_000, "endofchat") {
        bob.ok("say", json!({"text": text, "to": "alice"}));
    }
    alice.sees("endofchat");
    assert_harmless(&alice.raw_bytes());
}

#[test]
fn what_is_broadcast_steers_nothing() {
    let server = TestServer::start(&["--broadcast-burst", "1000"]);
    let alice = Person::join_at(&server, "alice", WIDE, &[], &[]);
    let dave = Person::join_at(&server, "dave", WIDE, &["--full"], &[]);
    let mut carol = reads_lines(&server, "carol", &[]);
    let mut harry = Typist::joins(server.address, "harry");
    let mut bob = TestClient::join(&server, "bob");
    let is_refused = |c: &char| c.is_control() && *c != '\t';
    let controls: Vec<char> = characters().into_iter().filter(is_refused).collect();
    for control in &controls {
        let text = format!("a{control}b");
        assert_eq!(bob.fails("broadcast", json!({"text": text})), "text_invalid", "{control:?}");
    }
    bob.ok("broadcast", json!({"text": "first"}));
    dave.sees("everyone 1");
    dave.press(ALT_A);
    for text in texts(&controls, 800, "endofbroadcasts") {
        bob.ok("broadcast", json!({"text": text}));
    }
    dave.sees("endofbroadcasts");
    assert_harmless(&dave.raw_bytes());
    alice.sees("endofbroadcasts");
    assert_tamed(&alice.raw_bytes(), &controls);
    carol.wait_line("the last broadcast", |line| line.contains("endofbroadcasts"));
    assert_tamed(carol.heard.join("\n").as_bytes(), &controls);
    harry.hears("endofbroadcasts");
    assert_tamed(harry.put_together().as_bytes(), &controls);
    assert_harmless(server.process.errors().as_bytes());
}

#[test]
fn what_a_server_says_steers_nothing() {
    for flags in [&[][..], &["--full"]] {
        let server = Pretender::start();
        let data = tempdir().unwrap();
        let location = server.address.to_string();
        let mut before = TestClient::start_in(data, &location, "alice", &["--accept-new-server"]);
        before.sign_up_and_log_in();
        before.process.end_input();
        assert_eq!(before.process.exit_code(), 0);
        let said = before.process.heard.join("\n");
        assert_harmless(said.as_bytes());

        let letschat = pty_process::blocking::Command::new(program("letschat"))
            .args([server.address.ip().to_string(), server.address.port().to_string()])
            .args(["--peer-port", "0", "--data"])
            .arg(before.data.path())
            .args(flags)
            .env("LETSCHAT_CONFIG", letschat_tests::programs::NO_SETTINGS);
        let alice = Person::run_at(letschat, "alice", before.data, WIDE);
        alice.sees("Logged in as alice, by key.");
        for (line, end) in [
            ("watch on", "endofnotices"),
            ("broadcast hello", "endofrefusal"),
            ("connect bob force", "endofconnect"),
            ("list", "Nobody is here"),
            ("status", "You are: alice"),
        ] {
            alice.types(line);
            alice.sees(end);
            assert_harmless(&alice.raw_bytes());
        }
        if flags.is_empty() {
            assert_tamed(&alice.raw_bytes(), &[]);
        }
    }
}

/// A text as it is written in Lua, each byte by its number.
fn in_lua(text: &str) -> String {
    let bytes: Vec<String> = text.bytes().map(|byte| format!("\\{byte:03}")).collect();
    format!("\"{}\"", bytes.concat())
}

/// Bytes of C1 as they stand in no UTF-8.
const RAW_BYTES: &str = "\"\\155[2J\\144q\\156\\157x\"";

#[test]
fn what_a_plugin_says_steers_nothing() {
    let server = TestServer::start(&[]);
    let plugins = tempdir().unwrap();
    let words = in_lua(&pieces(&[]).concat());
    let source = format!(
        "local words = {words}
         chat.print(words .. 'endofprint')
         chat.log('warn', words .. 'endoflog')
         chat.command{{name = 'harm', summary = words, run = function() return words .. 'endofresult' end}}
         chat.command{{name = 'fail', run = function() error(words .. 'endoferror') end}}
         chat.command{{name = 'raise', run = function() error{{code = words, message = words .. 'endofraise'}} end}}"
    );
    fs::write(plugins.path().join("hostile.lua"), source).unwrap();
    let plugins = ["--plugins", plugins.path().to_str().unwrap()];
    for (name, flags) in [("alice", &[][..]), ("dave", &["--full"])] {
        let alice = Person::join_at(&server, name, WIDE, &[flags, &plugins].concat(), &[]);
        alice.types("/plugin");
        alice.sees("hostile: loaded");
        alice.sees("endoflog");
        for (line, end) in [
            ("/harm", "endofresult"),
            ("/fail", "endoferror"),
            ("/raise", "endofraise"),
            ("/help harm", "harm"),
            ("/status", &format!("You are: {name}")),
        ] {
            alice.types(line);
            alice.sees(end);
        }
        assert_harmless(&alice.raw_bytes());
        if flags.is_empty() {
            assert_tamed(&alice.raw_bytes(), &[]);
        }
    }
}

#[test]
fn what_a_script_says_steers_nothing() {
    let folder = tempdir().unwrap();
    let words = in_lua(&pieces(&[]).concat());
    let run = |source: String| -> Output {
        let file = folder.path().join("hostile.lua");
        fs::write(&file, source).unwrap();
        let mut command = Command::new(program("letschat"));
        without_settings(&mut command);
        command.args(["--peer-port", "0", "--server", "127.0.0.1:1", "--tries", "1", "--data"]);
        command.arg(folder.path().join("data")).arg("--script").arg(file).output().unwrap()
    };
    let said = run(format!("print({words}) chat.log('info', {words})"));
    assert_tamed(&said.stdout, &[]);
    assert_tamed(&said.stderr, &[]);
    for source in [
        format!("error({words})"),
        format!("error{{code = {words}, message = {words}}}"),
        format!("chat.login{{username = {words}, password = {words}}}"),
        format!("require({words})"),
        format!("print({RAW_BYTES}) chat.log('info', {RAW_BYTES}) error({RAW_BYTES})"),
    ] {
        let ended = run(source);
        for written in [ended.stdout, ended.stderr] {
            // Here U+FFFD is what a script's own raw bytes became.
            let written = str::from_utf8(&written).unwrap().replace('\u{fffd}', "?");
            assert_harmless(written.as_bytes());
        }
    }
}

/// Lines with this in each place where a line has something that others chose.
fn lines_of_a_stranger(words: &str) -> Vec<String> {
    let payload = format!("+{}\n{words}", words.len());
    let verbs = [
        "SIGNUP",
        "SIGNUP a",
        "LOGIN a",
        "KEY",
        "CONNECT",
        "BROADCAST",
        "WATCH",
        "REPLAY FROM",
        "PASSWD",
        "HELP",
        "",
    ];
    let with_words = verbs.iter().map(|verb| format!("{verb} {words}"));
    with_words.chain(verbs.iter().map(|verb| format!("{verb} {payload}"))).collect()
}

/// Types a line to a server that may have closed.
fn tries(typist: &mut Typist, line: &str) -> io::Result<()> {
    typist.stream.write_all(format!("{line}\n").as_bytes())?;
    typist.stream.flush()
}

#[test]
fn hostile_text_reaches_no_servers_terminal_or_log_raw() {
    for format in ["text", "json"] {
        let flags = ["--log-format", format];
        let mut server = TestServer::start(&flags);
        let mut harry = Typist::joins(server.address, "harry");
        let words = pieces(NOT_IN_A_LINE).concat();
        for line in lines_of_a_stranger(&words) {
            for greeting in ["HELLO", "HELLO letschat/1"] {
                let mut typist = Typist::connect(server.address);
                for said in ["HELLO \u{9b}2J", greeting, &line, &words, &line] {
                    // A disconnected client gets no more answers.
                    let answered = typist.next_frame();
                    if answered.is_none() || tries(&mut typist, said).is_err() {
                        break;
                    }
                }
                let _ = tries(&mut typist, "\u{1b}[2J");
                typist.next_frame();
                assert_harmless(typist.heard.join("\n").as_bytes());
            }
        }
        for line in texts(NOT_IN_A_LINE, 350, "endofoperator") {
            server.process.type_line(&line);
            server.process.type_line(&format!("say {line}"));
            server.process.type_line(&format!("kick {line}"));
        }
        server.process.wait_line("the last word", |line| line.contains("endofoperator"));
        harry.hears("endofoperator");
        assert_tamed(harry.put_together().as_bytes(), NOT_IN_A_LINE);
        server.process.type_line("list");
        server.stop();
        assert_tamed(server.process.heard.join("\n").as_bytes(), NOT_IN_A_LINE);
        assert_harmless(server.process.errors().as_bytes());
    }
}
