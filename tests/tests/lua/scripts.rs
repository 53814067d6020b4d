//! The features of `--script`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use letschat_tests::client::{PASSWORD, TestClient};
use letschat_tests::programs::{program, without_settings};
use letschat_tests::server::TestServer;
use serde_json::json;

use crate::run::{NOWHERE, Script, run, run_in, shipped};

#[test]
fn what_a_script_prints_is_lines_and_its_end_is_a_success() {
    let ended = run("print('one', 2, true)\nchat.print(chat.arguments[2], #chat.arguments)");
    assert_eq!((ended.status, ended.errors.as_str()), (0, ""));
    assert_eq!(ended.said, "one 2 true\ntwo 2");
}

#[test]
fn nothing_that_a_terminal_obeys_is_printed() {
    let ended = run("print('\\27[2J\\7 \\u{202e} two\\nlines')");
    assert!(!ended.said.contains(['\x1b', '\x07', '\u{202e}']), "{:?}", ended.said);
    assert_eq!(ended.said.lines().count(), 2);
}

#[test]
fn a_log_goes_to_standard_error_with_time_and_level() {
    let ended = run("chat.log('warn', 'careful', 1)\nprint(pcall(chat.log, 'loud', 'x'))");
    assert!(ended.errors.trim_end().ends_with("Z warn careful 1"), "{}", ended.errors);
    assert!(ended.said.starts_with("false A level is debug"), "{}", ended.said);
}

#[test]
fn an_error_ends_it_with_a_traceback_and_status_1() {
    let ended = run("local function inner()\n  error('broken')\nend\nlocal function outer()\n  \
                     inner()\nend\nouter()\nprint('not reached')");
    assert_eq!(ended.status, 1);
    assert!(!ended.said.contains("not reached"));
    for words in ["test.lua:2: broken", "test.lua:5", "test.lua:7"] {
        assert!(ended.errors.contains(words), "{words}: {}", ended.errors);
    }
}

#[test]
fn what_does_not_compile_is_told_with_its_line() {
    let ended = run("print('a')\nlocal = 5");
    assert_eq!((ended.status, ended.said.as_str()), (1, ""));
    assert!(ended.errors.contains("test.lua:2:"), "{}", ended.errors);
}

#[test]
fn byte_order_mark_and_interpreter_line_are_no_lua() {
    for first in [
        "\u{feff}",
        "\u{feff}\u{feff}#!/usr/bin/env letschat",
        "#!/usr/bin/env -S letschat --script",
        "\u{feff}# anything",
    ] {
        let ended = run(&format!("{first}\nprint('here')\nerror('broken')"));
        assert_eq!(ended.said, "here", "{first}: {}", ended.errors);
        assert!(ended.errors.contains("test.lua:3: broken"), "{first}: {}", ended.errors);
    }
}

#[test]
fn a_script_can_be_a_program() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hello");
    let source =
        format!("#!{} --script\nprint('hello', chat.arguments[1])", program("letschat").display());
    fs::write(&file, source).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&file);
    without_settings(&mut command);
    let output = command.arg("you").env("HOME", folder.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello you\n", "{output:?}");
}

#[test]
fn a_script_that_is_not_there_is_told() {
    let ended = Script::start(NOWHERE, &shipped("nowhere.lua"), &[]).ends();
    assert_eq!(ended.status, 1);
    assert!(ended.errors.contains("nowhere.lua can't be read"), "{}", ended.errors);
}

#[test]
fn exit_gives_its_status_from_wherever_it_is_called() {
    for source in [
        "chat.exit(7) print('not reached')",
        "pcall(function() chat.exit(7) end) while true do end",
        "chat.spawn(function() chat.exit(7) end) chat.sleep(30)",
        "chat.after(0.01, function() chat.exit(7) end)",
        "coroutine.wrap(function() chat.exit(7) end)() while true do pcall(chat.sleep, 1) end",
    ] {
        let ended = run(source);
        assert_eq!((ended.status, ended.said.as_str(), ended.errors.as_str()), (7, "", ""));
    }
    let ended = run("for _, status in {256, -1, 0.5, 'x'} do print(pcall(chat.exit, status)) end");
    let refused = "false A status is a whole number from 0 to 255.";
    assert_eq!(ended.said.lines().filter(|line| *line == refused).count(), 4, "{}", ended.said);
}

#[test]
fn a_failed_command_raises_a_value_with_code_and_message() {
    let ended = run("local ok, failure = pcall(chat.login, 'alice')\n\
                     print(ok, failure.code, tostring(failure) == failure.message)\n\
                     print(select(2, pcall(chat.say, {txt = 'x'})).code)\n\
                     print(select(2, pcall(chat.connect, 'bob')).code)");
    assert_eq!(ended.said, "false no_server true\nbad_arguments\nnot_logged_in");
    assert_eq!(ended.status, 0, "{}", ended.errors);
}

