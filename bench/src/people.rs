//! People with a client of the library and the simplest possible front end. Two in a conversation are each on a core
//! of its own.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_channel::{Sender, bounded};
use async_io::{Timer, block_on};
use futures_lite::future;
use letschat_core::conversation::MessageState;
use letschat_core::event::{Event, RequestKind};
use letschat_core::failure::Failure;
use letschat_core::session::{Reply, Request};
use letschat_engine::events::{Events, Told};
use letschat_engine::{Client, Config};
use letschat_protocol::dialogue::Secret;
use letschat_protocol::printable::Printable;
use letschat_protocol::username::Username;

use crate::accounts::{Member, password};
use crate::programs::{BenchResult, Failed};
use crate::run::Bench;
use crate::server::ServerProcess;
use crate::sides;

/// The timeout of people whose messages come through the server.
const PATIENCE: Duration = Duration::from_secs(90);

/// One person with a client.
pub(crate) struct Person {
    pub(crate) client: Client,
    events: Events,
}

impl Person {
    /// Logs in by password with the keys in this folder, runs `act`, and logs out.
    pub(crate) fn live<T>(
        server: &ServerProcess,
        member: &Member,
        data: &Path,
        act: impl AsyncFnOnce(&Person) -> BenchResult<T>,
    ) -> BenchResult<T> {
        Person::live_with(config(server, data.to_owned())?, member, act)
    }

    /// The same with a config.
    fn live_with<T>(
        config: Config,
        member: &Member,
        act: impl AsyncFnOnce(&Person) -> BenchResult<T>,
    ) -> BenchResult<T> {
        block_on(async {
            let person = Person::begin_with(config).await?;
            person.log_in(&member.username, Some(password())).await?;
            act(&person).await
        })
    }

    /// Runs `act` with a client that has the keys in this folder and no link yet.
    pub(crate) fn start<T>(
        server: &ServerProcess,
        data: &Path,
        act: impl AsyncFnOnce(&Person) -> BenchResult<T>,
    ) -> BenchResult<T> {
        block_on(async {
            let person = Person::begin(server, data).await?;
            act(&person).await
        })
    }

    /// Starts a client that has the keys in this folder and no link yet.
    pub(crate) async fn begin(server: &ServerProcess, data: &Path) -> BenchResult<Person> {
        Person::begin_with(config(server, data.to_owned())?).await
    }

    async fn begin_with(config: Config) -> BenchResult<Person> {
        let client = Client::start(config)?;
        let events = client.subscribe().await?.events;
        Ok(Person { client, events })
    }

    /// Returns the events, for a front end that is their only reader.
    pub(crate) fn events(&self) -> Events {
        self.events.clone()
    }

    /// Logs in, by key if there is no password.
    pub(crate) async fn log_in(
        &self,
        username: &Username,
        password: Option<Secret>,
    ) -> BenchResult<()> {
        let username = Some(username.to_string());
        self.asks(Request::Login { username, password, take: false }).await?;
        Ok(())
    }

    /// Quits, and waits for the client's end.
    pub(crate) async fn quits(&self) -> BenchResult<()> {
        self.asks(Request::Quit).await?;
        self.client.finished().await;
        Ok(())
    }

    /// Waits until the server has the prekey of a client that has just logged in.
    pub(crate) async fn has_prekey(&self) -> BenchResult<()> {
        // The client publishes it at once, and the server answers in order.
        self.asks(Request::List).await?;
        Ok(())
    }

    /// Waits until the server has the device list of a client that has just logged in, which begins one.
    pub(crate) async fn has_device_list(&self) -> BenchResult<()> {
        loop {
            let reply = self.asks(Request::Devices).await?;
            if let Reply::Devices { devices, .. } = reply
                && devices.iter().any(|device| device.this)
            {
                return Ok(());
            }
        }
    }

    /// Sends a message in an envelope to somebody online.
    pub(crate) async fn writes(&self, to: &Username, text: String) -> BenchResult<()> {
        match self.asks(Request::Send { to: to.to_string(), text }).await? {
            Reply::Sent { state: MessageState::Waiting, code, .. } => {
                Err(Failed(format!("a message waits in the outbox: {code:?}")).into())
            }
            _ => Ok(()),
        }
    }

