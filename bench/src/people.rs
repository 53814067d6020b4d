//! Two people in a chat: two clients of the library, each on a core of its own, with the simplest
//! possible front end.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use async_channel::{Sender, bounded};
use async_io::block_on;
use letschat_core::event::Event;
use letschat_core::failure::Failure;
use letschat_core::session::{Reply, Request};
use letschat_engine::events::{Events, Told};
use letschat_engine::{Client, Config};
use letschat_protocol::printable::Printable;
use letschat_protocol::username::Username;

use crate::accounts::{Member, password};
use crate::programs::{BenchResult, Failed};
use crate::run::Bench;
use crate::server::ServerProcess;
use crate::sides;

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
        let config = config(server, data.to_owned())?;
        let client = Client::start(config)?;
        block_on(async {
            let events = client.subscribe().await?.events;
            let person = Person { client, events };
            person.log_in(&member.username).await?;
            act(&person).await
        })
    }

    async fn log_in(&self, username: &Username) -> BenchResult<()> {
        let username = Some(username.to_string());
        self.asks(Request::Login { username, password: Some(password()), take: false }).await?;
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
    let members = [bench.accounts.member(0), bench.accounts.member(1)];
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
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
        || Person::live(server, members[0], folders[0].path(), calls),
        || Person::live(server, members[1], folders[1].path(), is_called),
    )
}

async fn tell(what: &Sender<()>) -> BenchResult<()> {
    Ok(what.send(()).await?)
}

/// Returns the config of a client of this server, with its keys in this folder.
fn config(server: &ServerProcess, data_folder: PathBuf) -> BenchResult<Config> {
    Ok(Config {
        server: server.location().parse()?,
        data_folder,
        accept_new: true,
        peer_port: 0,
        peer_listen: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        detach_on_chat: false,
        tries: Some(1),
        return_after_idle: false,
    })
}
