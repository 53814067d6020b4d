//! Attacks by a script, and what comes of them.

use std::time::{Duration, Instant};

use crate::run::run;

/// Far more than 250 ms, since the machine may be busy, and far less than these would take.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn whoever_computes_without_an_end_is_stopped() {
    for attack in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local function again() pcall(again) return again() end again()",
        "coroutine.wrap(function() while true do end end)()",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "local t = table.create(1000, 1) while true do table.sort(t, function() return math.random() < 0.5 end) end",
        "local t = {} for i = 1, 1e5 do t[i] = i end table.sort(t, function(a, b) while true do end end)",
        "local x = setmetatable({}, {__index = function(t, k) while true do end end}) return x.y",
        "local x = setmetatable({}, {__tostring = function() while true do end end}) print(x)",
        "local x = setmetatable({}, {__eq = function() while true do end end}) return x == setmetatable({}, getmetatable(x))",
        "xpcall(function() while true do end end, function() while true do end end)",
        "string.find(string.rep('a', 1e6), string.rep('a?', 30) .. string.rep('a', 30) .. 'b')",
        "string.find(string.rep('a', 2e7), string.rep('a', 1e7) .. 'b', 1, true)",
        "while true do local s = string.rep('x', 1e6) end",
        "string.gsub(string.rep('a', 1e6), '', function() while true do end end)",
        "table.move({}, 1, 2 ^ 31 - 2, 2, {})",
        "while true do chat.spawn(function() end) end",
        "local ok = true while ok do ok = pcall(chat.after, 1000, print) or true end",
        "local function f() return f() + 1 end f()",
        "local x = setmetatable({}, {}) getmetatable(x).__tostring = function() return tostring(x) end print(x)",
        "local function f(s) return string.gsub(s, '.', f) end f('x')",
        "coroutine.wrap(function(...) return coroutine.wrap(debug_ or error)(...) end)(1)",
        "local function f() return coroutine.wrap(f)() end f()",
        "error(setmetatable({}, {__tostring = function() while true do end end}))",
    ] {
        let began = Instant::now();
        let ended = run(attack);
        assert!(began.elapsed() < SOON, "{attack}");
        assert_eq!(ended.status, 1, "{attack}: {ended:?}");
    }
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
    for change in [
        "chat.say = print",
        "chat.store.get = print",
        "string.rep = print",
        "getmetatable('').__index = {}",
        "chat.arguments[1] = 'x'",
        "rawset(chat, 'say', print)",
        "setmetatable(chat, {})",
    ] {
        let ended = run(&format!("print(pcall(function() {change} end))"));
        assert!(ended.said.starts_with("false "), "{change}: {ended:?}");
    }
}

#[test]
fn bytecode_is_no_script() {
    let ended = run("\u{6}\u{3}nonsense");
    assert_eq!(ended.status, 1);
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