    /// Approves this many people who write for the first time, and reads their messages.
    pub(crate) async fn approves(&self, people: usize) -> BenchResult<()> {
        let mut read = 0;
        while read < people {
            let Told { event, receipt } = self.events.recv().await?;
            receipt.confirm();
            match event {
                Event::Request { from, kind: RequestKind::Message, .. } => {
                    self.asks(Request::Approve(Some(from.to_string()))).await?;
                }
                Event::Message { own: false, .. } => read += 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn asks(&self, request: Request) -> Result<Reply, Failure> {
        self.client.request(request).await
    }

    /// Waits for the next message, and formats it like a front end.
    pub(crate) async fn reads(&self) -> BenchResult<usize> {
        loop {
            let Told { event, receipt } = self.events.recv().await?;
            receipt.confirm();
            match event {
                Event::Message { text, own: false, .. } => return Ok(show(&text)),
                Event::ChatClosed { reason, .. } => {
                    return Err(Failed(format!("the chat ended by itself: {reason}")).into());
                }
                _ => {}
            }
        }
    }
}

/// Formats a text for a terminal and returns its length.
fn show(text: &str) -> usize {
    std::hint::black_box(Printable(text).to_string()).len()
}

/// Connects two people in a chat, and runs a function for each.
pub(crate) fn in_a_chat<A: Send, B: Send>(
    bench: &Bench,
    server: &ServerProcess,
    one: impl AsyncFnOnce(&Person) -> BenchResult<A> + Send,
    other: impl AsyncFnOnce(&Person) -> BenchResult<B> + Send,
) -> BenchResult<(A, B)> {
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let config = |number: usize| config(server, folders[number].path().to_owned());
    in_a_chat_of(bench, [config(0)?, config(1)?], one, other)
}

/// The same with these configs.
pub(crate) fn in_a_chat_of<A: Send, B: Send>(
    bench: &Bench,
    [calling, called]: [Config; 2],
    one: impl AsyncFnOnce(&Person) -> BenchResult<A> + Send,
    other: impl AsyncFnOnce(&Person) -> BenchResult<B> + Send,
) -> BenchResult<(A, B)> {
    let members = [bench.accounts.member(0), bench.accounts.member(1)];
    let (there, is_there) = bounded(1);
    // The first to finish waits, so that the other's last message is confirmed.
    let (done, is_done) = bounded(1);
    let calls = async |person: &Person| {
        is_there.recv().await?;
        let who = members[1].username.to_string();
        person.asks(Request::Connect { who, force: false, switch: true }).await?;
        let result = one(person).await?;
        is_done.recv().await?;
        Ok(result)
    };
    let is_called = async |person: &Person| {
        tell(&there).await?;
        while !matches!(person.events.recv().await?.event, Event::Request { .. }) {}
        person.asks(Request::Approve(None)).await?;
        let result = other(person).await?;
        tell(&done).await?;
        Ok(result)
    };
    sides::both(
        || Person::live_with(calling, members[0], calls),
        || Person::live_with(called, members[1], is_called),
    )
}

/// Logs in two people who approve each other's messages, and runs a function for each.
pub(crate) fn as_friends<A: Send, B: Send>(
    server: &ServerProcess,
    members: [&Member; 2],
    one: impl AsyncFnOnce(&Person) -> BenchResult<A> + Send,
    other: impl AsyncFnOnce(&Person) -> BenchResult<B> + Send,
) -> BenchResult<(A, B)> {
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let [first, second] = members.map(|member| &member.username);
    let (there, is_there) = bounded(1);
    let writes = async |person: &Person| {
        in_time(async {
            is_there.recv().await?;
            // The author of a first message accepts the answer.
            person.writes(second, "hello".into()).await?;
            person.reads().await?;
            one(person).await
        })
        .await
    };
    let is_written_to = async |person: &Person| {
        in_time(async {
            person.has_prekey().await?;
            tell(&there).await?;
            person.approves(1).await?;
            person.writes(first, "hello".into()).await?;
            other(person).await
        })
        .await
    };
    sides::both(
        || Person::live(server, members[0], folders[0].path(), writes),
        || Person::live(server, members[1], folders[1].path(), is_written_to),
    )
}

/// Fails if something takes too long, so that a fault of one side does not keep the other waiting.
pub(crate) async fn in_time<T>(what: impl Future<Output = BenchResult<T>>) -> BenchResult<T> {
    by(Instant::now() + PATIENCE, what).await
}

/// Fails if something is not done by then.
pub(crate) async fn by<T>(
    until: Instant,
    what: impl Future<Output = BenchResult<T>>,
) -> BenchResult<T> {
    let too_late = async {
        Timer::at(until).await;
        Err(Failed("somebody waited in vain for a message or an answer".into()).into())
    };
    future::or(what, too_late).await
}

async fn tell(what: &Sender<()>) -> BenchResult<()> {
    Ok(what.send(()).await?)
}

/// Returns the config of a client of this server, with its keys in this folder.
pub(crate) fn config(server: &ServerProcess, data_folder: PathBuf) -> BenchResult<Config> {
    Ok(Config {
        server: server.location().parse()?,
        downloads: data_folder.join("downloads"),
        history: None,
        data_folder,
        accept_new: true,
        peer_port: 0,
        peer_listen: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        detach_on_chat: false,
        tries: Some(1),
        return_after_idle: false,
        device_name: None,
        classroom: None,
    })
}
