//! A message in a group: the time until the last member displays it, and the author's processor time for it. Then the
//! return of members who were away.
//!
//! The founder is the author. Their client is a program of its own, so that its processor time can be read. The other
//! members have clients of the library in this process, each with a front end on a thread of its own.

use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use async_executor::{LocalExecutor, Task};
use async_io::block_on;
use letschat_core::conversation::ConversationId;
use letschat_core::event::{Event, RequestKind};
use letschat_core::session::Request;
use letschat_engine::events::{Events, Told};
use letschat_protocol::username::Username;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::accounts::{Member, password};
use crate::json_client::JsonClient;
use crate::letters;
use crate::people::{Person, by};
use crate::plan::GroupSizes;
use crate::programs::{BenchResult, Failed};
use crate::report::{Bar, Row};
use crate::run::Bench;
use crate::server::ServerProcess;
use crate::statistics::Samples;

const FIGURE: &str = "group";

/// The group's name, and the conversation in it.
const NAME: &str = "team";
const CONVERSATION: &str = "#team";

/// The deadline of the whole forming. The founder's client sends several requests for each member, and the server reads
/// 20 a second from a connection.
const FORMING: Duration = Duration::from_secs(180);

/// The deadline of each message, and of the return.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause before each message that is timed. Meanwhile the clients record and acknowledge the last receipts.
const PAUSE: Duration = Duration::from_millis(30);

/// Forms a group, times messages in it, and lets some of its members leave and come back.
pub(crate) fn measure(bench: &Bench) -> BenchResult<Vec<Row>> {
    let GroupSizes { members, messages, away, kept } = bench.plan.group;
    let (others, online) = (members - 1, members - 1 - away);
    let server = ServerProcess::start(bench)?;
    let mut group = Group::form(bench, &server)?;
    // This one is not timed: the first receipt of each member asks the server for the founder's keys.
    group.say_until_confirmed()?;
    let before = group.founder.cpu_time()?;
    let mut times = Vec::with_capacity(messages);
    for _ in 0..messages {
        thread::sleep(PAUSE);
        times.push(group.say_until_confirmed()?);
    }
    let spent = group.founder.cpu_time()?.saturating_sub(before);

    group.quit(online..others)?;
    for _ in 0..kept {
        group.say(0..online)?;
    }
    let back = group.come_back(online..others)?;
    group.quit(0..others)?;

    let shown = format!("a message in a group until the last of {others} displays it: median");
    let cost_ms = spent.as_secs_f64() * 1_000.0 / messages as f64;
    let returned = format!("{away} members back in a group, login to the last of {kept} messages");
    let rows = [
        Row::median_of(FIGURE, shown, &Samples::of_times_ms(times), "ms").judged(Bar::AtMost(60.0)),
        Row::new(FIGURE, "the author's CPU a message in a group", cost_ms, "ms")
            .judged(Bar::AtMost(15.0)),
        Row::new(FIGURE, returned, back.as_secs_f64() * 1_000.0, "ms").judged(Bar::AtMost(2_000.0)),
    ];
    Ok(rows.into_iter().map(|row| row.with_clients(members)).collect())
}

/// A group in which the founder writes.
struct Group<'a> {
    server: &'a ServerProcess,
    founder: JsonClient,
    guests: Vec<Guest>,
    front_ends: Sender<News>,
    news: Receiver<News>,
    /// The number of messages so far.
    said: usize,
}

/// A member who was invited.
struct Guest {
    username: Username,
    person: Person,
    data: TempDir,
    is_invited: bool,
    /// True once the guest knows all members.
    is_complete: bool,
    /// The number of the last displayed message, and the time of its display.
    shown: usize,
    shown_at: Instant,
}

/// The number of a guest, and the progress.
type News = (usize, Progress);

/// The progress of a guest.
enum Progress {
    /// The guest is invited.
    Invited,
    /// The guest knows all members.
    Complete,
    /// The guest displays the founder's message of this number.
    Displayed { message: usize, at: Instant },
}

