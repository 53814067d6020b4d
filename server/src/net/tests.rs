//! Connections over real sockets, with a test in the place of the hub.

mod relayed;

use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_executor::{Executor, Task};
use async_io::Async;
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, FutureExt as _};
use futures_rustls::client::TlsStream;
use futures_rustls::{TlsAcceptor, TlsConnector};
use letschat_protocol::frame::{Frame, FrameError, Mode};
use letschat_protocol::identity::{
    EXPORTER_CONTEXT_LOGIN, EXPORTER_CONTEXT_TO_CLIENT, EXPORTER_LABEL,
};
use letschat_protocol::tls;

use super::Event;
use super::connection::{Connection, Timeouts};
use super::outbox::{OUTBOX_BYTES, Outbox};
use super::stream::Stream;
use super::tls::Credentials;
use crate::data_folder::DataFolder;
use crate::hub::{ConnectionId, Input, LinkEnd};

/// A timeout longer than anything here takes. A test that reaches it has failed.
const TOO_LONG: Duration = Duration::from_secs(30);

/// Timeouts far longer than a test, so that only the tested event can end a connection.
const PATIENT: Timeouts = Timeouts { stall: TOO_LONG, farewell: TOO_LONG, half_closed: TOO_LONG };

/// A server's end of one connection, as the hub sees it.
struct Served {
    outbox: Arc<Outbox>,
    events: Receiver<Event>,
    _task: Task<()>,
}

impl Served {
    async fn event(&self) -> Event {
        self.events.recv().await.unwrap()
    }

    async fn input(&self) -> Input {
        match self.event().await {
            Event::Input(input) => input,
            _ => panic!("an input was expected"),
        }
    }

    async fn line(&self) -> String {
        self.outbox.ask_for_line(Mode::Frame);
        match self.input().await {
            Input::Line { line: Ok(frame), .. } => frame.as_line().to_owned(),
            other => panic!("a line was expected, not {other:?}"),
        }
    }

    async fn gone(&self) -> LinkEnd {
        match self.input().await {
            Input::Gone { why, .. } => {
                assert!(self.events.recv().await.is_err(), "Gone is the last word");
                why
            }
            other => panic!("an end was expected, not {other:?}"),
        }
    }
}

fn run<T>(test: impl AsyncFnOnce(&Executor<'static>) -> T) -> T {
    let executor = Executor::new();
    let limit = async {
        async_io::Timer::after(TOO_LONG).await;
        panic!("the test hangs");
    };
    async_io::block_on(executor.run(async { test(&executor).await }.or(limit)))
}

/// Returns a connection's task, and the client's end of its TCP stream.
async fn serve(executor: &Executor<'static>, timeouts: Timeouts) -> (Served, Async<TcpStream>) {
    let path = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(path.path()).ok().unwrap();
    let acceptor = TlsAcceptor::from(Credentials::load_or_make(&folder).unwrap().config);

    let listener = Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.get_ref().local_addr().unwrap();
    let client = Async::<TcpStream>::connect(address).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();

    let (events, received): (Sender<Event>, _) = async_channel::bounded(16);
    let outbox = Arc::new(Outbox::default());
    let connection = Connection { id: ConnectionId(7), outbox: outbox.clone(), events, timeouts };
    let task = executor.spawn(connection.run(Stream::new(stream), acceptor));
    (Served { outbox, events: received, _task: task }, client)
}

/// Returns the same after the handshake.
async fn secured(
    executor: &Executor<'static>,
    timeouts: Timeouts,
) -> (Served, TlsStream<Async<TcpStream>>) {
    let (served, tcp) = serve(executor, timeouts).await;
    let client = handshake(tcp).await;
    assert!(matches!(served.event().await, Event::Secured { .. }));
    (served, client)
}

async fn handshake(tcp: Async<TcpStream>) -> TlsStream<Async<TcpStream>> {
    TlsConnector::from(tls::client()).connect(tls::unused_name(), tcp).await.unwrap()
}

#[test]
fn both_ends_export_the_same_keys() {
    run(async |executor| {
        let (served, tcp) = serve(executor, PATIENT).await;
        let client = handshake(tcp).await;
        let Event::Secured { connection, binding, keys } = served.event().await else {
            panic!("the handshake is done");
        };
        let export = |context| {
            let session = client.get_ref().1;
            session.export_keying_material([0; 32], EXPORTER_LABEL, Some(context)).unwrap()
        };
        assert_eq!(connection, ConnectionId(7));
        assert_eq!(binding, export(EXPORTER_CONTEXT_LOGIN));
        assert_eq!(keys.to_client, export(EXPORTER_CONTEXT_TO_CLIENT));
        assert_ne!(keys.to_client, keys.to_server);
    });
}

#[test]
fn a_line_is_read_for_each_time_it_is_asked_for() {
    run(async |executor| {
        let (served, mut client) = secured(executor, PATIENT).await;
        client.write_all(b"one\ntwo +3\nabc\nthree").await.unwrap();
        client.flush().await.unwrap();
        assert_eq!(served.line().await, "one");
        served.outbox.ask_for_line(Mode::Frame);
        let line = Ok(Frame::with_payload("two", "abc"));
        assert_eq!(served.input().await, Input::Line { connection: ConnectionId(7), line });
        assert!(served.events.is_empty());
        served.outbox.ask_for_line(Mode::Verbatim);
        client.write_all(b" +3\n").await.unwrap();
        client.flush().await.unwrap();
        let Input::Line { line: Ok(line), .. } = served.input().await else { panic!("a line") };
        assert_eq!(line.as_line(), "three +3");
    });
}

#[test]
fn the_largest_frame_fits_through_and_a_longer_one_is_an_error() {
    run(async |executor| {
        let (served, mut client) = secured(executor, PATIENT).await;
        let large = Frame::with_payload("X", vec![b'x'; 64 * 1024]);
        served.outbox.ask_for_line(Mode::Frame);
        client.write_all(&large.to_bytes()).await.unwrap();
        client.write_all(b"X +65537\n").await.unwrap();
        client.flush().await.unwrap();
        let connection = ConnectionId(7);
        assert_eq!(served.input().await, Input::Line { connection, line: Ok(large) });
        served.outbox.ask_for_line(Mode::Frame);
        let line = Err(FrameError::PayloadTooLong);
        assert_eq!(served.input().await, Input::Line { connection, line });
    });
}

#[test]
fn what_is_sent_arrives_and_is_reported_once() {
    run(async |executor| {
        let (served, mut client) = secured(executor, PATIENT).await;
        served.outbox.send(b"220 ");
        served.outbox.send(b"hello\n");
        served.outbox.tell_when_drained();
        let mut greeting = [0; 10];
        client.read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting, b"220 hello\n");
        assert!(matches!(served.input().await, Input::Drained { .. }));
        served.outbox.tell_when_drained();
        assert!(matches!(served.input().await, Input::Drained { .. }));
        assert!(served.events.is_empty());
    });
}

