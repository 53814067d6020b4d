//! A connection that one side has lost and the other side has not noticed.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Passes connections on to a server.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    /// Each pair: from the client, to the server.
    streams: Arc<Mutex<Vec<(TcpStream, TcpStream)>>>,
}

impl Relay {
    pub(crate) fn start(to: SocketAddr) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let streams = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&streams);
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(to).unwrap());
                pass_on(&client, &server);
                pass_on(&server, &client);
                all.lock().unwrap().push((client, server));
            }
        });
        Relay { address, streams }
    }

    /// Breaks all connections for the client. The server's stay as they are.
    pub(crate) fn cut_off_the_client(&self) {
        for (client, _) in self.streams.lock().unwrap().iter() {
            client.shutdown(Shutdown::Both).unwrap();
        }
    }
}

fn pass_on(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || io::copy(&mut from, &mut to));
}