#[test]
fn the_next_command_of_an_idle_script_logs_in_again() {
    let server = TestServer::start(&["--idle-seconds", "1"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.lua");
    let source = format!(
        "chat.signup{{username = 'alice', password = '{PASSWORD}'}}\n\
         chat.login('alice', {{password = '{PASSWORD}'}})\n\
         chat.wait('logged_in')\n\
         print(chat.wait('disconnected').reason)\n\
         print(#chat.list(), chat.wait('logged_in').by)"
    );
    fs::write(&file, source).unwrap();
    let ended = Script::start(&server.location(), &file, &[]).ends();
    assert_eq!(ended.said, "idle\n1 key", "{}", ended.errors);
    assert_eq!(ended.status, 0);
}

#[test]
fn arguments_are_given_by_name_or_in_their_order() {
    let server = TestServer::start(&[]);
    let mut bob = TestClient::join(&server, "bob");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.lua");
    let source = format!(
        "chat.signup{{username = 'alice', password = '{PASSWORD}'}}\n\
         chat.login('alice', {{password = '{PASSWORD}'}})\n\
         local users = chat.list()\n\
         print(#users, users[1].username, users[2].username)\n\
         chat.connect{{who = 'bob'}}\n\
         chat.say('one', {{to = 'bob'}})\n\
         chat.say{{text = 'two'}}\n\
         chat.say(3)\n\
         chat.wait('message', {{text = 'enough'}})"
    );
    fs::write(&file, source).unwrap();
    let script = Script::start(&server.location(), &file, &[]);
    bob.wait_event_with("request", "from", "alice");
    bob.ok("approve", json!({"who": "alice"}));
    for text in ["one", "two", "3"] {
        bob.wait_event_with("message", "text", text);
    }
    bob.ok("say", json!({"text": "enough", "to": "alice"}));
    let ended = script.ends();
    assert_eq!((ended.status, ended.said.as_str()), (0, "2 alice bob"), "{}", ended.errors);
}

#[test]
fn wait_finds_what_came_before_and_gives_up_in_time() {
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.lua");
    let source = format!(
        "chat.signup{{username = 'alice', password = '{PASSWORD}'}}\n\
         for _, word in {{'one', 'two', 'one'}} do\n\
           chat.login('alice', {{password = '{PASSWORD}'}})\n chat.leave()\n end\n\
         for count = 1, 4 do\n\
           local patience = count < 4 and 20 or 0.05\n\
           local event = chat.wait('logged_in', {{username = 'alice'}}, {{timeout = patience}})\n\
           print(event and event.by)\n end"
    );
    fs::write(&file, source).unwrap();
    let ended = Script::start(&server.location(), &file, &[]).ends();
    let said = "password\npassword\npassword\nnil";
    assert_eq!((ended.status, ended.said.as_str()), (0, said), "{}", ended.errors);
}

#[test]
fn to_sleep_for_no_time_is_a_pause_too() {
    let ended = run("for round = 1, 100 do\n local began = os.clock()\n\
                     while os.clock() - began < 0.005 do end\n chat.sleep(0)\n end\nprint('done')");
    assert_eq!((ended.status, ended.said.as_str()), (0, "done"), "{}", ended.errors);
}

#[test]
fn what_no_command_takes_is_refused_before_it_is_copied() {
    let ended = run("local long = string.rep('x', 1e6)\n\
                     print(pcall(chat.broadcast, long))\nprint(pcall(chat.broadcast, {nonsense = long}))");
    let lines: Vec<&str> = ended.said.lines().collect();
    assert_eq!(lines.len(), 2, "{ended:?}");
    assert!(lines[0].ends_with("A text has at most 65536 bytes here."), "{ended:?}");
    assert!(lines[1].ends_with("it takes no `nonsense`; it takes `text`."), "{ended:?}");
}

#[test]
fn an_event_that_does_not_exist_is_refused() {
    let ended = run("chat.on('mesage', print)");
    assert!(ended.errors.contains("There is no event mesage"), "{}", ended.errors);
    assert_eq!(ended.status, 1);
}

#[test]
fn timers_run_in_their_order_until_they_are_removed() {
    let ended = run("local count, ticking = 0, nil\n\
                     chat.after(0.05, function() print('late') end)\n\
                     chat.after(0.01, function() print('early') end)\n\
                     chat.after(0.02, function() print('never') end):remove()\n\
                     ticking = chat.every(0.03, function()\n\
                       count += 1\n\
                       if count == 3 then print('thrice') ticking:remove() end\n\
                     end)\n\
                     print('first')");
    assert_eq!(ended.said, "first\nearly\nlate\nthrice");
    assert_eq!((ended.status, ended.errors.as_str()), (0, ""));
}

#[test]
fn waiting_inside_a_coroutine_waits_for_it() {
    let ended = run("local steps = coroutine.wrap(function()\n\
                       chat.sleep(0.01)\n coroutine.yield('one')\n chat.sleep(0.01)\n return 'two'\n\
                     end)\nprint(steps(), steps())");
    assert_eq!(ended.said, "one two", "{}", ended.errors);
}

#[test]
fn errors_of_started_tasks_are_contained_and_fail_the_run() {
    let ended = run("chat.spawn(function() error('in a task') end)\n\
                     chat.after(0.05, function() print('still here') end)");
    assert_eq!((ended.status, ended.said.as_str()), (1, "still here"));
    assert!(ended.errors.contains("test.lua:1: in a task"), "{}", ended.errors);
}

#[test]
fn five_errors_are_too_many() {
    let ended =
        run("local count = 0\nchat.every(0.01, function() count += 1 error('no ' .. count) end)");
    assert_eq!(ended.status, 1);
    assert!(ended.errors.contains("no 5") && !ended.errors.contains("no 6"), "{}", ended.errors);
}

#[test]
fn modules_are_found_beside_the_script_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    fs::write(outside.path().join("secret.lua"), "return 'secret'").unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret.lua"), folder.path().join("link.lua"))
        .unwrap();
    write("one.lua", "loaded = (loaded or 0) + 1\nreturn {count = loaded}");
    write("parts/two.lua", "return 'two'");
    write("again.lua", "return require('again')");
    write("wrong.lua", "local = 1");
    let absolute = outside.path().join("secret").display().to_string();
    let ended = run_in(
        &folder,
        &format!(
            "print(require('one').count, require('./one').count, require('parts/two'))\n\
             for _, name in {{'link', '../secret', '{absolute}', 'again', 'wrong', 'nowhere', ''}} do\n\
             local ok, failure = pcall(require, name)\nprint(ok, failure.code) end"
        ),
    );
    let expected = "1 1 two\nfalse module\nfalse bad_arguments\nfalse bad_arguments\n\
                    false module\nfalse module\nfalse module\nfalse bad_arguments";
    assert_eq!(ended.said, expected, "{}", ended.errors);
}

#[test]
fn a_store_is_there_in_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("counter.lua");
    let source = "local count = (chat.store.get('count') or 0) + 1\n\
                  chat.store.set('count', count)\nprint(count)";
    fs::write(&file, source).unwrap();
    let mut data = tempfile::tempdir().unwrap();
    for expected in ["1", "2", "3"] {
        let mut script = Script::start_in(data, NOWHERE, &file, &[], &[]);
        assert_eq!(script.process.exit_code(), 0, "{}", script.process.transcript());
        assert_eq!(script.process.heard, [expected]);
        data = script.data;
    }
}

