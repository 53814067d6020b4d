use super::*;

fn faults(text: &str) -> Vec<(usize, String)> {
    source(text).into_iter().map(|Fault { line, message, .. }| (line, message)).collect()
}

fn assert_fine(text: &str) {
    assert_eq!(faults(text), [], "{text}");
}

/// Each line of a text, and what is wrong with it.
fn assert_wrong(lines: &[(&str, &str)]) {
    for (text, message) in lines {
        assert_eq!(faults(text), [(1, (*message).to_owned())], "{text}");
    }
}

/// The files of a folder; what is told of the first of them.
fn faults_of(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let inside = |path: &Path| path.strip_prefix(folder.path()).unwrap().display().to_string();
    let found = file(&folder.path().join(files[0].0)).unwrap();
    found.iter().map(|f| format!("{}:{}: {}", inside(&f.file), f.line, f.message)).collect()
}

#[test]
fn what_there_is_may_be_used() {
    assert_fine(
        "local a, b = 1, 2\nfor i, v in {3} do print(a + b, i, v) end\n\
         count = 0\nlocal function f(x, ...) return x, count, ... end\n\
         function save() return f(1) end\nlocal t = {name = 1, f = f}\n\
         print(t.anything, t:method(), string.rep('x', 3), `in {a}`)\n\
         chat.on('message', function(event) chat.say(event.text) end)\n\
         -- comment: nonsense\n--[[ and\n more ]] print([[text]], math.pi, _G)\n\
         repeat local z = count until z == 0\nlocal c: number = 5 print(c .. 'x')\n\
         if type(a) == 'number' then chat.store.set('a', a) end",
    );
}

#[test]
fn the_whole_grammar_is_read() {
    let text = "--!strict\n\
         type Pair<T = number> = { first: T, [string]: (T, ...any) -> (T?, string | nil) }\n\
         export type Names = { string } & typeof({})\n\
         local function pair<T, U...>(first: T, ...: any): (T, ...any) return first, ... end\n\
         @native local function fast(): () end\n\
         local x: Pair<Pair<number>> = (pair(1) :: any) :: Pair<Pair<number>>\n\
         local y, z: string? = if x then 1 elseif fast then 2 else 3, nil\n\
         for i = 1, 10, 2 do if i == 3 then continue end y += i end\n\
         local continue = 5 continue = 6 print(continue)\n\
         local type = type print(type(z))\n\
         for name: string, value in pairs({ a = 1, ['b'] = 2; 3 }) do print(name, value) end\n\
         while true do break end\n\
         repeat local done = true until done\n\
         local object = {} function object.inner() end function object:method(a) return self, a end\n\
         print(object:method{ 1 }.x, object.inner'text', object[1], #object, -y ^ 2, not x, y // 2)\n\
         print(`a {x} {`b {y .. `c`}`} \\{`, 0x1F, 1e-5, [==[ ]] ]==], ('x'):rep(3), \"\\65\")\n\
         do local function g() return end g(); (g)() end\n\
         object.a, object['b'] = 1, function(...) return select('#', ...) end\n\
         the_end_is_reached()";
    assert_eq!(faults(text), [(19, "nothing is called the_end_is_reached".to_owned())]);
}

#[test]
fn names_that_mean_nothing_are_told_with_their_lines() {
    let text =
        "local a = 1\nprnt(a)\nchat.sya('x')\n\n-- x\nchat.on('message', handler)\nio.open('x')";
    let expected = [
        (2, "nothing is called prnt".to_owned()),
        (3, "chat has no sya".to_owned()),
        (6, "nothing is called handler".to_owned()),
        (7, "nothing is called io".to_owned()),
    ];
    assert_eq!(faults(text), expected);
    assert_wrong(&[
        ("print(`{nme}`)", "nothing is called nme"),
        ("do local inner = 1 end print(inner)", "nothing is called inner"),
        ("for i = 1, 2 do end print(i)", "nothing is called i"),
        ("local t = {} function t.f() return self end", "nothing is called self"),
        ("local x = x", "nothing is called x"),
        ("print(if tru then 1 else 2)", "nothing is called tru"),
        ("local f = function(a) return b end f()", "nothing is called b"),
    ]);
}

