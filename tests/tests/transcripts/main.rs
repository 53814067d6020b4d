//! docs/PROTOCOL.md, checked against the code: its transcripts are played to a real hub, and its tables are
//! compared with the types.
//!
//! A transcript is a block with the fence `transcript`, about one connection. Its lines:
//!
//! | line | meaning |
//! |---|---|
//! | `C: …` | the client sends this line |
//! | `C+ …` | the client also sends this line, which belongs to the payload |
//! | `S: …`, `S+ …` | the server's next line, without or in a payload |
//! | `S(bob): …`, `S(bob)+ …` | the server's next line to bob, whom a directive has logged in |
//! | `# …` | a directive: see [`DIRECTIVES`] |
//!
//! In a server's line `<some words>` stands for one word or a part of one, and `<rest>` for anything. In a
//! client's line `<key>` and `<signature>` are those of the user whom the line names; in a PREKEY, `<prekey>`
//! and `<signature>` are the client's own. `<first entry>` is that of the client's device list. `<envelope for NAME>` alone in a payload's line is an envelope that the
//! client seals for NAME, or one from the server that NAME can open. Any further line of the server is a failure, and so is an end of the connection that the transcript does not show. The clock
//! stands still unless a directive moves it.
#![allow(clippy::unwrap_used)]

mod mail;
mod test_hub;
mod vectors;

use std::collections::{BTreeMap, BTreeSet};

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Closing, Outcome, Request, USAGE};
use letschat_protocol::peer::Refusal;
use letschat_protocol::username::Username;
use letschat_server::hub::{ConnectionId, Input, LinkEnd, Operator, Settings};

use test_hub::{LoginKind, TestHub, name};

const DOCUMENT: &str = include_str!("../../../docs/PROTOCOL.md");

/// The minimum number of blocks, in case some are lost.
const MIN_TRANSCRIPTS: usize = 16;

/// The directives. NAME is a username, TEXT the rest of the line. A user whom a directive logs in also gets
/// an account. All passwords are [`hub::PASSWORD`]. The transcript's client is at 10.0.0.1, the others at
/// 10.0.0.2, 10.0.0.3 and so on, in their order.
const DIRECTIVES: &[(&str, Directive)] = &[
    ("NAME has an account", |replay, words| replay.hub.add_account(&name(words[0]))),
    ("NAME is logged in", |replay, words| replay.other(words[0], LoginKind::Program, None)),
    ("NAME is logged in at ADDRESS", |replay, words| {
        replay.other(words[0], LoginKind::Program, Some(words[1]));
    }),
    ("NAME is logged in by hand", |replay, words| replay.other(words[0], LoginKind::Hand, None)),
    ("NAME is logged in on another machine", |replay, words| {
        replay.other(words[0], LoginKind::OtherMachine, None);
    }),
    ("C is NAME, logged in", |replay, words| replay.client_is(words[0])),
    ("NAME hangs up", |replay, words| replay.hang_up(words[0])),
    ("NAME has published a prekey", |replay, words| {
        let connection = replay.user(words[0]);
        replay.hub.publish_prekey(connection);
    }),
    ("NAME posts an envelope to NAME", |replay, words| {
        replay.hub.post(replay.others[&name(words[0])], &name(words[1]));
    }),
    ("NAME broadcasts TEXT", |replay, words| replay.broadcast(words[0], words[1])),
    ("NUMBER s pass", |replay, words| replay.hub.pass(words[0].parse::<u64>().unwrap() * 1_000)),
    ("all places are taken", |replay, _| replay.fill_all_places()),
    ("the store is away", |replay, _| replay.hub.store.away = true),
    ("the operator says TEXT", |replay, words| {
        replay.hub.put(Input::Operator(Operator::Say(words[0].into())));
    }),
    ("the operator kicks NAME", |replay, words| {
        replay.hub.put(Input::Operator(Operator::Kick(name(words[0]))));
    }),
    ("the operator stops the server", |replay, _| replay.hub.put(Input::Operator(Operator::Stop))),
    ("the connection is closed", |replay, _| replay.told_of_end = true),
];

type Directive = fn(&mut Replay, &[&str]);