#[test]
fn a_close_lets_out_what_was_sent_although_more_comes_in() {
    run(async |executor| {
        let (served, mut client) = secured(executor, PATIENT).await;
        client.write_all(&[b'x'; 20_000]).await.unwrap();
        client.flush().await.unwrap();
        served.outbox.send(&[b'y'; 50_000]);
        served.outbox.close();
        let mut all = Vec::new();
        client.read_to_end(&mut all).await.unwrap();
        assert_eq!(all.len(), 50_000);
        client.close().await.unwrap();
        drop(client);
        assert_eq!(served.gone().await, LinkEnd::Ended);
    });
}

#[test]
fn a_close_ends_a_handshake_under_way() {
    run(async |executor| {
        let (served, mut client) = serve(executor, PATIENT).await;
        served.outbox.close();
        assert_eq!(served.gone().await, LinkEnd::Ended);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn what_is_no_tls_fails() {
    run(async |executor| {
        let (served, mut client) = serve(executor, PATIENT).await;
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(served.gone().await, LinkEnd::Failed);
    });
}

#[test]
fn somebody_who_hangs_up_is_gone_at_once_while_a_line_is_wanted() {
    run(async |executor| {
        let (served, client) = secured(executor, PATIENT).await;
        served.outbox.ask_for_line(Mode::Frame);
        drop(client);
        assert_eq!(served.gone().await, LinkEnd::Ended);
    });
}

#[test]
fn somebody_who_hangs_up_is_soon_gone_while_the_hub_works() {
    run(async |executor| {
        let soon = Timeouts { half_closed: Duration::from_millis(1), ..PATIENT };
        let (served, client) = secured(executor, soon).await;
        drop(client);
        assert_eq!(served.gone().await, LinkEnd::Ended);
    });
}

#[test]
fn after_a_half_close_all_lines_are_still_answered() {
    run(async |executor| {
        let (served, mut client) = secured(executor, PATIENT).await;
        client.write_all(b"LIST\nQUIT\n").await.unwrap();
        client.flush().await.unwrap();
        client.get_ref().0.get_ref().shutdown(Shutdown::Write).unwrap();
        assert_eq!(served.line().await, "LIST");
        served.outbox.send(b"250 nobody\n");
        assert_eq!(served.line().await, "QUIT");
        served.outbox.send(b"221 bye\n");
        served.outbox.ask_for_line(Mode::Frame);
        let mut all = String::new();
        client.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "250 nobody\n221 bye\n");
        assert_eq!(served.gone().await, LinkEnd::Ended);
    });
}

#[test]
fn an_outbox_that_overflows_costs_the_connection() {
    run(async |executor| {
        let (served, _client) = secured(executor, PATIENT).await;
        served.outbox.send(&[0; OUTBOX_BYTES]);
        served.outbox.send(&[0; OUTBOX_BYTES]);
        assert_eq!(served.gone().await, LinkEnd::NotReading);
    });
}

#[test]
fn somebody_who_does_not_read_is_dropped_after_a_time() {
    run(async |executor| {
        let impatient = Timeouts { stall: Duration::from_millis(50), ..PATIENT };
        let (served, _client) = secured(executor, impatient).await;
        // More than the kernel buffers for a client that reads nothing.
        let why = loop {
            served.outbox.send(&[0; OUTBOX_BYTES / 2]);
            served.outbox.tell_when_drained();
            match served.input().await {
                Input::Drained { .. } => {}
                Input::Gone { why, .. } => break why,
                other => panic!("unexpected: {other:?}"),
            }
        };
        assert_eq!(why, LinkEnd::NotReading);
    });
}