#[test]
fn members_that_are_not_there_are_told() {
    assert_wrong(&[
        ("chat.store.gte('x')", "chat.store has no gte"),
        ("print(string.trim('x'))", "string has no trim"),
        ("table.push({}, 1)", "table has no push"),
        ("print(math.PI)", "math has no PI"),
        ("os.execute('ls')", "os has no execute"),
        ("chat['shout']('x')", "chat has no shout"),
        ("local c = chat c.shout('x')", "chat has no shout"),
        ("local store = chat.store store.put('x', 1)", "chat.store has no put"),
        ("local s, t = string, table s.join(t)", "string has no join"),
        ("(chat).shout()", "chat has no shout"),
        ("_G.chat.shout()", "chat has no shout"),
        ("print(('x'):trim())", "a text has no trim"),
        ("chat.store()", "chat.store is no function"),
        ("chat.store = {}", "chat can't be changed"),
        ("function string.trim() end", "string can't be changed"),
        ("chat:say('x')", "chat.say is called with a dot"),
        ("chat.client{}.shout()", "a client has no shout"),
        ("local a = chat.client{as = 'a'} a.sleep(1)", "a client has no sleep"),
    ]);
}

#[test]
fn what_may_be_something_else_is_not_told() {
    for text in [
        "local chat = {} chat.shout()",
        "local function f(chat, string) chat.shout() string.trim() end f()",
        "for _, chat in { 1 } do chat.shout() end",
        "string = { trim = print } string.trim('x') print(('x'):trim())",
        "function table() end print(table.push)",
        "local c = chat c = { shout = print } c.shout()",
        "local c = chat local function f() c = nil end f() c.shout()",
        "local c = chat.now() > 5 and chat or { shout = print } c.shout()",
        "local name = chat.arguments[1] print(chat[name], string['tr' .. name])",
        "local a = chat.client{} a.mood = 'fine' print(a.mood, a.name)",
        "local a = chat.client{} rawset(a, 'mood', 1) print(a.mood)",
        "local a = chat.client{} for _, key in { 'mood' } do a[key] = 1 end print(a.mood)",
        "local list = chat.list() list[1].anything.else_()",
        "later() function later() end",
        "local t = setmetatable({}, { __index = chat }) t.shout()",
        "if chat.status().nowhere then print(chat.status().nowhere.x) end",
    ] {
        assert_fine(text);
    }
}

#[test]
fn events_and_levels_that_there_are_not_are_told() {
    assert_wrong(&[
        ("chat.on('mesage', print)", "there is no event mesage"),
        ("print(chat.wait(\"logged\"))", "there is no event logged"),
        ("local wait = chat.wait wait('left_sever')", "there is no event left_sever"),
        ("local event = 'mesage' chat.on(event, print)", "there is no event mesage"),
        ("chat.client{}.on('mesage', print)", "there is no event mesage"),
        ("chat.log('loud', 'x')", "a level is debug, info, warn, error"),
    ]);
    assert_fine(
        "local event = chat.arguments[1] chat.on(event, print) chat.on('mes' .. 'x', print)",
    );
}

