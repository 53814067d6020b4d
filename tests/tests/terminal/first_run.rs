//! The first run, from nothing to an account, and the files that it leaves.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::network::Network;
use letschat_tests::person::{CTRL_C, CTRL_D, Person, UP};
use letschat_tests::programs::program;
use letschat_tests::server::TestServer;
use pty_process::blocking::Command;
use serde_json::json;

#[test]
fn somebody_new_is_led_to_an_account_and_told_what_can_be_done() {
    let server = TestServer::start(&[]);
    let mut alice = Person::sit_down(&server, "alice");
    alice.sees("Do you have an account here (y/n)?");
    alice.types("n");
    alice.sees("The name you want");
    // An invalid name is refused before a password is asked for.
    alice.types("Al ice!");
    alice.sees("Sorry: a username is made of");
    alice.types("alice");
    alice.chooses_password();
    alice.sees("is new here. From now on only this key is accepted there: ");
    alice.sees("Logged in as alice, by password.");
    alice.sees("What next?");
    alice.is_prompted("letschat> ");
    assert!(!alice.bytes().contains(PASSWORD), "the password was shown");

    alice.press(CTRL_D);
    assert_eq!(alice.sees_the_end(), 0);
}

#[test]
fn unusable_data_folder_is_told_instead_of_a_welcome() {
    let home = tempfile::tempdir().unwrap();
    let letschat = Command::new(program("letschat"))
        .args(["--peer-port", "0", "--data", "/dev/null/letschat"])
        .env("XDG_CONFIG_HOME", home.path())
        .env_remove("LETSCHAT_SERVER");
    let mut alice = Person::run(letschat, "alice", tempfile::tempdir().unwrap());
    assert_eq!(alice.sees_the_end(), 1);
    alice.sees("letschat: the data folder /dev/null/letschat can't be used: Not a directory");
    assert!(!alice.bytes().contains("Welcome") && !alice.bytes().contains("Server ("));
}

#[test]
fn first_run_asks_for_the_server_and_the_next_remembers_it() {
    // The first run looks for servers on the local network.
    let (_network, by) = Network::alone();
    let server = TestServer::start_by(&by, &[]);
    let home = tempfile::tempdir().unwrap();
    let path = |folder: &str| home.path().join(folder).display().to_string();
    let letschat = || {
        Command::new(&by[0])
            .args(&by[1..])
            .arg(program("letschat"))
            .args(["--peer-port", "0"])
            .env("XDG_CONFIG_HOME", path("config"))
            .env("XDG_DATA_HOME", path("data"))
            .env_remove("LETSCHAT_SERVER")
    };
    let mut alice = Person::run(letschat(), "alice", tempfile::tempdir().unwrap());
    alice.is_prompted("Server (empty: 127.0.0.1:4400, this machine's): ");
    alice.types("no server/at all");
    alice.sees("That names no server");
    alice.types("127.0.0.1:1");
    alice.sees("Can't reach 127.0.0.1:1: connection refused.");
    alice.is_prompted("Server (empty: 127.0.0.1:1): ");
    alice.types(&server.address.to_string());
    alice.sees("Do you have an account here (y/n)?");
    alice.types("n");
    alice.sees("The name you want");
    alice.types("alice");
    alice.chooses_password();
    alice.sees(&format!("{} is your server from now on", server.address));
    alice.is_prompted("letschat> ");
    alice.press(CTRL_D);
    assert_eq!(alice.sees_the_end(), 0);

    let again = Person::run(letschat(), "alice", tempfile::tempdir().unwrap());
    again.sees("Logged in as alice, by key.");
}

#[test]
fn who_has_an_account_is_led_to_it_from_a_new_machine() {
    let server = TestServer::start(&[]);
    TestClient::join(&server, "alice").quits();
    let alice = Person::sit_down(&server, "alice");
    alice.sees("Do you have an account here (y/n)?");
    alice.types("y");
    alice.sees("Your name:");
    alice.types("alice");
    alice.sees("Password (empty");
    alice.types(PASSWORD);
    alice.sees("Logged in as alice, by password.");
    alice.is_prompted("letschat> ");
}