#[test]
fn every_transcript_is_what_the_server_says() {
    let transcripts = transcripts_of(DOCUMENT);
    assert!(transcripts.len() >= MIN_TRANSCRIPTS, "only {} transcripts", transcripts.len());
    let failures: Vec<String> =
        transcripts.iter().filter_map(|transcript| transcript.replay().err()).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}

#[test]
fn a_transcript_that_tells_it_wrong_is_found_out() {
    let right = "## Title\n```transcript\nS: 220 letschat-server <version>; say HELLO\nC: QUIT\n\
                 S: 221 Goodbye.\n# the connection is closed\n```\n";
    let replay = |text: &str| transcripts_of(text)[0].replay();
    assert_eq!(replay(right), Ok(()));
    for (from, to, line) in [
        ("221 Goodbye.", "221 Farewell.", 5),
        ("S: 221 Goodbye.\n", "", 6),
        ("S: 221 Goodbye.\n", "S: 221 Goodbye.\nS: and more\n", 6),
        ("C: QUIT", "C: HELP", 5),
        ("S: 220 letschat-server <version>; say HELLO\n", "", 3),
        ("# the connection is closed\n", "", 6),
        ("# the connection", "# the moon", 6),
        ("C: QUIT", "# the connection is closed\nC: QUIT", 4),
        ("# the connection is closed", "C: QUIT", 6),
    ] {
        let error = replay(&right.replace(from, to)).expect_err(to);
        assert!(error.starts_with(&format!("docs/PROTOCOL.md:{line}: in \"Title\"")), "{error}");
    }
}

#[test]
fn envelope_for_somebody_else_is_found_out() {
    let right = "## Title\n```transcript\n# alice is logged in\n# C is bob, logged in\n\
                 # bob has published a prekey\n# alice posts an envelope to bob\n\
                 S: * MAIL 1 <id> alice <time> +423\nS+ <envelope for bob>\n```\n";
    let replay = |text: &str| transcripts_of(text)[0].replay();
    assert_eq!(replay(right), Ok(()));
    for wrong in ["<envelope for carol>", "<envelope>"] {
        let error = replay(&right.replace("<envelope for bob>", wrong)).expect_err(wrong);
        assert!(error.starts_with("docs/PROTOCOL.md:8:"), "{error}");
    }
}

#[test]
fn the_table_of_codes_is_that_of_the_code() {
    let listed: Vec<(String, String)> =
        rows_under("Reply codes").map(|row| (row[0].clone(), row[1].clone())).collect();
    let codes: Vec<(String, String)> =
        Code::ALL.iter().map(|code| (code.to_string(), code.name().into())).collect();
    assert_eq!(listed, codes);
}

#[test]
fn the_tables_of_closings_and_refusals_are_those_of_the_code() {
    let closings: Vec<&str> = Closing::ALL.iter().map(|closing| closing.name()).collect();
    assert_eq!(first_cells("Closings"), closings);
    let refusals: Vec<&str> = Refusal::ALL.iter().map(|refusal| refusal.name()).collect();
    assert_eq!(first_cells("Refusals"), refusals);
}

#[test]
fn every_request_has_a_section_of_its_own() {
    let sections: Vec<&str> =
        DOCUMENT.lines().filter_map(|line| line.strip_prefix("#### ")).collect();
    let verbs: Vec<&str> = USAGE.iter().map(|(verb, _)| *verb).collect();
    assert_eq!(sections, verbs);
}

#[test]
fn table_of_outcomes_is_that_of_the_code() {
    let outcomes: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.name()).collect();
    assert_eq!(first_cells("POST"), outcomes);
}

/// Returns the rows of the first table under a heading, without its header and without back quotes.
fn rows_under(heading: &str) -> impl Iterator<Item = Vec<String>> {
    let is_heading = move |line: &&str| line.trim_start_matches('#').trim() != heading;
    let table = DOCUMENT.lines().skip_while(is_heading).skip_while(|line| !line.starts_with('|'));
    table.take_while(|line| line.starts_with('|')).skip(2).map(|row| {
        row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
    })
}

