//! lua/letschat.d.luau, checked against the command table and against the commands' replies.
//!
//! No analyser for Luau is available, so this file parses the subset of types that is used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use letschat_commands::commands::TABLE;
use letschat_tests::server::TestServer;

use crate::plugins::{folder, with};
use crate::run::{NOWHERE, Script, run};

const TYPES: &str = include_str!("../../../lua/letschat.d.luau");

/// A script that calls every command and prints the fields of the replies.
const REPLIES: &str = include_str!("replies.lua");

/// The commands that a script can't run: only a client at a terminal has plugins.
const NOT_CALLED: &[&str] = &["plugin"];

/// The fields of a table with their types. The type of an optional field ends in `?`.
type Fields = BTreeMap<String, String>;

/// Returns the definition of a type, without comments.
fn definition(types: &str, name: &str) -> String {
    let rest = types.split_once(&format!("\nexport type {name} =")).map(|(_, rest)| rest);
    let rest = rest.unwrap_or_else(|| panic!("there is no type {name}"));
    let lines = rest.lines().map(|line| line.split(" -- ").next().unwrap_or_default());
    let mut text = String::new();
    for line in lines {
        text.push_str(line.trim());
        if text.matches('{').count() == text.matches('}').count() {
            break;
        }
        text.push(' ');
    }
    text
}

/// Returns the parts between the braces of a type.
fn parts(table: &str) -> Vec<&str> {
    let inside = table.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let inside = inside.unwrap_or_else(|| panic!("{table:?} is no table"));
    let (mut depth, mut before) = (0, ' ');
    let is_end = |c: char| {
        let is_arrow = before == '-' && c == '>';
        before = c;
        match c {
            '{' | '<' | '(' => depth += 1,
            '}' | '>' | ')' if !is_arrow => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    };
    inside.split(is_end).map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn fields(table: &str) -> Fields {
    let field = |part: &str| {
        let (name, told) = part.split_once(": ").unwrap_or_else(|| panic!("{part:?} has no name"));
        (name.to_owned(), told.to_owned())
    };
    parts(table).into_iter().map(field).collect()
}

/// Returns the type that each command returns.
fn returned(types: &str) -> BTreeMap<&'static str, String> {
    let client = fields(&definition(types, "Client"));
    let reply = |name: &'static str| {
        let told = client.get(name).unwrap_or_else(|| panic!("{name} is not told"));
        let reply = told.strip_prefix("Command<").and_then(|rest| rest.strip_suffix('>'));
        (name, reply.unwrap_or_else(|| panic!("{name}: {told}")).to_owned())
    };
    TABLE.iter().map(|command| reply(command.name)).collect()
}

/// Returns the possible types at this path of a reply.
fn at_path(types: &str, reply: &str, path: &str) -> Vec<String> {
    let mut found: Vec<String> = reply.split(" | ").map(str::to_owned).collect();
    let path = path.strip_prefix("reply").unwrap().replace("[]", ".[]");
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let tables = found.iter().map(|told| resolved(types, told));
        let tables = tables.filter(|told| told.trim().starts_with('{'));
        let inner = tables.filter_map(|table| match step {
            "[]" => Some(listed(&table)?.to_owned()),
            name => fields(&table).get(name).cloned(),
        });
        found = inner.collect();
    }
    found.iter().map(|told| resolved(types, told)).collect()
}

/// Returns the element type of a list, or `None` for other tables.
fn listed(table: &str) -> Option<&str> {
    parts(table).into_iter().find(|part| !part.contains(": "))
}

/// Replaces the name of a type by its definition.
fn resolved(types: &str, told: &str) -> String {
    let told = told.trim_end_matches('?').trim();
    if told.starts_with(char::is_uppercase) { definition(types, told) } else { told.to_owned() }
}

