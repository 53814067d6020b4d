//! Answers as lines of text.

use std::fmt;
use std::iter;

use chrono::{DateTime, Utc};
use letschat_protocol::limits::MAX_BROADCAST_BYTES;
use letschat_protocol::printable::Printable;
use letschat_server::hub::{
    Occupancy, OperatorAnswer, SessionPage, SessionPlace, SessionSummary, Stats,
};

use letschat_server::store::cluster::ServerName;

use super::Rules;
use super::command::{COMMANDS, Mistake};

const COLUMNS: [&str; 8] =
    ["username", "address", "port", "kind", "since (UTC)", "for", "idle", "delivery"];

/// Returns the lines to print for an answer. In a classroom a text that was said needs none on a
/// terminal, which shows it already.
pub(super) fn lines(rules: Rules, answer: &OperatorAnswer) -> Vec<String> {
    match answer {
        OperatorAnswer::Sessions(page) => list(page),
        OperatorAnswer::Said { text, recipients: 0, later } => {
            iter::once(format!("said to nobody: {}", Printable(text))).chain(late(later)).collect()
        }
        OperatorAnswer::Said { text, recipients, later } => match rules {
            Rules::Standard => {
                let said = format!("said to {recipients}: {}", Printable(text));
                iter::once(said).chain(late(later)).collect()
            }
            Rules::Classroom { is_typed: true } => Vec::new(),
            Rules::Classroom { is_typed: false } => vec![format!("Server: {}", Printable(text))],
        },
        OperatorAnswer::Kicked { username, later } if later.is_empty() => {
            vec![format!("{} was told so, and is out.", Printable(username.as_str()))]
        }
        OperatorAnswer::Kicked { username, later } => {
            let name = Printable(username.as_str());
            vec![format!("{name} is out as soon as this is heard at {}.", named(later))]
        }
        OperatorAnswer::NotHere { username, server } => {
            let (name, mark) = (Printable(username.as_str()), rules.mark());
            let place = server.as_ref().map_or("here".to_owned(), |server| format!("at {server}"));
            vec![format!("Nobody was kicked: {name} is not {place}; `{mark}list` shows who is.")]
        }
        OperatorAnswer::Stats(stats) => statistics(stats),
        OperatorAnswer::NoServer { server, servers } if servers.is_empty() => {
            vec![format!(
                "Nothing was done: {server} is no server here; this one belongs to no cluster."
            )]
        }
        OperatorAnswer::NoServer { server, servers } => {
            vec![format!("Nothing was done: no server {server} is there, but {}.", named(servers))]
        }
    }
}

/// Returns a line about the servers that hear of something later.
fn late(servers: &[ServerName]) -> Option<String> {
    let is_any = !servers.is_empty();
    is_any.then(|| format!("It is said at {} as soon as it is heard there.", named(servers)))
}

/// Returns all commands, one per line.
pub(super) fn help(rules: Rules) -> Vec<String> {
    let entry = |(usage, summary): &(&str, &str)| {
        [format!("{}{usage}", rules.mark()), (*summary).to_owned()]
    };
    let mut lines = aligned(COMMANDS.iter().map(entry).collect());
    if rules != Rules::Standard {
        lines.push("Any other text is said to everybody, and `exit` needs no slash.".into());
    }
    lines
}

pub(super) fn too_long(bytes: u64) -> Vec<String> {
    vec![format!(
        "Nothing was said: a text has at most {MAX_BROADCAST_BYTES} bytes, and that has {bytes}."
    )]
}

pub(super) fn not_utf8() -> Vec<String> {
    vec!["Nothing was said: that line is not UTF-8.".into()]
}

pub(super) fn mistake(rules: Rules, mistake: Mistake) -> Vec<String> {
    let mark = rules.mark();
    let meant = match mistake {
        Mistake::Misused(usage) => format!("the command is `{mark}{usage}`."),
        Mistake::Mistyped(usage) => format!("did you mean `{mark}{usage}`?"),
        Mistake::Foreign => format!("that is no command here; `{mark}help` shows which are."),
        Mistake::Unprintable => "the line has control characters, as arrow keys type them.".into(),
    };
    vec![format!("Nothing was done: {meant} `{mark}say` before a text says it to everybody.")]
}