#[test]
fn who_has_two_accounts_here_is_led_to_one_by_its_key() {
    let server = TestServer::start(&[]);
    let mut before = TestClient::start(&server, "alice");
    before.sign_up_and_log_in();
    before.ok("leave", json!({}));
    let bob = json!({"username": "bob", "password": PASSWORD});
    before.ok("signup", bob.clone());
    before.ok("login", bob);
    before.process.end_input();
    assert_eq!(before.process.exit_code(), 0);
    let alice = Person::sit_down_with(&server, "alice", before.data, &[], &[]);
    alice.sees("Do you have an account here (y/n)?");
    alice.types("y");
    alice.sees("Your name:");
    alice.types("alice");
    alice.sees("Password (empty");
    alice.types("");
    alice.sees("Logged in as alice, by key.");
    alice.is_prompted("letschat> ");
}

#[test]
fn nothing_is_printed_into_a_password() {
    let server = TestServer::start(&[]);
    let (alice, mut bob) = (Person::join(&server, "alice"), TestClient::join(&server, "bob"));
    alice.types("login carol");
    let question = "Password (empty: log in by this machine's key): ";
    alice.is_prompted(question);
    bob.ok("broadcast", json!({"text": "hello, all"}));
    bob.wait_event("broadcast");
    alice.is_prompted(question);
    alice.types(PASSWORD);
    alice.sees("bob to all: hello, all");
    assert!(!alice.bytes().contains(PASSWORD), "the password was shown");
}

#[test]
fn name_that_is_taken_is_asked_for_again_alone() {
    let server = TestServer::start(&[]);
    let _taken = Person::join(&server, "alice");
    let second = Person::sit_down(&server, "second");
    second.sees("Do you have an account here (y/n)?");
    second.types("n");
    second.sees("The name you want");
    second.types("alice");
    second.chooses_password();
    second.sees("Somebody has that username; choose another.");
    second.is_prompted("The name you want (a-z, 0-9, _ - .): ");
    second.types("second");
    second.sees("Logged in as second, by password.");
}

#[test]
fn wrong_password_is_asked_for_again_with_its_name_kept() {
    let server = TestServer::start(&[]);
    TestClient::join(&server, "alice").quits();
    let alice = Person::sit_down(&server, "alice");
    alice.sees("Do you have an account here (y/n)?");
    alice.types("y");
    alice.is_prompted("Your name: ");
    alice.types("alice");
    alice.sees("Password (empty");
    alice.types("wrong horse battery");
    alice.is_prompted("Your name (empty: alice): ");
    alice.types("");
    alice.is_prompted("Password (empty: log in by this machine's key): ");
    alice.types(PASSWORD);
    alice.sees("Logged in as alice, by password.");
}

#[test]
fn absent_server_is_told_before_any_other_question() {
    let mut server = TestServer::start(&[]);
    server.stop();
    let mut alice = Person::sit_down(&server, "alice");
    alice.sees(&format!("Can't reach {}: connection refused.", server.address));
    alice.is_prompted("Press Enter to try again. ");
    alice.types("");
    alice.sees_times("connection refused.", 2);
    alice.is_prompted("Press Enter to try again. ");
    assert!(!alice.bytes().contains("Do you have an account"));
    alice.press(CTRL_D);
    assert_eq!(alice.sees_the_end(), 0);
}

#[test]
fn silent_server_keeps_no_key_from_its_effect() {
    let mut server = TestServer::start(&[]);
    server.stop();
    // This listener accepts connections and never answers.
    let _silent = TcpListener::bind(server.address).unwrap();
    let address = server.address;
    for (key, status) in [(CTRL_C, None), (CTRL_D, Some(0)), ("quit\r", Some(0))] {
        let mut alice = Person::sit_down(&server, "alice");
        alice.is_prompted(&format!("Connecting to {address}… (Ctrl+C skips)"));
        alice.press(key);
        match status {
            Some(status) => assert_eq!(alice.sees_the_end(), status),
            None => alice.is_prompted("letschat · offline> "),
        }
    }
}

#[test]
fn who_wants_no_questions_gets_a_prompt() {
    let server = TestServer::start(&[]);
    let alice = Person::sit_down(&server, "alice");
    alice.sees("Do you have an account here (y/n)?");
    alice.press(CTRL_C);
    alice.sees("`/signup NAME` makes an account");
    alice.is_prompted("letschat · not logged in> ");
}

