//! A file over TLS between two threads, with blocking calls and the configs of a peer link.
//!
//! It has the work that no transfer can leave out: the sender reads chunks and hashes each; the receiver hashes each,
//! writes it, and waits for the disk at the end. No hash is sent or compared, and no chunk is requested.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use letschat_protocol::files::{CHUNK_BYTES, FileHash};
use letschat_protocol::identity::Identity;
use letschat_protocol::tls;
use rustls::{ClientConnection, ServerConnection, StreamOwned};

use crate::programs::BenchResult;

/// Copies a file. Returns the time from the dial until the copy is on disk.
pub(crate) fn over_tls(source: &Path, target: &Path) -> BenchResult<Duration> {
    let (source, target) = (File::open(source)?, File::create(target)?);
    let bytes = source.metadata()?.len();
    let (one, other) = (Identity::generate()?, Identity::generate()?);
    let dialler = tls::dialler(tls::raw_key(one.public_key(), &one)?, Some(other.public_key()));
    let receiver = tls::receiver(tls::raw_key(other.public_key(), &other)?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;

    let begin = Instant::now();
    // The kernel accepts before the listener does. The receiver dials, as it does for a file.
    let dialled = TcpStream::connect(listener.local_addr()?)?;
    let (arrived, _) = listener.accept()?;
    dialled.set_nodelay(true)?;
    arrived.set_nodelay(true)?;
    let to_sender = StreamOwned::new(ClientConnection::new(dialler, tls::unused_name())?, dialled);
    let to_receiver = StreamOwned::new(ServerConnection::new(receiver)?, arrived);
    thread::scope(|scope| -> io::Result<()> {
        let sending = scope.spawn(move || send(&source, to_receiver));
        receive(to_sender, &target, bytes)?;
        sending.join().unwrap_or_else(|_| Err(io::Error::other("the sender has panicked")))
    })?;
    Ok(begin.elapsed())
}

fn send(source: &File, mut stream: impl Write) -> io::Result<()> {
    let mut chunk = Vec::with_capacity(CHUNK_BYTES as usize);
    loop {
        chunk.clear();
        if source.take(CHUNK_BYTES).read_to_end(&mut chunk)? == 0 {
            return stream.flush();
        }
        black_box(FileHash::of(&chunk));
        stream.write_all(&chunk)?;
    }
}

fn receive(mut stream: impl Read, mut target: &File, bytes: u64) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES as usize];
    let mut left = bytes;
    while left > 0 {
        let length = left.min(CHUNK_BYTES);
        let chunk = &mut buffer[..length as usize];
        stream.read_exact(chunk)?;
        black_box(FileHash::of(chunk));
        target.write_all(chunk)?;
        left -= length;
    }
    target.sync_all()
}