#[test]
fn arguments_that_a_command_does_not_take_are_told() {
    assert_wrong(&[
        ("chat.login{ usrname = 'alice' }", "login takes no usrname"),
        ("chat.login('alice', { pasword = 'x' })", "login takes no pasword"),
        ("chat.say { text = 'x', too = 'bob' }", "say takes no too"),
        ("chat.say { 'x', text = 'x' }", "say takes names in a table"),
        ("chat.status('x')", "status takes fewer arguments"),
        ("chat.switch('bob', 'carol')", "switch takes fewer arguments"),
        ("chat.say()", "say: text is missing"),
        ("chat.say { to = 'bob' }", "say: text is missing"),
        ("chat.connect(nil)", "connect: who is missing"),
        ("chat.connect('two words')", "connect: who must be a username or an address"),
        ("chat.watch('maybe')", "watch: state must be on or off"),
        ("local l = chat.login l{ usrname = 'alice' }", "login takes no usrname"),
        ("chat.client{}.login{ usrname = 'alice' }", "login takes no usrname"),
    ]);
    assert_eq!(faults("chat.login {\n  username = 'alice',\n  pasword = 'x',\n}")[0].0, 3);
    for text in [
        "chat.login('alice', { password = 'x', take = true })",
        "chat.login { username = chat.arguments[1] }",
        "chat.login()",
        "local arguments = {} arguments.text = 'x' chat.say(arguments)",
        "local arguments = { text = 'x', nonsense = nil } chat.say(arguments)",
        "chat.say(...)",
        "chat.say(string.rep('x', 3), 'bob', table.unpack({}))",
        "chat.connect { [chat.arguments[1]] = 'bob' }",
        "chat.connect { who = 'bob', force = false }",
        "chat.say(3) chat.say 'x' chat.say [[x]]",
        "pcall(chat.login, { usrname = 'x' })",
    ] {
        assert_fine(text);
    }
}

#[test]
fn what_does_not_compile_is_one_fault() {
    let found = faults("print('a')\nlocal = 5\nprnt()");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, 2, "{found:?}");
}

#[test]
fn modules_that_are_not_there_or_do_not_compile_are_told() {
    let script = "require('nowhere')\nrequire('parts/wrong')\nrequire('../outside')";
    let found = faults_of(&[("main.lua", script), ("parts/wrong.lua", "\nlocal = 1")]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found[0], "main.lua:1: There is no module nowhere.");
    assert!(found[1].starts_with("main.lua:3: A module is named by its file"), "{found:?}");
    assert!(found[2].starts_with("parts/wrong.lua:2: "), "{found:?}");
}

#[test]
fn modules_are_checked_as_the_script_is() {
    let script = "local one = require('one')\nlocal two = require('./two')\none.f()\none.g()\n\
                  two.later()\ntwo.never()\nprint(one.option, shared)\nprint(unshared)";
    let one =
        "local one = { f = print }\nfunction one.h() end\nchat.shout()\nshared = 1\nreturn one";
    let two = "require('one')\nreturn { later = print }";
    let found = faults_of(&[("main.lua", script), ("one.lua", one), ("two.lua", two)]);
    assert_eq!(
        found,
        [
            "main.lua:4: the module one has no g",
            "main.lua:6: the module ./two has no never",
            "main.lua:8: nothing is called unshared",
            "one.lua:3: chat has no shout",
        ]
    );
}

#[test]
fn what_a_module_may_return_or_set_is_not_told() {
    for module in [
        "local m = {} for _, name in { 'g' } do m[name] = print end return m",
        "local m = {} m = { g = print } return m",
        "return setmetatable({}, { __index = function() return print end })",
        "if chat then return { g = print } end return {}",
        "return print",
        "local m = {} local n = m n.g = print return m",
    ] {
        let found = faults_of(&[("main.lua", "local m = require('m') m.g()"), ("m.lua", module)]);
        assert_eq!(found, [""; 0], "{module}");
    }
    for script in [
        "require(chat.arguments[1]) print(from_a_module)",
        "pcall(require, 'x') print(from_a_module)",
        "local require = print require('nowhere')",
        "local m = require('m') m.option = m.option or 5 print(m.other)",
    ] {
        assert_eq!(faults_of(&[("main.lua", script), ("m.lua", "return {}")]), [""; 0], "{script}");
    }
}
