//! A link to a peer: TLS with both sides' raw public keys over any byte stream, then the messages
//! of the peer protocol. It depends neither on the kind of stream nor on a listener for its
//! occurrences.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_executor::{LocalExecutor, Task};
use async_io::Timer;
use async_net::TcpStream;
use futures_lite::{AsyncRead, AsyncWrite, FutureExt as _};
use futures_rustls::{TlsAcceptor, TlsConnector};
use letschat_core::conversation::LinkPath;
use letschat_protocol::frame::Frame;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::peer::PeerMessage;
use letschat_protocol::tls::{arrived_key, unused_name};

use super::happy_eyeballs::first_success;
use super::link::{self, End, Unreadable};
use super::meeting::{self, Rendezvous};
use super::outbox::Outbox;
use super::socket::Wrap;
use super::tls::{PeerTls, is_somebody_else};
use super::{HANDSHAKE_TIMEOUT, Occurrence, within};
use letschat_core::session::delivery::{MAX_UNCONFIRMED, MAX_UNCONFIRMED_BYTES};
use letschat_core::session::{Dial, Input, LinkId, MeetingAnswer, NoMeeting, PeerLoss};

/// The limit of the outbox. A link that is further behind is broken, and the session still has its
/// undelivered messages. All unconfirmed messages of a chat fit with a line each, since they are
/// sent at once when a link is resumed. There is some room for other messages.
const OUTBOX_BYTES: usize = MAX_UNCONFIRMED_BYTES + MAX_UNCONFIRMED * LINE_BYTES + 64 * 1024;

/// The bytes of `MESSAGE`, two numbers of at most 20 digits, and their separators.
const LINE_BYTES: usize = 64;

/// The most wishes for a meeting, and the time between them. An earlier meeting with the same peer is over by then.
const MAX_WISHES: usize = 15;
const WISH_INTERVAL: Duration = Duration::from_secs(1);

/// A byte stream for a peer link: TCP, or anything that carries bytes both ways.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// A stream to a peer whose key is proved.
pub(crate) type PeerStream = Pin<Box<dyn ByteStream>>;

/// A function that takes over the stream of a link.
type Heir = Rc<RefCell<Option<Box<dyn FnOnce(PeerStream)>>>>;

/// One link, from its dial or arrival to its end.
pub(crate) struct PeerLink {
    outbox: Rc<Outbox>,
    task: Task<()>,
    /// Takes the stream once the outbox is sent.
    heir: Heir,
    /// Takes the answers to wishes for a meeting, while the link is dialled.
    meetings: Option<Sender<MeetingAnswer>>,
}

impl PeerLink {
    /// Starts to reach a peer.
    pub(crate) fn dial(
        executor: &LocalExecutor<'static>,
        link: LinkId,
        target: impl FnOnce(Receiver<MeetingAnswer>) -> Target,
        queue: Sender<Occurrence>,
    ) -> PeerLink {
        let (give, meetings) = async_channel::bounded(1);
        let target = target(meetings);
        let key = target.key;
        let spawned = PeerLink::spawn(executor, async move |outbox, heir| {
            let given_up = async {
                outbox.closed().await;
                None
            };
            let want_meeting = async || {
                let dial = Dial::Link(link);
                tell(&queue, link, Input::MeetingWanted { dial, key }).await;
            };
            let reached = async { Some(reach(&target, want_meeting).await) }.or(given_up).await;
            match reached {
                None => {}
                Some(Err(why)) => tell(&queue, link, Input::PeerLost { link, why }).await,
                Some(Ok((stream, met))) => {
                    if let Some(path) = met {
                        tell(&queue, link, Input::Met { link, path }).await;
                    }
                    tell(&queue, link, Input::PeerDialled { link }).await;
                    converse(stream, link, (&outbox, &heir), &queue).await;
                }
            }
        });
        PeerLink { meetings: Some(give), ..spawned }
    }

    /// Starts on a link that has arrived.
    pub(crate) fn arrived(
        executor: &LocalExecutor<'static>,
        link: LinkId,
        stream: PeerStream,
        queue: Sender<Occurrence>,
    ) -> PeerLink {
        PeerLink::spawn(executor, async move |outbox, heir| {
            converse(stream, link, (&outbox, &heir), &queue).await;
        })
    }

    fn spawn(
        executor: &LocalExecutor<'static>,
        run: impl AsyncFnOnce(Rc<Outbox>, Heir) + 'static,
    ) -> PeerLink {
        let outbox = Rc::new(Outbox::new(OUTBOX_BYTES));
        let heir = Heir::default();
        let shared = (outbox.clone(), heir.clone());
        let task = executor.spawn(async move { run(shared.0, shared.1).await });
        PeerLink { outbox, task, heir, meetings: None }
    }

    /// Gives the link the answer to its wish for a meeting.
    pub(crate) fn meet(&self, answer: MeetingAnswer) {
        if let Some(give) = &self.meetings {
            // A link that is up needs it no more.
            let _ = give.try_send(answer);
        }
    }

    /// Sends a message.
    pub(crate) fn send(&self, message: &PeerMessage) {
        self.outbox.send(&message.to_frame());
    }

