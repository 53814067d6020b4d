//! The bots in `lua/bots`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Instant;

use letschat_tests::client::TestClient;
use letschat_tests::programs::PATIENCE;
use letschat_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::run::{NOWHERE, Script, run, shipped};

#[test]
fn echo_lets_everybody_in_and_says_back_what_it_is_told() {
    let server = TestServer::start(&[]);
    let mut echo = Script::bot(&server, "echo", &[], &[]);
    echo.process.wait_line("word of echo", |line| line == "echo is here as echo");
    let mut alice = TestClient::join(&server, "alice");
    let mut bob = TestClient::join(&server, "bob");
    for client in [&mut alice, &mut bob] {
        client.ok("connect", json!({"who": "echo"}));
        let text = format!("hello from {}", client.name);
        client.ok("say", json!({"text": text}));
        client.wait_event_with("message", "text", &text);
    }
}

#[test]
fn echo_complains_once_about_a_peer_that_does_not_read() {
    let before = "local handlers, logged, reads = {}, 0, false
        local chat = {
            arguments = {},
            status = function() return { state = 'logged_in', username = 'echo' } end,
            on = function(event, handler) handlers[event] = handler end,
            say = function() if not reads then error('Too many messages wait.') end end,
            log = function(level) if level == 'warn' then logged += 1 end end,
            print = function() end,
        }";
    let after = "local function say(from, times)
            for _ = 1, times do handlers.message({ from = from, text = 'x' }) end
            print(logged)
        end
        say('mallory', 1000)
        say('bob', 1000)
        reads = true
        say('mallory', 1)
        reads = false
        say('mallory', 1000)
        handlers.chat_closed({ with = 'bob' })
        say('bob', 1000)";
    let echo = fs::read_to_string(shipped("bots/echo.lua")).unwrap();
    let ended = run(&format!("{before}\n{echo}\n{after}"));
    assert_eq!((ended.said.as_str(), ended.errors.as_str()), ("1\n2\n2\n3\n4", ""));
}

#[test]
fn echo_comes_back_after_an_idle_timeout() {
    let server = TestServer::start(&["--idle-seconds", "2"]);
    let mut echo = Script::bot(&server, "echo", &["--return-after-idle"], &[]);
    echo.process.wait_line("word of echo", |line| line.starts_with("echo is here"));
    server.wait_log("idle");
    // She is disconnected too if this takes long.
    let location = server.location();
    let mut alice = TestClient::start_at(&location, "alice", &["--return-after-idle"]);
    alice.sign_up_and_log_in();
    assert_eq!(called_again_and_again(&mut alice, "echo")["with"], "echo");
}

/// Requests a chat until there is one, since the other user is about to log in.
fn called_again_and_again(client: &mut TestClient, who: &str) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let id = client.tell("connect", json!({"who": who}));
        let reply = client.reply(id);
        if reply.get("error").is_none() {
            return reply;
        }
        assert!(Instant::now() < until, "{reply}\n{}", client.process.transcript());
    }
}

#[test]
fn herald_broadcasts_again_and_again() {
    let server = TestServer::start(&[]);
    let mut alice = TestClient::join(&server, "alice");
    let herald = Script::bot(&server, "herald", &[], &["0.1", "tea", "time", "--times", "3"]);
    for _ in 0..3 {
        let broadcast = alice.wait_event_with("broadcast", "text", "tea time");
        assert_eq!(broadcast["from"], "herald");
    }
    let ended = herald.ends();
    assert_eq!((ended.status, ended.errors.as_str()), (0, ""));
    assert_eq!(ended.said.lines().last(), Some("broadcast 3: tea time"));
}

