//! Round trips of bytes between two threads, each with the executor of a client: over bare TCP, and
//! over TLS with the configs of a peer link.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use async_executor::LocalExecutor;
use async_net::{TcpListener, TcpStream};
use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use futures_rustls::{TlsAcceptor, TlsConnector};
use letschat_protocol::identity::Identity;
use letschat_protocol::tls;

use crate::programs::BenchResult;
use crate::sides;

/// Measures each round trip over bare TCP. A pause precedes each.
pub(crate) fn over_tcp(count: usize, bytes: usize, pause: Duration) -> BenchResult<Vec<Duration>> {
    let listener = listen()?;
    let address = listener.local_addr()?;
    let asking = async { ask(connect(address).await?, count, bytes, pause).await };
    let answering = async { answer(accept(&listener).await?, count, bytes).await };
    both(asking, answering)
}

/// Measures each round trip over TLS, after the handshake. Both sides prove their keys. A pause precedes each.
pub(crate) fn over_tls(count: usize, bytes: usize, pause: Duration) -> BenchResult<Vec<Duration>> {
    let (one, other) = (Identity::generate()?, Identity::generate()?);
    let dialler = tls::dialler(tls::raw_key(one.public_key(), &one)?, Some(other.public_key()));
    let receiver = tls::receiver(tls::raw_key(other.public_key(), &other)?);

    let listener = listen()?;
    let address = listener.local_addr()?;
    let asking = async {
        let stream = connect(address).await?;
        let stream = TlsConnector::from(dialler).connect(tls::unused_name(), stream).await?;
        ask(stream, count, bytes, pause).await
    };
    let answering = async {
        let stream = accept(&listener).await?;
        let stream = TlsAcceptor::from(receiver).accept(stream).await?;
        answer(stream, count, bytes).await
    };
    both(asking, answering)
}

/// Runs each side on a thread, an executor and a core of its own.
fn both(
    asking: impl Future<Output = io::Result<Vec<Duration>>> + Send,
    answering: impl Future<Output = io::Result<()>> + Send,
) -> BenchResult<Vec<Duration>> {
    let (times, ()) = sides::both(|| with_executor(asking), || with_executor(answering))?;
    Ok(times)
}

fn with_executor<T>(work: impl Future<Output = io::Result<T>>) -> BenchResult<T> {
    let executor = LocalExecutor::new();
    Ok(async_io::block_on(executor.run(work))?)
}

fn listen() -> io::Result<TcpListener> {
    async_io::block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
}

async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    count: usize,
    bytes: usize,
    pause: Duration,
) -> io::Result<Vec<Duration>> {
    let mut buffer = vec![0; bytes];
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        if !pause.is_zero() {
            // Nothing else runs on this thread.
            thread::sleep(pause);
        }
        let begin = Instant::now();
        send(&mut stream, &buffer).await?;
        stream.read_exact(&mut buffer).await?;
        times.push(begin.elapsed());
    }
    Ok(times)
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    count: usize,
    bytes: usize,
) -> io::Result<()> {
    let mut buffer = vec![0; bytes];
    for _ in 0..count {
        stream.read_exact(&mut buffer).await?;
        send(&mut stream, &buffer).await?;
    }
    Ok(())
}

async fn send(mut stream: impl AsyncWrite + Unpin, message: &[u8]) -> io::Result<()> {
    stream.write_all(message).await?;
    // TLS buffers its output until it is flushed.
    stream.flush().await
}
