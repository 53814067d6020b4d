//! A connection that one side has lost without the other side noticing.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A relay to a server.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    links: Arc<Mutex<Links>>,
}

#[derive(Default)]
struct Links {
    /// Pairs of streams: the client's and the server's.
    streams: Vec<(TcpStream, TcpStream)>,
    /// The words whose answer the relay drops for the next client that sends them.
    unanswered: Option<&'static [u8]>,
}

impl Relay {
    pub(crate) fn start(to: SocketAddr) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let links = Arc::new(Mutex::new(Links::default()));
        let all = Arc::clone(&links);
        // The thread ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(to).unwrap());
                let is_lost = Arc::new(AtomicBool::new(false));
                pass_on(&client, &server, watching(all.clone(), is_lost.clone()));
                pass_on(&server, &client, move |_| !is_lost.load(Ordering::SeqCst));
                all.lock().unwrap().streams.push((client, server));
            }
        });
        Relay { address, links }
    }

    /// Closes all connections to the client. Those to the server stay open.
    pub(crate) fn cut_off_the_client(&self) {
        for (client, _) in &self.links.lock().unwrap().streams {
            client.shutdown(Shutdown::Both).unwrap();
        }
    }

    /// Forwards these words when they are next sent, and drops everything that comes back after them.
    pub(crate) fn lose_the_answer_to(&self, words: &'static [u8]) {
        self.links.lock().unwrap().unanswered = Some(words);
    }
}

/// Forwards everything, and notes when the words are sent whose answer is to be dropped.
fn watching(links: Arc<Mutex<Links>>, is_lost: Arc<AtomicBool>) -> impl Fn(&[u8]) -> bool {
    move |said| {
        let unanswered = &mut links.lock().unwrap().unanswered;
        let is_said = |words: &&[u8]| said.windows(words.len()).any(|part| part == *words);
        if unanswered.as_ref().is_some_and(is_said) {
            *unanswered = None;
            is_lost.store(true, Ordering::SeqCst);
        }
        true
    }
}

/// Forwards the data that `wanted` accepts.
fn pass_on(from: &TcpStream, to: &TcpStream, wanted: impl Fn(&[u8]) -> bool + Send + 'static) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        let mut bytes = [0; 4_096];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            if wanted(&bytes[..length]) && to.write_all(&bytes[..length]).is_err() {
                return;
            }
        }
    });
}
