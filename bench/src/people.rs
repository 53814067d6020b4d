//! Two people in a chat: two clients of the library, each with its session's thread and a front
//! end's, which waits in the plainest way.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use async_channel::Receiver;
use futures_lite::future::{block_on, zip};
use letschat::event::Event;
use letschat::session::{Failure, Reply, Request};
use letschat::{Client, Config};
use letschat_protocol::printable::Printable;
use letschat_protocol::username::Username;
use tempfile::TempDir;

use crate::accounts::{Member, password};
use crate::programs::{Failed, Outcome};
use crate::run::Bench;
use crate::server::ServerProcess;
use crate::sides;

/// One of the two.
pub(crate) struct Person {
    pub(crate) name: Username,
    pub(crate) client: Client,
    pub(crate) events: Receiver<Event>,
    /// Where its keys are, if nobody else needs them.
    data: Option<TempDir>,
}

impl Person {
    /// Logs in by password, in a folder of its own.
    pub(crate) fn arrive(server: &ServerProcess, member: &Member) -> Outcome<Person> {
        let data = tempfile::tempdir()?;
        let mut person = Person::arrive_in(server, member, data.path())?;
        person.data = Some(data);
        Ok(person)
    }

    /// The same in this folder.
    pub(crate) fn arrive_in(
        server: &ServerProcess,
        member: &Member,
        data: &Path,
    ) -> Outcome<Person> {
        let (client, events) = Client::start(config(server, data.to_owned())?)?;
        let person = Person { name: member.username.clone(), client, events, data: None };
        person.asks(Request::Login {
            username: Some(member.username.to_string()),
            password: Some(password()),
            take: false,
        })?;
        Ok(person)
    }

    /// Wants something and waits for it.
    pub(crate) fn asks(&self, request: Request) -> Result<Reply, Failure> {
        block_on(self.client.request(request))
    }

    /// Waits for the next message and shows it, if only to nobody.
    pub(crate) fn reads(&self) -> Outcome<usize> {
        block_on(async {
            loop {
                match self.events.recv().await? {
                    Event::Message { text, .. } => return Ok(show(&text)),
                    Event::ChatClosed { reason, .. } => {
                        return Err(Failed(format!("the chat ended by itself: {reason}")).into());
                    }
                    _ => {}
                }
            }
        })
    }
}

/// A text as it is shown at a terminal; its length.
fn show(text: &str) -> usize {
    std::hint::black_box(Printable(text).to_string()).len()
}

/// Two people whose chat has just opened, and the server that introduced them.
pub(crate) fn in_a_chat(bench: &Bench) -> Outcome<(Person, Person, ServerProcess)> {
    let server = ServerProcess::start(bench)?;
    let (one, other) = sides::both(
        || Person::arrive(&server, bench.accounts.member(0)),
        || Person::arrive(&server, bench.accounts.member(1)),
    )?;
    let connect = Request::Connect { who: other.name.to_string(), force: false };
    let connecting = one.client.request(connect);
    let approving = async {
        while !matches!(other.events.recv().await, Ok(Event::Request { .. }) | Err(_)) {}
        other.client.request(Request::Approve(None)).await
    };
    let (connected, approved) = block_on(zip(connecting, approving));
    connected?;
    approved?;
    Ok((one, other, server))
}

/// A client of this server, with its keys here.
fn config(server: &ServerProcess, data_folder: PathBuf) -> Outcome<Config> {
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