impl<'a> Group<'a> {
    /// Logs everybody in, and lets the founder invite the others one by one. They know each other only through the group.
    fn form(bench: &Bench, server: &'a ServerProcess) -> BenchResult<Group<'a>> {
        let (size, until) = (bench.plan.group.members, Instant::now() + FORMING);
        let mut founder = JsonClient::start(bench, server)?;
        founder.log_in(until, &bench.accounts.member(0).username)?;
        founder.ask(until, "group", &json!({"action": "create", "name": NAME}))?;
        let (front_ends, news) = channel();
        let mut guests = Vec::with_capacity(size);
        for number in 0..size - 1 {
            let front_end = FrontEnd { guest: number, size, news: front_ends.clone() };
            let member = bench.accounts.member(number + 1);
            guests.push(Guest::log_in(server, member, front_end, until)?);
        }
        let mut group = Group { server, founder, guests, front_ends, news, said: 0 };
        for number in 0..size - 1 {
            group.add(number, until)?;
        }
        group.wait(until, "all members know each other", |guests| {
            guests.iter().all(|guest| guest.is_complete)
        })?;
        Ok(group)
    }

    /// Lets the founder invite a guest, who joins.
    fn add(&mut self, number: usize, until: Instant) -> BenchResult<()> {
        let name = self.guests[number].username.to_string();
        let invite = json!({"action": "invite", "name": NAME, "who": name});
        self.founder.ask(until, "group", &invite)?;
        self.wait(until, "a guest is invited", |guests| guests[number].is_invited)?;
        let person = &self.guests[number].person;
        block_on(by(until, async {
            person.asks(Request::Approve(Some(CONVERSATION.into()))).await?;
            Ok(())
        }))?;
        let has_joined = |line: &Value| {
            line["event"] == "group_changed" && line["change"] == "joined" && line["who"] == name
        };
        self.founder.wait(until, "a guest joins", has_joined)?;
        Ok(())
    }

    /// Says something, and waits until these guests display it. Returns the time that takes.
    fn say(&mut self, hearers: Range<usize>) -> BenchResult<Duration> {
        self.said += 1;
        let message = json!({"to": CONVERSATION, "text": text(self.said)});
        let begin = Instant::now();
        // Answered once the message is on disk.
        self.founder.ask(begin + PATIENCE, "send", &message)?;
        let last = self.displayed(hearers, begin + PATIENCE)?;
        Ok(last.saturating_duration_since(begin))
    }

    /// Says something to everybody, and waits for all receipts too. Returns the time until the last display.
    fn say_until_confirmed(&mut self) -> BenchResult<Duration> {
        let time = self.say(0..self.guests.len())?;
        let until = Instant::now() + PATIENCE;
        for _ in 0..self.guests.len() {
            self.founder.wait(until, "a message is delivered", |line| {
                line["event"] == "message_state" && line["state"] == "delivered"
            })?;
        }
        Ok(time)
    }

    /// Lets these guests quit.
    fn quit(&self, guests: Range<usize>) -> BenchResult<()> {
        let until = Instant::now() + PATIENCE;
        for guest in &self.guests[guests] {
            block_on(by(until, guest.person.quits()))?;
        }
        Ok(())
    }

    /// Lets these guests come back at once. Returns the time from their logins by key until all display everything.
    fn come_back(&mut self, guests: Range<usize>) -> BenchResult<Duration> {
        let size = self.guests.len() + 1;
        for number in guests.clone() {
            let front_end = FrontEnd { guest: number, size, news: self.front_ends.clone() };
            let guest = &mut self.guests[number];
            guest.person = front_end.start(self.server, guest.data.path())?;
        }
        let begin = Instant::now();
        log_in_by_key(&self.guests[guests.clone()], begin + PATIENCE)?;
        let last = self.displayed(guests, begin + PATIENCE)?;
        Ok(last.saturating_duration_since(begin))
    }

    /// Waits until these guests display the last message. Returns the time at which all do.
    fn displayed(&mut self, guests: Range<usize>, until: Instant) -> BenchResult<Instant> {
        let said = self.said;
        self.wait(until, "the last message is displayed", |all| {
            all[guests.clone()].iter().all(|guest| guest.shown == said)
        })?;
        let last = self.guests[guests].iter().map(|guest| guest.shown_at).max();
        Ok(last.ok_or_else(|| Failed("nobody hears the founder".into()))?)
    }

    /// Notes the progress of the guests until this holds.
    fn wait(
        &mut self,
        until: Instant,
        what: &str,
        holds: impl Fn(&[Guest]) -> bool,
    ) -> BenchResult<()> {
        while !holds(&self.guests) {
            let left = until.saturating_duration_since(Instant::now());
            let Ok((number, progress)) = self.news.recv_timeout(left) else {
                return Err(Failed(format!("waited in vain until {what}")).into());
            };
            self.guests[number].note(progress)?;
        }
        Ok(())
    }
}

impl Guest {
    /// Logs a guest in by password, and waits until the server has what an invitation needs.
    fn log_in(
        server: &ServerProcess,
        member: &Member,
        front_end: FrontEnd,
        until: Instant,
    ) -> BenchResult<Guest> {
        let (username, data) = (member.username.clone(), tempfile::tempdir()?);
        let person = front_end.start(server, data.path())?;
        block_on(by(until, async {
            person.log_in(&username, Some(password())).await?;
            person.has_prekey().await?;
            person.has_device_list().await
        }))?;
        let (is_invited, is_complete) = (false, false);
        let (shown, shown_at) = (0, Instant::now());
        Ok(Guest { username, person, data, is_invited, is_complete, shown, shown_at })
    }