#[test]
fn a_flag_or_an_option_that_is_misspelt_is_refused() {
    let ended = run("print(select(2, pcall(chat.verify, 'bob', 'they differ')))\n\
         print(select(2, pcall(chat.wait, 'message', nil, {timout = 1})))\n\
         print(select(2, pcall(chat.client, {As = 'bob'})), select(2, pcall(chat.client, {1})))");
    assert!(
        ended.said.contains("A client takes no As; it takes as, data, server."),
        "{}",
        ended.said
    );
    assert!(ended.said.contains("A client takes no integer;"), "{}", ended.said);
    assert!(
        ended.said.contains("verify: matches must be true, false or 'matches'."),
        "{}",
        ended.said
    );
    assert!(ended.said.contains("A wait takes no timout; it takes timeout."), "{}", ended.said);
    assert_eq!(ended.status, 0, "{}", ended.errors);
}

#[test]
fn a_further_client_leaves_nothing_behind() {
    let ended =
        run("local second = chat.client{as = 'carol'}\nprint(second.name, second.status().state)");
    assert_eq!((ended.status, ended.said.as_str()), (0, "carol offline"), "{}", ended.errors);
}

#[test]
fn a_check_tells_what_is_wrong_as_compilers_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.lua");
    let check = |source: &str| {
        fs::write(&file, source).unwrap();
        let output = Command::new(program("letschat")).arg("--check").arg(&file).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(check("chat.say('x')\nprint(chat.now())"), (0, String::new()));
    assert_eq!(check("#!/usr/bin/env -S letschat --script\nprint('x')"), (0, String::new()));
    let (status, said) = check("print(\n");
    assert!(status == 1 && said.starts_with(&format!("{}:2: ", file.display())), "{said}");
}

#[test]
fn a_script_ends_when_its_client_does() {
    let ended = run("chat.on('message', print)\nchat.every(1, print)\nchat.quit()");
    assert_eq!((ended.status, ended.errors.as_str()), (0, ""));
}
