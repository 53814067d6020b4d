//! Attacks by a script.

use std::time::{Duration, Instant};

use crate::run::run;

/// The time limit of an attack. It is far above 250 ms, since the machine may be busy, and far below the
/// time of an unlimited attack.
const SOON: Duration = Duration::from_secs(20);

/// The error of a script that computes without end.
const SPENT: &str = "it computed for 250 ms without giving way";

/// The endless attacks, and the error of each.
const ENDLESS: &[(&str, &str)] = &[
    ("while true do end", SPENT),
    ("while true do pcall(function() while true do end end) end", SPENT),
    ("local function again() pcall(again) return again() end again()", SPENT),
    ("coroutine.wrap(function() while true do end end)()", SPENT),
    (
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        SPENT,
    ),
    (
        "local t = table.create(1000, 1) while true do pcall(table.sort, t, function() return math.random() < 0.5 end) end",
        SPENT,
    ),
    (
        "local t = {} for i = 1, 1e5 do t[i] = i end table.sort(t, function(a, b) while true do end end)",
        SPENT,
    ),
    (
        "local x = setmetatable({}, {__index = function(t, k) while true do end end}) return x.y",
        SPENT,
    ),
    ("local x = setmetatable({}, {__tostring = function() while true do end end}) print(x)", SPENT),
    (
        "local x = setmetatable({}, {__eq = function() while true do end end}) return x == setmetatable({}, getmetatable(x))",
        SPENT,
    ),
    ("xpcall(function() while true do end end, function() while true do end end)", SPENT),
    (
        "string.find(string.rep('a', 1e6), string.rep('a?', 30) .. string.rep('a', 30) .. 'b')",
        SPENT,
    ),
    ("while true do local s = string.rep('x', 1e6) end", SPENT),
    ("string.gsub(string.rep('a', 1e6), '', function() while true do end end)", SPENT),
    ("while true do string.gsub('abc', '.', string.upper) end", SPENT),
    ("local ok = true while ok do ok = pcall(chat.after, 1000, print) or true end", SPENT),
    ("while true do chat.spawn(function() end) end", "There are 256 tasks"),
    ("local function f() return f() + 1 end f()", "stack overflow"),
    (
        "local x = setmetatable({}, {}) getmetatable(x).__tostring = function() return tostring(x) end print(x)",
        "stack overflow",
    ),
    ("local function f(s) return string.gsub(s, '.', f) end f('x')", "stack overflow"),
    ("local function f() return coroutine.wrap(f)() end f()", "stack overflow"),
    (
        "error(setmetatable({}, {__tostring = function() while true do end end}))",
        "an error that is a table",
    ),
];

/// Library calls that would run for long without an interrupt.
const HEAVY: &[(&str, &str)] = &[
    (
        "string.find(string.rep('a', 2e6), string.rep('a', 1e6) .. 'b', 1, true)",
        "string.find: the texts are too long together",
    ),
    (
        "string.find(string.rep('a', 2e6), string.rep('a', 1e5) .. 'b')",
        "string.find: text and pattern are too long together",
    ),
    (
        "string.split(string.rep('a', 2e6), string.rep('a', 1e6) .. 'b')",
        "string.split: the texts are too long together",
    ),
    (
        "(string.rep('a', 2e6)):split(string.rep('a', 1e6) .. 'b')",
        "string.split: the texts are too long together",
    ),
    (
        "string.match(string.rep('a', 2e6), '[' .. string.rep('b', 1e4) .. 'a]*')",
        "string.match: text and pattern are too long together",
    ),
    (
        "(string.rep('a', 2e6)):match('[' .. string.rep('b', 1e4) .. 'a]*')",
        "string.match: text and pattern are too long together",
    ),
    (
        "for x in string.gmatch(string.rep('a', 2e6), '[' .. string.rep('b', 1e4) .. 'a]*') do end",
        "string.gmatch: text and pattern are too long together",
    ),
    (
        "string.gsub(string.rep('a', 2e6), '[' .. string.rep('b', 1e4) .. 'a]*', '')",
        "string.gsub: text and pattern are too long together",
    ),
    ("string.gsub('x', '(a-)', string.rep('%1', 1e7))", "string.gsub: the replacement is too long"),
    (
        "string.format(string.rep('%.1e', 1e5), table.unpack(table.create(1e5, 1e-308)))",
        "string.format: at most a thousand arguments",
    ),
    ("string.pack(string.rep('<', 3e7))", "string.pack: the format is too long"),
    ("string.packsize(string.rep('<', 3e7))", "string.packsize: the format is too long"),
    ("string.unpack(string.rep('<', 3e7), '')", "string.unpack: the format is too long"),
    ("os.date(string.rep('%c', 1e5))", "os.date: the format is too long"),
    ("table.move({}, 1, 2 ^ 31 - 2, 2, {})", "table.move: at most a million elements"),
    ("table.concat(table.create(1100000, 1))", "table.concat: at most a million elements"),
    (
        "local t = {} for i = 1, 5 do t[i] = string.rep('a', 4e6) .. i end while true do table.sort(t) end",
        SPENT,
    ),
    ("local t = {} for i = 1, 2e6 do t[i] = i end table.sort(t, rawequal)", SPENT),
    (
        "local same = {__eq = table.maxn} local big = setmetatable(table.create(1e6, 1), same)\n\
      table.find(table.create(1e6, setmetatable({}, same)), big) while true do end",
        SPENT,
    ),
];