fn first_cells(heading: &str) -> Vec<String> {
    rows_under(heading).map(|row| row[0].clone()).collect()
}

/// A transcript of the document.
struct Transcript<'a> {
    heading: &'a str,
    /// The lines with their numbers in the document.
    lines: Vec<(usize, &'a str)>,
}

fn transcripts_of(document: &str) -> Vec<Transcript<'_>> {
    let mut transcripts = Vec::new();
    let mut heading = "";
    let mut lines = (1..).zip(document.lines());
    while let Some((_, line)) = lines.next() {
        if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim();
        }
        let fence = line.strip_prefix("```");
        if let Some(kind) = fence {
            let block = lines.by_ref().take_while(|(_, line)| *line != "```").collect();
            if kind == "transcript" {
                transcripts.push(Transcript { heading, lines: block });
            }
        }
    }
    transcripts
}

impl Transcript<'_> {
    fn replay(&self) -> Result<(), String> {
        let mut replay = Replay::new();
        for (index, (number, line)) in self.lines.iter().enumerate() {
            let next = self.lines.get(index + 1).map_or("", |(_, line)| line);
            replay.line(line, next).map_err(|why| self.failure(*number, &why))?;
        }
        let end = self.lines.last().map_or(0, |(number, _)| number + 1);
        replay.end().map_err(|why| self.failure(end, &why))
    }

    fn failure(&self, number: usize, why: &str) -> String {
        format!("docs/PROTOCOL.md:{number}: in \"{}\"\n{why}", self.heading)
    }
}

/// A transcript that is being played.
struct Replay {
    hub: TestHub,
    client: Option<ConnectionId>,
    others: BTreeMap<Username, ConnectionId>,
    /// The users whose lines the transcript shows, besides the client.
    shown: BTreeSet<Username>,
    /// The incomplete frame from the client.
    sending: Vec<u8>,
    told_of_end: bool,
}

impl Replay {
    fn new() -> Replay {
        Replay {
            hub: TestHub::new(),
            client: None,
            others: BTreeMap::new(),
            shown: BTreeSet::new(),
            sending: Vec::new(),
            told_of_end: false,
        }
    }

    /// Plays a line. A frame is complete unless the `next` line belongs to it.
    fn line(&mut self, line: &str, next: &str) -> Result<(), String> {
        if let Some(directive) = line.strip_prefix("# ") {
            self.direct(directive)?;
            let client_ended = self.client.is_some_and(|id| self.hub.wires[&id].closed);
            return if self.told_of_end && !client_ended {
                Err("expected: the end of the connection\ngot:      nothing of that kind".into())
            } else {
                Ok(())
            };
        }
        let (speaker, text) = line
            .split_once([':', '+'])
            .map(|(speaker, text)| (speaker, text.strip_prefix(' ').unwrap_or(text)))
            .ok_or("this is no line of a transcript")?;
        if speaker == "C" {
            return self.client_says(text, next);
        }
        let other = speaker.strip_prefix("S(").and_then(|rest| rest.strip_suffix(')'));
        let to = match other {
            Some(other) => {
                let other = name(other);
                self.shown.insert(other.clone());
                *self.others.get(&other).ok_or("nobody has logged them in")?
            }
            None if speaker == "S" => self.connected(),
            None => return Err("this is no line of a transcript".into()),
        };
        let said = self.hub.wires.get_mut(&to).unwrap().heard.pop_front();
        match said {
            Some(said) if matches(text, &said) => Ok(()),
            said => {
                let said = said.unwrap_or_else(|| "nothing".into());
                Err(format!("expected: {text}\ngot:      {said}"))
            }
        }
    }