    /// Leaves the stream to this function once the outbox is sent. The link reports nothing more. The other side must
    /// not have sent anything after its last message.
    pub(crate) fn hand_over(&self, heir: impl FnOnce(PeerStream) + 'static) {
        self.heir.replace(Some(Box::new(heir)));
        self.outbox.detach();
    }

    /// Sends the outbox, then closes. A dial is given up. The task ends by itself.
    pub(crate) fn close(self) -> Task<()> {
        self.outbox.close();
        self.task
    }
}

/// A peer to reach, and what that needs.
pub(crate) struct Target {
    /// The address of the peer's receiver.
    pub(crate) to: SocketAddr,
    /// The peer's key.
    pub(crate) key: PublicKey,
    pub(crate) tls: PeerTls,
    /// The server at which the peer may be met.
    pub(crate) place: Option<Rendezvous>,
    /// Brings the answers to wishes for a meeting.
    pub(crate) meetings: Receiver<MeetingAnswer>,
    pub(crate) wrap: Wrap,
}

#[cfg(test)]
impl Target {
    /// Returns a peer that can't be met.
    pub(crate) fn at(to: SocketAddr, key: PublicKey, tls: PeerTls) -> Target {
        let (_, meetings) = async_channel::bounded(1);
        Target { to, key, tls, place: None, meetings, wrap: super::socket::Socket::new }
    }
}

/// A way to reach a peer.
#[derive(Clone, Copy)]
enum Way {
    Receiver,
    Meeting,
}

/// Reaches a peer: by its receiver, or at a meeting if that takes long or fails. `want_meeting` asks for a token.
/// Returns the path if it was at a meeting.
pub(crate) async fn reach(
    target: &Target,
    want_meeting: impl AsyncFn(),
) -> Result<(PeerStream, Option<LinkPath>), PeerLoss> {
    let reached = first_success(&[Way::Receiver, Way::Meeting], async |way| match way {
        Way::Receiver => Ok((dial(target).await?, None)),
        Way::Meeting => {
            let met = meet(target, &want_meeting).await;
            met.map(|(stream, path)| (stream, Some(path))).ok_or(PeerLoss::Unreachable)
        }
    });
    reached.await.map_err(|failures| match failures.contains(&PeerLoss::WrongKey) {
        true => PeerLoss::WrongKey,
        false => PeerLoss::Unreachable,
    })
}

async fn meet(target: &Target, want_meeting: &impl AsyncFn()) -> Option<(PeerStream, LinkPath)> {
    let place = target.place?;
    for _ in 0..MAX_WISHES {
        want_meeting().await;
        match target.meetings.recv().await.ok()? {
            Ok(token) => {
                let peer = (target.key, target.to.port());
                return meeting::call(place, token, peer, &target.tls, target.wrap).await.ok();
            }
            Err(NoMeeting::Later) => drop(Timer::after(WISH_INTERVAL).await),
            Err(NoMeeting::Never) => return None,
        }
    }
    None
}

/// Dials the receiver of a peer.
async fn dial(target: &Target) -> Result<PeerStream, PeerLoss> {
    let secured = within(HANDSHAKE_TIMEOUT, async {
        let stream = TcpStream::connect(target.to).await?;
        stream.set_nodelay(true)?;
        secure_as_dialler((target.wrap)(stream), &target.tls, target.key).await
    });
    secured.await.map_err(|error| {
        if is_somebody_else(&error) { PeerLoss::WrongKey } else { PeerLoss::Unreachable }
    })
}

/// Proves our key to a peer that must have this key.
pub(crate) async fn secure_as_dialler(
    stream: impl ByteStream + 'static,
    tls: &PeerTls,
    expected: PublicKey,
) -> io::Result<PeerStream> {
    let connector = TlsConnector::from(tls.dialler(expected));
    Ok(Box::pin(connector.connect(unused_name(), stream).await?))
}

/// Proves our key to a peer, and returns theirs.
pub(crate) async fn secure_as_receiver(
    stream: impl ByteStream + 'static,
    tls: &PeerTls,
) -> io::Result<(PeerStream, PublicKey)> {
    let stream = TlsAcceptor::from(tls.receiver()).accept(stream).await?;
    let key = arrived_key(stream.get_ref().1)
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok((Box::pin(stream), key))
}

async fn converse(
    mut stream: PeerStream,
    link: LinkId,
    (outbox, heir): (&Outbox, &Heir),
    queue: &Sender<Occurrence>,
) {
    let take = async |frame: &Frame| {
        let message = PeerMessage::from_frame(frame).map_err(|_| Unreadable)?;
        tell(queue, link, Input::Peer { link, message }).await;
        Ok(())
    };
    let why = match link::run(&mut stream, outbox, take).await {
        End::Closed => return,
        End::Detached => {
            if let Some(heir) = heir.take() {
                heir(stream);
            }
            return;
        }
        End::Broken => PeerLoss::Broken,
        End::Unreadable => PeerLoss::Protocol,
    };
    tell(queue, link, Input::PeerLost { link, why }).await;
}

/// Reports an input. A closed queue means that the driver has ended.
async fn tell(queue: &Sender<Occurrence>, link: LinkId, input: Input) {
    let _ = queue.send(Occurrence::Peer(link, input)).await;
}

#[cfg(test)]
mod tests;