/// Returns the result of Lua's `type` for a value of this type.
fn lua_type(types: &str, told: &str) -> String {
    let told = resolved(types, told);
    match told.trim().chars().next() {
        Some('{') => "table".into(),
        Some('"') => "string".into(),
        _ => told.trim().to_owned(),
    }
}

/// Compares a table's fields with a type. `None` means that they fit; otherwise it returns the difference.
fn misfit(types: &str, table: &str, found: &Fields) -> Option<String> {
    if !table.trim().starts_with('{') {
        return Some(format!("a table, not a {table}"));
    }
    if let Some(inner) = listed(table) {
        let wanted = lua_type(types, inner);
        return found.values().find(|t| **t != wanted).map(|t| format!("a {t}, not a {wanted}"));
    }
    let told = fields(table);
    for (name, seen) in found {
        match told.get(name) {
            None => return Some(format!("{name} is not told")),
            Some(told) if lua_type(types, told) != *seen => {
                return Some(format!("{name} is a {seen}, not {told}"));
            }
            Some(_) => {}
        }
    }
    let is_missing =
        |(name, told): &(&String, &String)| !found.contains_key(*name) && !told.ends_with('?');
    told.iter().find(is_missing).map(|(name, _)| format!("{name} is missing"))
}

/// Compares all printed fields with the types. Returns the differences.
fn faults(types: &str, printed: &[String]) -> Vec<String> {
    let returned = returned(types);
    let mut faults = Vec::new();
    let mut seen: BTreeSet<(String, String)> = BTreeSet::new();
    for line in printed {
        let mut words = line.splitn(3, ' ');
        let (command, path) = (words.next().unwrap(), words.next().unwrap());
        let pairs = words.next().unwrap_or_default().split(',').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once(':').unwrap());
        let found: Fields = pairs.map(|(name, t)| (name.to_owned(), t.to_owned())).collect();
        let tables = at_path(types, &returned[command], path);
        let misfits: Vec<_> = tables.iter().map(|table| misfit(types, table, &found)).collect();
        if !misfits.contains(&None) {
            faults.push(format!("{line}: {misfits:?}"));
        }
        let names = found.into_keys();
        seen.extend(names.map(|name| (format!("{command} {path}"), name)));
    }
    // An optional field must have been present at least once.
    for name in fields(&definition(types, "Status")).into_keys() {
        if !seen.contains(&("status reply".into(), name.clone())) {
            faults.push(format!("status: {name} was never there"));
        }
    }
    faults
}

#[test]
fn what_commands_return_is_what_the_types_tell() {
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("replies.lua");
    fs::write(&file, REPLIES).unwrap();
    let files = ["--history", "--files", folder.path().to_str().unwrap()];
    let data = tempfile::tempdir().unwrap();
    let ended =
        Script::start_in(data, &server.location(), &file, &files, &[file.to_str().unwrap()]).ends();
    assert_eq!((ended.status, ended.errors.as_str()), (0, ""), "{}", ended.said);
    let mut printed: Vec<String> = ended.said.lines().map(str::to_owned).collect();
    assert_eq!(printed.pop().as_deref(), Some("complete"));

    let called: BTreeSet<&str> = printed.iter().filter_map(|line| line.split(' ').next()).collect();
    let all = TABLE.iter().map(|command| command.name).filter(|name| !NOT_CALLED.contains(name));
    assert_eq!(called, all.collect());
    assert_eq!(faults(TYPES, &printed), [""; 0]);

    for (right, wrong) in [
        ("udp: boolean", "udp: string"),
        ("    chats: { ChatStatus }", "    chats: { string }"),
        ("unconfirmed: number", "unconfirmed: boolean"),
        ("safety_number: string, ", ""),
        ("export type Sent = { to: string,", "export type Sent = { to: string, time: string,"),
        ("list: Command<{ User }>", "list: Command<User>"),
        ("address: string, port: number?", "address: string, port: string?"),
        (
            "    username: string?,\n    fingerprint",
            "    username: string?,\n    age: number?,\n    fingerprint",
        ),
        ("block: Command<Said | { string }>", "block: Command<Said>"),
    ] {
        assert!(TYPES.contains(right), "{right:?} is not there to be spoilt");
        assert_ne!(faults(&TYPES.replace(right, wrong), &printed), [""; 0], "{right} as {wrong}");
    }
}