#[test]
fn help_and_quit_work_at_the_first_questions() {
    let server = TestServer::start(&[]);
    let mut alice = Person::sit_down(&server, "alice");
    alice.sees("Do you have an account here (y/n)?");
    alice.types("help");
    alice.sees("Ctrl+C skips the questions");
    alice.is_prompted("Do you have an account here (y/n)? ");
    alice.types("n");
    alice.sees("The name you want");
    alice.types("/quit");
    assert_eq!(alice.sees_the_end(), 0);
}

#[test]
fn ctrl_d_ends_at_each_of_the_first_questions() {
    let server = TestServer::start(&[]);
    let steps = [("Do you have an account here (y/n)?", "n"), ("The name you want", "alice")];
    for count in 0..=steps.len() {
        let mut alice = Person::sit_down(&server, "alice");
        for (question, answer) in &steps[..count] {
            alice.sees(question);
            alice.types(answer);
        }
        alice.sees(steps.get(count).map_or("Password for the new account:", |step| step.0));
        alice.press(CTRL_D);
        assert_eq!(alice.sees_the_end(), 0, "at question {count}");
    }
}

#[test]
fn account_is_used_on_a_second_machine() {
    let server = TestServer::start(&[]);
    let elsewhere = Person::join(&server, "alice");
    let alice = Person::sit_down(&server, "alice");
    alice.sees("Do you have an account here (y/n)?");
    alice.types("perhaps");
    alice.sees("Please answer `y` or `n`.");
    alice.types("y");
    alice.is_prompted("Your name: ");
    alice.types("alice");
    alice.sees("Password (empty");
    alice.types(PASSWORD);
    alice.sees("Logged in as alice, by password.");
    alice.sees("This device is new to your account");
    elsewhere.sees("wants to be one of yours");
}

#[test]
fn password_typed_ahead_is_never_shown() {
    let server = TestServer::start(&[]);
    let alice = Person::sit_down(&server, "alice");
    alice.sees("Do you have an account here (y/n)?");
    alice.types("n");
    alice.sees("The name you want");
    alice.press("alice\rtyped too early\r");
    alice.chooses_password();
    alice.sees("Logged in as alice, by password.");
    alice.is_prompted("letschat> ");
    assert!(!alice.bytes().contains("typed too early"), "{}", alice.screen());
}

#[test]
fn plain_lines_begin_with_what_to_type() {
    let server = TestServer::start(&[]);
    let flags = &["--screen-reader"];
    let data = tempfile::tempdir().unwrap();
    let alice = Person::sit_down_with(&server, "alice", data, flags, &[]);
    alice.sees("`/signup NAME` makes an account, `/login NAME` logs in, `/help` shows everything.");
}

#[test]
fn short_password_is_asked_for_again_at_once() {
    let server = TestServer::start(&[]);
    let alice = Person::sit_down(&server, "alice");
    alice.sees("Do you have an account here (y/n)?");
    alice.types("n");
    alice.sees("The name you want");
    alice.types("alice");
    alice.sees("Password for the new account:");
    alice.types("short");
    alice.sees("A password has at least 8 characters.");
    alice.types(PASSWORD);
    alice.sees("The same password again:");
    alice.types(PASSWORD);
    alice.sees("Logged in as alice, by password.");
}

#[test]
fn cancelled_password_ends_the_command_and_not_the_client() {
    let server = TestServer::start(&[]);
    let alice = Person::join(&server, "alice");
    alice.types("login bob");
    alice.sees("Password (empty");
    alice.press(CTRL_C);
    alice.sees("Cancelled; nothing was changed.");
    alice.is_prompted("letschat> ");
}

#[test]
fn the_history_has_commands_and_no_password() {
    let server = TestServer::start(&[]);
    let alice = Person::join(&server, "alice");
    alice.types("status");
    alice.sees("You are: alice");
    alice.is_prompted("letschat> ");
    alice.types("login alice hunter2hunter2");
    alice.sees("a password is never typed in the line");
    alice.is_prompted("letschat> ");
    alice.types("login bob");
    alice.sees("Password (empty");
    alice.types(PASSWORD);
    alice.sees("login bob");
    alice.is_prompted("letschat> ");
    alice.press(UP);
    alice.is_prompted("letschat> login bob");
    alice.press(UP);
    alice.is_prompted("letschat> status");

    let path = alice.data.path().join("history");
    assert_eq!(fs::read_to_string(&path).unwrap(), "status\nlogin bob\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}