#[test]
fn bots_that_are_called_wrongly_say_how_they_are_used() {
    for (bot, arguments) in [
        ("herald", &[][..]),
        ("herald", &["often"]),
        ("herald", &["often", "tea"]),
        ("herald", &["1"]),
        ("herald", &["0", "tea"]),
        ("herald", &["-1", "tea"]),
        ("herald", &["nan", "tea"]),
        ("herald", &["1e9", "tea"]),
        ("herald", &["1", "tea", "--times"]),
        ("herald", &["1", "tea", "--times", "x"]),
        ("herald", &["1", "tea", "--times", "0"]),
        ("herald", &["1", "tea", "--times", "1.5"]),
        ("herald", &["1", "tea", "--time", "3"]),
        ("echo", &["--loud"]),
        ("echo", &["twice"]),
        ("greeter", &["Hello,", "--once"]),
        ("minutes", &["now"]),
        ("drop", &[]),
        ("drop", &["alice", "--loud"]),
    ] {
        // The bot ends before it logs in.
        let ended = Script::start(NOWHERE, &shipped(&format!("bots/{bot}.lua")), arguments).ends();
        let usage = format!("usage: {bot}.lua");
        assert_eq!((ended.status, ended.errors.as_str()), (2, ""), "{bot} {arguments:?}");
        assert!(ended.said.starts_with(&usage), "{bot} {arguments:?}: {}", ended.said);
        assert_eq!(ended.said.lines().count(), 1, "{bot} {arguments:?}: {}", ended.said);
    }
}

#[test]
fn greeter_welcomes_who_comes_by_name_and_once() {
    let server = TestServer::start(&[]);
    let mut greeter = Script::bot(&server, "greeter", &[], &["Hello,", "NAME!"]);
    greeter.process.wait_line("word of greeter", |line| line == "greeter is here");
    let mut alice = TestClient::join(&server, "alice");
    alice.wait_event_with("broadcast", "text", "Hello, alice!");
    alice.ok("leave", json!({}));
    alice.ok("login", json!({"username": "alice"}));
    let mut bob = TestClient::join(&server, "bob");
    // Earlier ones come by TCP and may be overtaken.
    bob.wait_event_with("broadcast", "text", "Hello, bob!");
    bob.wait_event_with("broadcast", "text", "Hello, alice!");
    let hellos = bob.all(|line| line["text"] == "Hello, alice!");
    assert_eq!(hellos.len(), 1, "{hellos:?}");
}

#[test]
fn minutes_of_a_group_are_kept_on_request() {
    let server = TestServer::start(&[]);
    let mut bot = Script::bot(&server, "minutes", &[], &[]);
    bot.process.wait_line("word of minutes", |line| line == "minutes is here");
    let mut alice = TestClient::join(&server, "alice");
    alice.ok("group", json!({"action": "create", "name": "team"}));
    alice.ok("group", json!({"action": "invite", "name": "team", "who": "minutes"}));
    alice.wait_event_with("group_changed", "change", "joined");
    let mut say = |text: &str| drop(alice.ok("send", json!({"to": "#team", "text": text})));
    say("before");
    say("!minutes");
    say("first");
    say("second\nline");
    say("!minutes");
    let minutes = alice.wait("the minutes", |line| {
        line["event"] == "message" && line["text"].as_str().unwrap_or("").starts_with("Minutes:")
    });
    assert_eq!(minutes["conversation"], "#team");
    let lines: Vec<&str> = minutes["text"].as_str().unwrap().lines().skip(1).collect();
    let said: Vec<&str> = lines.iter().map(|line| &line["12:34 ".len()..]).collect();
    assert_eq!(said, ["alice: first", "alice: second line"]);
}

/// Offers a file with random content to `drop`. Returns the content.
fn offer_to_drop(client: &mut TestClient, name: &str) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    let content: Vec<u8> = (0..3_000_000).map(|_| random.u8(..)).collect();
    let path = client.data.path().join(name);
    fs::write(&path, &content).unwrap();
    client.ok("file", json!({"action": "send", "to": "drop", "path": path}));
    content
}

/// Checks that a folder has this file and no other.
fn has_only(folder: &TempDir, name: &str, content: &[u8]) {
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), [name]);
    assert!(fs::read(folder.path().join(name)).unwrap() == content, "{name} has other bytes");
}