#[test]
fn whoever_computes_without_an_end_is_stopped() {
    for (attack, words) in ENDLESS {
        is_stopped(attack, words);
    }
}

#[test]
fn what_takes_a_library_long_is_refused_or_stopped() {
    for (attack, words) in HEAVY {
        is_stopped(attack, words);
    }
}

/// Runs an attack and checks that it soon ends with this error.
fn is_stopped(attack: &str, words: &str) {
    let began = Instant::now();
    let ended = run(attack);
    assert!(began.elapsed() < SOON, "{attack}");
    assert_eq!(ended.status, 1, "{attack}: {ended:?}");
    assert!(ended.errors.contains(words), "{attack}: {ended:?}");
}

#[test]
fn whoever_wants_too_much_memory_is_refused_and_may_go_on() {
    for attack in [
        "string.rep('x', 2 ^ 30)",
        "local t = {} for i = 1, 1e9 do t[i] = string.rep('x', 1e6) .. i end",
        "table.create(1e9, 1)",
        "buffer.create(1e9)",
        "local s = 'x' for i = 1, 60 do s = s .. s end",
    ] {
        let ended = run(&format!("print(pcall(function() {attack} end))\nprint('and on')"));
        assert!(ended.said.starts_with("false "), "{attack}: {ended:?}");
        assert!(ended.said.ends_with("and on"), "{attack}: {ended:?}");
        assert_eq!(ended.status, 0, "{attack}: {ended:?}");
    }
}

#[test]
fn there_is_nothing_that_reaches_outside() {
    let ended = run("for _, name in {'io', 'debug', 'package', 'loadstring', 'load', 'loadfile', \
                     'dofile', 'getfenv', 'setfenv', 'newproxy', 'gcinfo'} do\n\
                     if _G[name] then print(name) end end\n\
                     for name in os do print('os.' .. name) end\n\
                     print(collectgarbage('collect') > 0, collectgarbage('stop') > 0)");
    let mut said: Vec<&str> = ended.said.lines().collect();
    said.sort_unstable();
    assert_eq!(said, ["os.clock", "os.date", "os.difftime", "os.time", "true true"]);
}

#[test]
fn what_is_shared_can_not_be_changed() {
    for (change, words) in [
        ("chat.say = print", "readonly table"),
        ("chat.store.get = print", "readonly table"),
        ("string.rep = print", "readonly table"),
        ("getmetatable('').__index = {}", "readonly table"),
        ("chat.arguments[1] = 'x'", "readonly table"),
        ("rawset(chat, 'say', print)", "readonly table"),
        ("setmetatable(chat, {})", "readonly table"),
    ] {
        let ended = run(&format!("print(pcall(function() {change} end))"));
        assert!(ended.said.starts_with("false "), "{change}: {ended:?}");
        assert!(ended.said.contains(words), "{change}: {ended:?}");
    }
}