pub(super) fn no_username(why: impl fmt::Display) -> Vec<String> {
    vec![format!("Nobody was kicked: {why}.")]
}

fn list(page: &SessionPage) -> Vec<String> {
    let mut lines = Vec::new();
    if !page.sessions.is_empty() {
        let head = COLUMNS.map(str::to_owned);
        lines = aligned(iter::once(head).chain(page.sessions.iter().map(row)).collect());
    }
    lines.push(occupancy(page.occupancy));
    lines
}

fn row(session: &SessionSummary) -> [String; 8] {
    let (idle, delivery) = match &session.at {
        SessionPlace::Here { idle_ms, datagrams } => {
            (duration(*idle_ms), if *datagrams { "UDP" } else { "TCP" }.into())
        }
        SessionPlace::Elsewhere(server) => ("-".into(), format!("by {server}")),
    };
    [
        Printable(session.username.as_str()).to_string(),
        session.address.to_string(),
        session.port.map_or_else(|| "-".into(), |port| port.to_string()),
        if session.by_hand { "by hand" } else { "program" }.into(),
        time(session.since_wall_ms),
        duration(session.logged_in_ms),
        idle,
        delivery,
    ]
}

fn occupancy(occupancy: Occupancy) -> String {
    let Occupancy { taken, places, before_login } = occupancy;
    let connections = if before_login == 1 { "connection" } else { "connections" };
    format!("{taken} of {places} places taken; {before_login} {connections} before login")
}

fn statistics(stats: &Stats) -> Vec<String> {
    let Stats { tally, .. } = stats;
    let up = format!("{}, since {} UTC", duration(stats.up_ms), time(stats.since_wall_ms));
    let connections =
        format!("{}, turned away for want of a place: {}", tally.connections, tally.turned_away);
    let broadcasts = format!(
        "{} sent, {} kept, the last has number {}",
        tally.broadcasts, stats.broadcasts_kept, stats.last_broadcast
    );
    let envelopes = format!(
        "{} posted, {} delivered to devices",
        tally.envelopes_posted, tally.envelopes_delivered
    );
    let logins = format!("{} accepted, {} refused", tally.logins_accepted, tally.logins_refused);
    let sent = format!("{} over TCP, {} datagrams", amount(tally.bytes_sent), tally.datagrams_sent);
    let heard =
        format!("{} lines over TCP, {} datagrams", tally.lines_heard, tally.datagrams_heard);
    let rows = [
        ("up", up),
        ("sessions", occupancy(stats.occupancy)),
        ("connections", connections),
        ("accounts made", tally.sign_ups.to_string()),
        ("logins", logins),
        ("broadcasts", broadcasts),
        ("relays", stats.relays.to_string()),
        ("envelopes", envelopes),
        ("sent", sent),
        ("heard", heard),
        ("store failures", tally.store_failures.to_string()),
    ];
    let servers = [("servers", named(&stats.servers))];
    let servers = servers.into_iter().filter(|_| !stats.servers.is_empty());
    aligned(servers.chain(rows).map(|(label, value)| [label.to_owned(), value]).collect())
}

fn named(servers: &[ServerName]) -> String {
    servers.iter().map(ServerName::as_str).collect::<Vec<_>>().join(", ")
}

/// Returns rows as lines with aligned columns.
fn aligned<const N: usize>(rows: Vec<[String; N]>) -> Vec<String> {
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: [String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  "));
        cells.collect::<String>().trim_end().to_owned()
    };
    rows.into_iter().map(line).collect()
}