    fn client_says(&mut self, text: &str, next: &str) -> Result<(), String> {
        let client = self.connected();
        self.nothing_unsaid()?;
        if self.hub.wires[&client].closed {
            return Err("expected: an open connection\ngot:      an end".into());
        }
        self.sending.extend(self.hub.filled(text, client));
        self.sending.push(b'\n');
        if !next.starts_with("C+") {
            let bytes = std::mem::take(&mut self.sending);
            self.hub.receive(client, &bytes);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let client = self.client.ok_or("nothing is said in this transcript")?;
        self.nothing_unsaid()?;
        match self.hub.wires[&client].closed && !self.told_of_end {
            true => Err("expected: no end of the connection\ngot:      an end".into()),
            false => Ok(()),
        }
    }

    /// Checks that the transcript contains everything the server sent.
    fn nothing_unsaid(&self) -> Result<(), String> {
        let shown = self.shown.iter().map(|name| self.others[name]);
        let mut unsaid = self.client.into_iter().chain(shown).filter_map(|id| {
            let said = self.hub.wires[&id].heard.front()?;
            Some(format!("expected: nothing more of the server\ngot:      {said}"))
        });
        unsaid.next().map_or(Ok(()), Err)
    }

    fn direct(&mut self, text: &str) -> Result<(), String> {
        let found = DIRECTIVES.iter().find_map(|(form, run)| Some((fill(form, text)?, run)));
        let (words, run) = found.ok_or("there is no such directive")?;
        run(self, &words);
        Ok(())
    }

    /// Returns the client's connection, and opens it on first use.
    fn connected(&mut self) -> ConnectionId {
        let hub = &mut self.hub;
        *self.client.get_or_insert_with(|| hub.connect("10.0.0.1"))
    }

    fn client_is(&mut self, who: &str) {
        let client = self.connected();
        self.hub.log_in(client, &name(who), LoginKind::Program);
    }

    fn other(&mut self, who: &str, manner: LoginKind, address: Option<&str>) {
        let next = format!("10.0.0.{}", self.others.len() + 2);
        let other = self.hub.connect(address.unwrap_or(&next));
        self.hub.log_in(other, &name(who), manner);
        self.others.insert(name(who), other);
    }

    /// Returns the connection of a user whom a directive has logged in.
    fn user(&mut self, who: &str) -> ConnectionId {
        match self.others.get(&name(who)) {
            Some(other) => *other,
            None => self.connected(),
        }
    }

    fn hang_up(&mut self, who: &str) {
        let connection = self.others[&name(who)];
        self.hub.put(Input::Gone { connection, why: LinkEnd::Ended });
    }

    fn broadcast(&mut self, who: &str, text: &str) {
        let from = self.others[&name(who)];
        let request = Request::Broadcast { text: text.into() };
        self.hub.receive(from, &request.to_frame().to_bytes());
        // The transcript does not show the sender's own lines.
        self.hub.wires.get_mut(&from).unwrap().heard.clear();
    }

    fn fill_all_places(&mut self) {
        for n in 0..Settings::default().places {
            let connection = self.hub.connect(&format!("10.0.1.{n}"));
            self.hub.log_in(connection, &name(&format!("user{n}")), LoginKind::Program);
        }
    }
}

/// Returns the words in place of NAME, ADDRESS, NUMBER and TEXT, or `None` if the text does not match the
/// form.
fn fill<'a>(form: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let (mut filled, mut rest) = (Vec::new(), text);
    for part in form.split_inclusive(' ') {
        let word = part.trim_end_matches([' ', ',']);
        let end = match word {
            "TEXT" => rest.len(),
            "NAME" | "ADDRESS" | "NUMBER" => rest.find([' ', ',']).unwrap_or(rest.len()),
            _ => {
                rest = rest.strip_prefix(part)?;
                continue;
            }
        };
        filled.push(&rest[..end]);
        rest = rest[end..].strip_prefix(&part[word.len()..])?;
    }
    rest.is_empty().then_some(filled)
}

/// Returns true if a line matches the transcript's line with its placeholders.
fn matches(pattern: &str, text: &str) -> bool {
    if pattern.starts_with("<envelope for ") {
        return pattern == text;
    }
    let placeholder = pattern.split_once('<').and_then(|(before, rest)| {
        let (name, after) = rest.split_once('>')?;
        Some((before, name, after))
    });
    let Some((before, name, after)) = placeholder else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(before) else {
        return false;
    };
    let longest = if name == "rest" { text.len() } else { text.find(' ').unwrap_or(text.len()) };
    (1..=longest).any(|end| text.is_char_boundary(end) && matches(after, &text[end..]))
}