/// Checks that nobody has written to a client.
fn has_no_mail(client: &mut TestClient) {
    client.ok("status", json!({}));
    let mail = client.all(|line| line["event"] == "message" && line["own"] == false);
    assert!(mail.is_empty(), "{mail:?}");
}

/// Ends the bot. Returns its account in a client that takes commands.
fn account_of(bot: Script, server: &TestServer) -> TestClient {
    let Script { mut process, data } = bot;
    process.signal("TERM");
    assert_eq!(process.exit_code(), 0, "{}", process.transcript());
    let mut account = TestClient::start_in(data, &server.location(), "drop", &[]);
    account.ok("login", json!({"username": "drop"}));
    account
}

/// Returns the senders and the states of the files that are offered to a client.
fn files_of(client: &mut TestClient) -> Vec<(String, String)> {
    let listed = client.ok("files", json!({}));
    let word = |file: &Value, field: &str| file[field].as_str().unwrap().to_owned();
    let files = listed["files"].as_array().unwrap().iter();
    files.map(|file| (word(file, "from"), word(file, "state"))).collect()
}

#[test]
fn drop_saves_files_of_the_people_on_its_list() {
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--files", folder.path().to_str().unwrap()];
    let mut bot = Script::bot(&server, "drop", &flags, &["alice"]);
    bot.process.wait_line("word of drop", |line| line == "drop is here");
    let mut mallory = TestClient::join(&server, "mallory");
    offer_to_drop(&mut mallory, "virus.exe");
    let mut alice = TestClient::join(&server, "alice");
    let photo = offer_to_drop(&mut alice, "photo.jpg");
    alice.wait_event_with("message", "text", "photo.jpg is saved.");
    bot.process.wait_line("a line for the file", |line| {
        line.starts_with("alice: photo.jpg, 3000000 bytes, is saved as ")
    });
    has_only(&folder, "photo.jpg", &photo);
    // Mallory still waits to be approved.
    let mut account = account_of(bot, &server);
    account.wait_event_with("request", "from", "mallory");
    assert_eq!(files_of(&mut account), [("alice".to_owned(), "saved".to_owned())]);
    has_no_mail(&mut mallory);
}

#[test]
fn drop_fetches_what_came_while_it_was_away() {
    let server = TestServer::start(&[]);
    let mut away = TestClient::join(&server, "drop");
    // The server answers in order, so that it has the prekey then.
    away.ok("list", json!({}));
    let [mut mallory, mut alice] = ["mallory", "alice"].map(|who| TestClient::join(&server, who));
    let mut contents = Vec::new();
    for friend in [&mut mallory, &mut alice] {
        let file = format!("{}.txt", friend.name);
        contents.push(offer_to_drop(friend, &file));
        away.wait_event_with("request", "from", &friend.name);
        away.ok("approve", json!({"who": friend.name}));
        away.wait_event_with("file_offered", "from", &friend.name);
    }
    away.process.end_input();
    assert_eq!(away.process.exit_code(), 0);

    let folder = tempfile::tempdir().unwrap();
    let flags = ["--as", "drop", "--files", folder.path().to_str().unwrap()];
    let file = shipped("bots/drop.lua");
    let bot = Script::start_in(away.data, &server.location(), &file, &flags, &["alice"]);
    alice.wait_event_with("message", "text", "alice.txt is saved.");
    has_only(&folder, "alice.txt", &contents[1]);
    let states = [("mallory", "offered"), ("alice", "saved")];
    let states = states.map(|(who, state)| (who.to_owned(), state.to_owned()));
    assert_eq!(files_of(&mut account_of(bot, &server)), states);
    has_no_mail(&mut mallory);
}