#[test]
fn bytecode_is_no_script() {
    let ended = run("\u{6}\u{3}nonsense");
    assert_eq!((ended.status, ended.said.as_str()), (1, ""), "{ended:?}");
    assert!(ended.errors.contains("attempt to load a binary chunk"), "{ended:?}");
}

#[test]
fn what_leaves_the_sandbox_is_measured_first() {
    for (attempt, words) in [
        ("local t = {} t.t = t chat.store.set('key', t)", "contains itself"),
        ("chat.store.set('key', table.create(1e5, string.rep('x', 2e6)))", "That is too much"),
        ("chat.store.set(string.rep('x', 2e6), 1)", "That is too much"),
        ("chat.store.set('key', {print})", "A function can't be kept."),
        ("chat.wait('message', {text = string.rep('x', 2e6)})", "That is too much"),
        ("chat.wait(string.rep('x', 2e6))", "That is too much"),
        ("chat.on(string.rep('x', 2e6), print)", "That is too much"),
        ("chat.log(string.rep('x', 2e6), 'text')", "That is too much"),
        ("chat.broadcast(string.rep('x', 2e6))", "That is too much"),
        ("chat.broadcast({[string.rep('x', 2e6)] = 1})", "That is too much"),
        ("chat.client{as = string.rep('x', 2e6)}", "That is too much"),
        ("require(string.rep('x', 2e6))", "That is too much"),
        ("print(table.unpack(table.create(2000, 1)))", "more than 1000 arguments"),
    ] {
        let ended = run(&format!("print(pcall(function() {attempt} end))"));
        assert!(ended.said.starts_with("false "), "{attempt}: {ended:?}");
        assert!(ended.said.contains(words), "{attempt}: {ended:?}");
    }
}

#[test]
fn what_can_not_wait_says_so() {
    for place in [
        "string.gsub('x', 'x', function() {} end)",
        "table.sort({2, 1}, function() {} return false end)",
        "return setmetatable({}, {__index = function() {} end}).x",
    ] {
        for wait in ["chat.sleep(0)", "coroutine.wrap(chat.sleep)(0)", "require('x')"] {
            let attempt = place
                .replace("{} end", &format!("{wait} end"))
                .replace("{} return", &format!("{wait} return"));
            let ended = run(&format!("print(pcall(function() {attempt} end))"));
            assert!(ended.said.starts_with("false "), "{attempt}: {ended:?}");
            assert!(ended.said.contains("nothing can wait here"), "{attempt}: {ended:?}");
        }
    }
}

#[test]
fn nobody_takes_a_waiting_coroutine_from_who_waits_for_it() {
    let ended = run(
        "local waits = coroutine.create(function() chat.sleep(0.05) return 'done' end)\n\
                     local task\n\
                     chat.spawn(function() task = coroutine.running() print(coroutine.resume(waits)) end)\n\
                     chat.spawn(function()\n\
                       for _, taken in {waits, task} do\n\
                         print(coroutine.status(taken), coroutine.resume(taken))\n\
                         print(pcall(coroutine.close, taken))\n\
                       end\n\
                     end)",
    );
    let said: Vec<&str> = ended.said.lines().collect();
    let refused = "normal false cannot resume a coroutine that is waiting";
    assert_eq!(said.len(), 5, "{ended:?}");
    for at in [0, 2] {
        assert_eq!(said[at], refused, "{ended:?}");
        assert!(said[at + 1].ends_with("cannot close a coroutine that is waiting"), "{ended:?}");
    }
    assert_eq!((said[4], ended.status), ("true done", 0), "{ended:?}");
}

#[test]
fn there_is_a_limit_to_timers_handlers_and_tasks() {
    for (what, add) in [
        ("timers", "chat.after(1000, print)"),
        ("handlers", "chat.on('message', print)"),
        ("tasks", "chat.spawn(chat.sleep, 1000)"),
    ] {
        let ended = run(&format!(
            "local count = 0\nlocal ok, failure\nrepeat ok, failure = pcall(function() {add} end)\n\
             count += 1 until not ok\nprint(count - 1, failure.code, failure.message)\nchat.exit(0)"
        ));
        let expected = format!("256 limit There are 256 {what}, and no more are allowed.");
        assert_eq!(ended.said, expected, "{ended:?}");
    }
}
