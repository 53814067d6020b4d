//! Bytes there and back over TCP: two threads, each with the executor that a client has.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use async_executor::LocalExecutor;
use async_net::{TcpListener, TcpStream};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::programs::BenchResult;
use crate::sides;

/// How long each round trip took.
pub(crate) fn round_trips(count: usize, bytes: usize) -> BenchResult<Vec<Duration>> {
    let listener = async_io::block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    let (times, ()) = sides::both(
        || with_executor(call(address, count, bytes)),
        || with_executor(echo(&listener, bytes)),
    )?;
    Ok(times)
}

fn with_executor<T>(work: impl Future<Output = io::Result<T>>) -> BenchResult<T> {
    let executor = LocalExecutor::new();
    Ok(async_io::block_on(executor.run(work))?)
}

async fn echo(listener: &TcpListener, bytes: usize) -> io::Result<()> {
    let (mut stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; bytes];
    loop {
        match stream.read_exact(&mut buffer).await {
            Ok(()) => stream.write_all(&buffer).await?,
            Err(_) => return Ok(()),
        }
    }
}

async fn call(address: SocketAddr, count: usize, bytes: usize) -> io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; bytes];
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begin = Instant::now();
        stream.write_all(&buffer).await?;
        stream.read_exact(&mut buffer).await?;
        times.push(begin.elapsed());
    }
    Ok(times)
}