#[test]
fn drop_says_why_a_file_is_not_saved() {
    let before = "local handlers = {}
        local chat = {
            arguments = { 'Alice' },
            status = function()
                return { state = 'logged_in', username = 'drop', requests = {} }
            end,
            on = function(event, handler) handlers[event] = handler end,
            files = function() return {} end,
            file = function(action, id)
                print(action, id)
                if id == 'three' then error({ code = 'file_forbidden' }) end
            end,
            send = function(name, text) print('to ' .. name .. ': ' .. text) end,
            print = function() end,
            log = function() end,
        }";
    let after = "local function offer(id, from, size)
            handlers.file_offered({ id = id, from = from, name = id, size = size })
        end
        offer('one', 'alice', 4 * 1024 ^ 3 + 1)
        offer('two', 'alice', 4 * 1024 ^ 3)
        offer('two', 'alice', 4 * 1024 ^ 3)
        offer('three', 'alice', 1)
        offer('four', 'mallory', 1)
        handlers.file_failed({ from = 'alice', name = 'two', code = 'disk_full', message = '/x' })
        handlers.file_failed({ from = 'alice', name = 'two', code = 'blocked', message = '/x' })";
    let bot = fs::read_to_string(shipped("bots/drop.lua")).unwrap();
    let ended = run(&format!("{before}\n{bot}\n{after}"));
    let said = [
        "to alice: one is not saved: I take files of at most 4 GiB.",
        "cancel one",
        "get two",
        "get three",
        "to alice: three is not saved: I have no folder for files.",
        "to alice: two is not saved: my disk is full.",
        "to alice: two is not saved: blocked.",
    ];
    assert_eq!((ended.said, ended.errors.as_str()), (said.join("\n"), ""));
}

/// A script that tries to send and to save files in the folder that it is given, and outside. It prints the codes.
const FILES: &str = "local shared = chat.arguments[1]
    local function attempt(action, which, path)
        local ok, failure = pcall(chat.file, action, which, path)
        print(action, if ok then 'ok' else failure.code)
    end
    for _, path in { 'own.txt', '../secret/key.txt', 'link/key.txt' } do
        attempt('send', 'bob', shared .. '/' .. path)
    end
    attempt('get', '00000000')
    for _, path in { 'new.txt', '../new.txt', 'link/new.txt' } do
        attempt('get', '00000000', shared .. '/' .. path)
    end";

/// Returns the codes of the script [`FILES`], which is run with these flags and not logged in.
fn codes_of_files(shared: &Path, flags: &[&str]) -> String {
    let file = shared.with_file_name("files.lua");
    fs::write(&file, FILES).unwrap();
    let flags = [&["--tries", "1"][..], flags].concat();
    let (data, shared) = (tempfile::tempdir().unwrap(), shared.to_str().unwrap());
    let ended = Script::start_in(data, NOWHERE, &file, &flags, &[shared]).ends();
    assert_eq!((ended.status, ended.errors.as_str()), (0, ""));
    ended.said
}

#[test]
fn script_has_only_the_folders_that_its_user_names() {
    let folder = tempfile::tempdir().unwrap();
    let (shared, secret) = (folder.path().join("shared"), folder.path().join("secret"));
    fs::create_dir(&shared).unwrap();
    fs::create_dir(&secret).unwrap();
    fs::write(shared.join("own.txt"), "own").unwrap();
    fs::write(secret.join("key.txt"), "key").unwrap();
    symlink(&secret, shared.join("link")).unwrap();

    let codes = codes_of_files(&shared, &[]);
    assert!(codes.lines().all(|line| line.ends_with(" file_forbidden")), "{codes}");
    assert_eq!(codes.lines().count(), 7, "{codes}");
    let codes = codes_of_files(&shared, &["--files", shared.to_str().unwrap()]);
    let expected = [
        "send not_logged_in",
        "send file_forbidden",
        "send file_forbidden",
        "get not_logged_in",
        "get not_logged_in",
        "get file_forbidden",
        "get file_forbidden",
    ];
    assert_eq!(codes.lines().collect::<Vec<_>>(), expected);
}
