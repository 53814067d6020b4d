//! Talk with the server and without it.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn newcomers_are_announced_to_all() {
    let (mut server, mut class) = class_of(3);
    for mate in &mut class {
        let own: usize = mate.client.name.parse().unwrap();
        let seen = mate.client.all(|line| line["event"] == "initiated");
        let ids: Vec<&str> = seen.iter().map(|line| line["username"].as_str().unwrap()).collect();
        let expected: Vec<String> = (own..=3).map(|id| id.to_string()).collect();
        assert_eq!(ids, expected, "client {own} sees itself and all who come later");
    }
    for id in 1..=3 {
        server_shows(&mut server, &format!("Client {id}: initiated"));
    }
}

#[test]
fn text_appears_on_all_others_and_the_server() {
    let (mut server, mut class) = class_of(3);
    class[1].says("hello");
    class[0].hears("2", "hello");
    class[2].hears("2", "hello");
    server_shows(&mut server, "Client 2: hello");
    server.process.type_line("good day");
    for mate in &mut class {
        let said = mate.client.wait_event_with("notice", "code", "server_says");
        assert_eq!(said["message"], "Server: good day");
    }
}

#[test]
fn paste_of_500_lines_arrives_whole_and_in_order() {
    let (mut server, mut class) = class_of(2);
    for without_server in [false, true] {
        if without_server {
            exit(&mut server, &mut class);
        }
        let text = |n: usize| format!("line {n} {without_server}");
        let ids: Vec<u64> =
            (0..500).map(|n| class[0].client.tell("say", json!({ "text": text(n) }))).collect();
        for id in ids {
            let reply = class[0].client.reply(id);
            assert!(reply.get("error").is_none(), "{reply}");
        }
        for n in 0..500 {
            class[1].hears("1", &text(n));
        }
        let lines = class[1].client.all(|line| {
            line["text"].as_str().is_some_and(|said| said.ends_with(&format!(" {without_server}")))
        });
        let numbers: Vec<String> =
            lines.iter().map(|line| line["text"].as_str().unwrap().to_owned()).collect();
        assert_eq!(numbers, (0..500).map(text).collect::<Vec<_>>());
    }
}

#[test]
fn class_goes_on_after_exit() {
    let (mut server, mut class) = class_of(5);
    all_talk(&mut class, "first");
    exit(&mut server, &mut class);
    all_talk(&mut class, "second");
    let via = class[0].client.all(|line| line["text"] == "second of 5");
    assert_eq!(via[0]["via"], "peer");
}

#[test]
fn killed_client_gets_what_it_missed_when_it_is_back() {
    let (mut server, mut class) = class_of(3);
    exit(&mut server, &mut class);
    all_talk(&mut class, "before");
    class[2].client.process.kill();
    class[0].says("is 3 there?");
    class[1].hears("1", "is 3 there?");
    let mut third = class.pop().unwrap().killed_and_back(&server);
    third.hears("1", "is 3 there?");
    class.push(third);
    all_talk(&mut class, "after");
    assert_eq!(class[2].count("is 3 there?"), 1);
}

#[test]
fn killed_client_does_not_show_again_what_it_has_shown() {
    let (server, mut class) = class_of(2);
    class[0].says("before");
    let shown = class[1].hears("1", "before");
    class[1].has_saved(&server, &shown["number"]);
    class[1].client.process.kill();
    class[0].says("meanwhile");
    let mut second = class.pop().unwrap().killed_and_back(&server);
    second.hears("1", "meanwhile");
    class.push(second);
    all_talk(&mut class, "after");
    assert_eq!((class[1].count("before"), class[1].count("meanwhile")), (0, 1));
}

#[test]
fn clients_file_has_a_line_for_each() {
    let (server, class) = class_of(3);
    let line = |mate: &Classmate| format!("{} 127.0.0.1 {}\n", mate.client.name, mate.ports.1);
    let expected: String = class.iter().map(line).collect();
    // The file is written beside the announcements.
    let until = Instant::now() + Duration::from_secs(5);
    while clients_file(&server) != expected {
        assert!(Instant::now() < until, "{}", clients_file(&server));
        std::thread::yield_now();
    }
}
