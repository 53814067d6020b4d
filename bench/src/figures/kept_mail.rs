//! The time from the login of somebody who returns to the display of the last message that the server kept.

use std::path::Path;
use std::time::{Duration, Instant};

use letschat_core::session::Request;
use letschat_protocol::envelope::Recipient;
use letschat_protocol::username::Username;

use crate::accounts::Member;
use crate::letters::{self, Letter};
use crate::people::{Person, in_time};
use crate::programs::{BenchResult, Failed};
use crate::report::{Bar, Row};
use crate::run::Bench;
use crate::statistics::Samples;
use crate::under_load::ServerUnderLoad;

const FIGURE: &str = "kept_mail";

/// The people who write.
const SENDERS: usize = 10;

/// The most turns. Each takes some eight seconds, since the server reads 20 commands a second from a connection.
const MOST_TURNS: usize = 3;

/// Lets somebody return to the kept messages of all senders. Each turn is about another account, with an empty file.
pub(crate) fn measure(bench: &Bench) -> BenchResult<Vec<Row>> {
    let under_load = ServerUnderLoad::open(bench, SENDERS)?;
    under_load.load.wait("every sender has published a prekey", |crowd| {
        crowd.tally.mail.published >= SENDERS
    })?;
    let mut senders = Senders { under_load: &under_load, ids: 0 };
    let mut times = Vec::new();
    for turn in 0..bench.plan.turns.min(MOST_TURNS) {
        times.push(senders.write_to(bench.accounts.member(SENDERS + turn))?);
    }
    let times = Samples::new(times.iter().map(Duration::as_secs_f64));
    let kept = SENDERS * bench.plan.kept;
    let what = format!("{kept} kept envelopes of {SENDERS} senders, login to the last display");
    Ok(vec![Row::median_of(FIGURE, what, &times, "s").judged(Bar::AtMost(0.6))])
}

/// The senders, who are online.
struct Senders<'a> {
    under_load: &'a ServerUnderLoad<'a>,
    /// The number of envelopes so far.
    ids: u64,
}

impl Senders<'_> {
    /// Writes to somebody who leaves after approving all senders. Returns the time that the return takes.
    fn write_to(&mut self, reader: &Member) -> BenchResult<Duration> {
        let server = &self.under_load.server;
        let data = tempfile::tempdir()?;
        let kept = self.under_load.bench.plan.kept as u64;
        let to = Person::live(server, reader, data.path(), async |person| {
            person.has_prekey().await?;
            let to = self.recipient(&reader.username)?;
            self.post(&to, 1, 1)?;
            in_time(person.approves(SENDERS)).await?;
            // The server answers in order, so that it has the acknowledgements then.
            person.asks(Request::List).await?;
            person.quits().await?;
            Ok(to)
        })?;
        self.post(&to, 2, kept)?;
        self.come_back(reader, data.path())
    }

    /// Asks the server for the reader's device.
    fn recipient(&self, reader: &Username) -> BenchResult<Recipient> {
        let (load, name) = (&self.under_load.load, reader.to_string());
        let known = load.with(move |crowd| {
            crowd.ask_keys(0, name);
            crowd.tally.mail.keys.len()
        })?;
        load.wait("the server tells the reader's device", move |crowd| {
            crowd.tally.mail.keys.len() > known || !crowd.tally.failures.is_empty()
        })?;
        self.check()?;
        let keys = load.with(|crowd| crowd.tally.mail.keys.last().cloned())?;
        let keys = keys.ok_or_else(|| Failed("the reader has no device".into()))?;
        let username = reader.clone();
        Ok(Recipient { username, device: keys.device, prekey: keys.prekey.key })
    }

    /// Lets each sender post messages, from this number in its conversation on, and waits until the server has all.
    fn post(&mut self, to: &Recipient, first: u64, each: u64) -> BenchResult<()> {
        let ServerUnderLoad { bench, server, load, .. } = self.under_load;
        let mut all = Vec::new();
        for sender in 0..SENDERS {
            let from = bench.accounts.member(sender);
            let mut letters = Vec::new();
            for sequence in first..first + each {
                self.ids += 1;
                let envelope = letters::seal(from, to, server.fingerprint(), sequence)?;
                letters.push(Letter { id: letters::id(self.ids), envelope });
            }
            all.push(letters);
        }
        let through = self.ids;
        load.with(move |crowd| {
            for (sender, letters) in all.into_iter().enumerate() {
                crowd.post(sender, letters);
            }
        })?;
        load.wait("the server has every envelope", move |crowd| {
            crowd.tally.mail.posted >= through || !crowd.tally.failures.is_empty()
        })?;
        self.check()
    }

    fn check(&self) -> BenchResult<()> {
        match self.under_load.load.with(|crowd| crowd.tally.failures.first().cloned())? {
            Some(failure) => Err(Failed(format!("something was refused: {failure}")).into()),
            None => Ok(()),
        }
    }

    /// Logs the reader in by key, and returns the time until the last message is displayed.
    fn come_back(&self, reader: &Member, data: &Path) -> BenchResult<Duration> {
        let kept = SENDERS * self.under_load.bench.plan.kept;
        Person::start(&self.under_load.server, data, async |person| {
            let returns = async {
                let begin = Instant::now();
                person.log_in(&reader.username, None).await?;
                for _ in 0..kept {
                    person.reads().await?;
                }
                Ok(begin.elapsed())
            };
            let time = in_time(returns).await?;
            person.quits().await?;
            Ok(time)
        })
    }
}
