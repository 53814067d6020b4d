//! A TCP proxy between clients and a server that records what is sent to the server.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Starts a proxy for a server. Returns its address, and the bytes that the latest client has sent.
pub(crate) fn start(server: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let sent: Arc<Mutex<Vec<u8>>> = Arc::default();
    let recorded = sent.clone();
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            recorded.lock().unwrap().clear();
            let far = TcpStream::connect(server).unwrap();
            let back = (far.try_clone().unwrap(), near.try_clone().unwrap());
            let recorded = recorded.clone();
            thread::spawn(move || {
                pass_on(near, far, |bytes| recorded.lock().unwrap().extend_from_slice(bytes));
            });
            thread::spawn(move || pass_on(back.0, back.1, |_| {}));
        }
    });
    (address, sent)
}

/// Passes bytes on until either side closes. Records them first.
fn pass_on(mut from: TcpStream, mut to: TcpStream, record: impl Fn(&[u8])) {
    let mut bytes = [0; 4_096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        record(&bytes[..count]);
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