/// Returns the members of `chat` in the types.
fn members() -> BTreeSet<String> {
    let (_, own) = TYPES.split_once("declare chat: Client & {").unwrap();
    let own = own.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(": "));
    let own = own.map(|(name, _)| name.to_owned());
    // Only a further client has a name.
    let common = fields(&definition(TYPES, "Client")).into_keys().filter(|name| name != "name");
    common.chain(own).collect()
}

#[test]
fn scripts_and_plugins_find_the_members_that_are_told() {
    let of_plugins = ["command", "filter", "DROP"];
    let printed = run("for name in chat do print(name) end").said;
    let script: BTreeSet<String> = printed.lines().map(str::to_owned).collect();
    let expected = members().into_iter().filter(|name| !of_plugins.contains(&name.as_str()));
    assert_eq!(script, expected.collect());

    let server = TestServer::start(&[]);
    let names: Vec<String> = members().into_iter().filter(|name| name != "client").collect();
    let source = format!(
        "local told, count = string.split('{}', ' '), 0\n\
         for _, name in told do assert(chat[name] ~= nil, name) end\n\
         for name in chat do count += 1 end\n\
         assert(count == #told, count)\nprint('complete')",
        names.join(" ")
    );
    with(&server, &folder(&[("members", &source)])).sees("members: complete");
}

#[test]
fn the_types_have_every_parameter() {
    for command in TABLE {
        let begin = format!("    {}: Command<", command.name);
        let line = TYPES.lines().find(|line| line.starts_with(&begin)).unwrap();
        let names: Vec<&str> = command.parameters.iter().map(|parameter| parameter.name).collect();
        let told = line.split_once(" -- ").map_or("", |(_, names)| names);
        assert_eq!(told, names.join(", "), "{line}");
    }
}

/// Calls each function of `chat` that is not a command, as the types describe it.
#[test]
fn functions_take_what_the_types_tell() {
    let (_, own) = TYPES.split_once("declare chat: Client & {").unwrap();
    let line = |name: &str| own.lines().find(|line| line.starts_with(&format!("    {name}: ")));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.lua");
    let mut source = String::new();
    for (name, call, returned) in [
        ("after", "chat.after(0.01, function() end)", "Handle"),
        ("every", "chat.every(9, function() end)", "Handle"),
        ("spawn", "chat.spawn(function(a) return a end, 1)", "Handle"),
        ("now", "chat.now()", "number"),
        ("idle_seconds", "chat.idle_seconds()", "number"),
        ("sleep", "chat.sleep(0)", "()"),
        ("print", "chat.print('said')", "()"),
        ("log", "chat.log('info', 'said')", "()"),
        ("bell", "chat.bell()", "()"),
        ("client", "chat.client { as = 'carol' }", "Client"),
    ] {
        let told = line(name).unwrap_or_else(|| panic!("{name} is not told"));
        assert!(told.ends_with(&format!("-> {returned},")), "{told}");
        let is_so = match returned {
            "Handle" => "type(value) == 'table' and type(value.remove) == 'function'",
            "Client" => "type(value) == 'table' and value.name == 'carol'",
            "number" => "type(value) == 'number'",
            _ => "value == nil",
        };
        source += &format!("do local value = {call}\nassert({is_so}, '{name}')\n");
        source += if returned == "Handle" { "value:remove() end\n" } else { "end\n" };
    }
    source += "print('complete')";
    fs::write(&file, source).unwrap();
    let ended = Script::start(NOWHERE, &file, &[]).ends();
    assert_eq!((ended.status, ended.said.as_str()), (0, "said\ncomplete"), "{}", ended.errors);
}