fn time(wall_ms: u64) -> String {
    let time = i64::try_from(wall_ms).ok().and_then(DateTime::<Utc>::from_timestamp_millis);
    time.unwrap_or_default().format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Formats a duration in its largest unit, and from hours on with the next smaller one too.
fn duration(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} min"),
        3_600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

fn amount(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} bytes");
    }
    let mut amount = bytes as f64 / 1_024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while amount >= 1_024.0
        && let Some(larger) = units.next()
    {
        amount /= 1_024.0;
        unit = Some(larger);
    }
    format!("{amount:.1} {}", unit.unwrap_or(&""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_server::hub::Tally;

    fn session(name: &str, port: Option<u16>) -> SessionSummary {
        SessionSummary {
            username: name.parse().unwrap(),
            address: "10.0.0.1".parse().unwrap(),
            port,
            by_hand: port.is_none(),
            since_wall_ms: 1_795_254_442_617,
            logged_in_ms: 3_780_000,
            at: SessionPlace::Here { idle_ms: 12_000, datagrams: port.is_some() },
        }
    }

    #[test]
    fn the_list_stands_in_columns_and_ends_with_the_count() {
        let page = SessionPage {
            sessions: vec![session("al", Some(4401)), session("harriet-the-typist", None)],
            more: false,
            occupancy: Occupancy { taken: 2, places: 50, before_login: 1 },
        };
        let expected = "\
username            address   port  kind     since (UTC)          for        idle  delivery
al                  10.0.0.1  4401  program  2026-11-21 09:47:22  1 h 3 min  12 s  UDP
harriet-the-typist  10.0.0.1  -     by hand  2026-11-21 09:47:22  1 h 3 min  12 s  TCP
2 of 50 places taken; 1 connection before login";
        assert_eq!(lines(Rules::Standard, &OperatorAnswer::Sessions(page)).join("\n"), expected);
    }

    #[test]
    fn where_nobody_is_the_list_is_the_count() {
        let occupancy = Occupancy { taken: 0, places: 3, before_login: 0 };
        let page = SessionPage { sessions: Vec::new(), more: false, occupancy };
        let shown = lines(Rules::Standard, &OperatorAnswer::Sessions(page));
        assert_eq!(shown, ["0 of 3 places taken; 0 connections before login"]);
    }

    #[test]
    fn the_statistics_have_every_number() {
        let stats = Stats {
            servers: Vec::new(),
            since_wall_ms: 1_795_254_442_617,
            up_ms: 90_061_000,
            occupancy: Occupancy { taken: 3, places: 50, before_login: 0 },
            broadcasts_kept: 5,
            last_broadcast: 42,
            relays: 2,
            tally: Tally {
                connections: 120,
                turned_away: 2,
                sign_ups: 4,
                logins_accepted: 12,
                logins_refused: 3,
                broadcasts: 7,
                envelopes_posted: 9,
                envelopes_delivered: 8,
                store_failures: 1,
                lines_heard: 523,
                bytes_sent: 106_500,
                datagrams_heard: 312,
                datagrams_sent: 310,
            },
        };
        let expected = "\
up              1 d 1 h, since 2026-11-21 09:47:22 UTC
sessions        3 of 50 places taken; 0 connections before login
connections     120, turned away for want of a place: 2
accounts made   4
logins          12 accepted, 3 refused
broadcasts      7 sent, 5 kept, the last has number 42
relays          2
envelopes       9 posted, 8 delivered to devices
sent            104.0 KiB over TCP, 310 datagrams
heard           523 lines over TCP, 312 datagrams
store failures  1";
        let shown = |stats: &Stats| {
            lines(Rules::Standard, &OperatorAnswer::Stats(stats.clone())).join("\n")
        };
        assert_eq!(shown(&stats), expected);
        let servers = ["a", "b.org:1"].map(|name| name.parse().unwrap()).to_vec();
        let of_two = shown(&Stats { servers, ..stats });
        assert_eq!(of_two, format!("servers         a, b.org:1\n{expected}"));
    }

    #[test]
    fn what_was_said_is_shown_as_it_can_be() {
        let said = |recipients| {
            let (text, later) = ("lst\u{1b}[2J".into(), Vec::new());
            OperatorAnswer::Said { text, recipients, later }
        };
        assert_eq!(lines(Rules::Standard, &said(3)), [r"said to 3: lst\u{1b}[2J"]);
        assert_eq!(lines(Rules::Standard, &said(0)), [r"said to nobody: lst\u{1b}[2J"]);
    }

    #[test]
    fn times_and_amounts_are_told_in_units_of_their_size() {
        for (ms, told) in [
            (0, "0 s"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (3_599_999, "59 min"),
            (3_600_000, "1 h 0 min"),
            (86_399_999, "23 h 59 min"),
            (86_400_000, "1 d 0 h"),
        ] {
            assert_eq!(duration(ms), told);
        }
        for (bytes, told) in [
            (1_023, "1023 bytes"),
            (1_024, "1.0 KiB"),
            (1_572_864, "1.5 MiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(amount(bytes), told);
        }
    }
}