    /// Notes a progress. Fails if a message is missing or comes twice.
    fn note(&mut self, progress: Progress) -> BenchResult<()> {
        match progress {
            Progress::Invited => self.is_invited = true,
            Progress::Complete => self.is_complete = true,
            Progress::Displayed { message, .. } if message != self.shown + 1 => {
                let (who, last) = (&self.username, self.shown);
                let why = format!("{who} displays message {message} after message {last}");
                return Err(Failed(why).into());
            }
            Progress::Displayed { message, at } => {
                self.shown = message;
                self.shown_at = at;
            }
        }
        Ok(())
    }
}

/// Logs these guests in by key, all at once.
fn log_in_by_key(guests: &[Guest], until: Instant) -> BenchResult<()> {
    let executor = LocalExecutor::new();
    let logins: Vec<Task<BenchResult<()>>> = guests
        .iter()
        .map(|guest| executor.spawn(guest.person.log_in(&guest.username, None)))
        .collect();
    block_on(executor.run(by(until, async {
        for login in logins {
            login.await?;
        }
        Ok(())
    })))
}

/// The front end of a guest.
struct FrontEnd {
    guest: usize,
    /// The size of the whole group.
    size: usize,
    news: Sender<News>,
}

impl FrontEnd {
    /// Starts a client with the keys in this folder, and this front end on a thread of its own.
    fn start(self, server: &ServerProcess, data: &Path) -> BenchResult<Person> {
        let person = block_on(Person::begin(server, data))?;
        let events = person.events();
        // The thread ends with the client.
        thread::Builder::new().name("front end".into()).spawn(move || self.run(&events))?;
        Ok(person)
    }

    /// Displays everything at once.
    fn run(&self, events: &Events) {
        while let Ok(Told { event, receipt }) = events.recv_blocking() {
            receipt.confirm();
            let progress = match event {
                Event::Request { kind: RequestKind::Group, .. } => Progress::Invited,
                Event::GroupChanged { members, .. } if members.len() == self.size => {
                    Progress::Complete
                }
                Event::Message {
                    text, own: false, conversation: ConversationId::Group(_), ..
                } => Progress::Displayed { message: number(&text), at: Instant::now() },
                _ => continue,
            };
            if self.news.send((self.guest, progress)).is_err() {
                return;
            }
        }
    }
}

/// Returns the text of the founder's message of this number, as long as all texts are.
fn text(number: usize) -> String {
    let width = letters::TEXT_BYTES;
    format!("{number:x<width$}")
}

/// Returns the number of a message, or 0 if the text is not the founder's.
fn number(text: &str) -> usize {
    let digits = text.trim_end_matches('x');
    digits.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_tells_its_number() {
        for message in [1, 30, 140] {
            let text = text(message);
            assert_eq!((text.len(), number(&text)), (letters::TEXT_BYTES, message));
        }
        assert_eq!(number("hello"), 0);
    }
}
