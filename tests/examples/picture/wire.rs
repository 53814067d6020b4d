//! A message as an observer on the path sees it: a proxy between Alice's client and the server records her bytes.

use letschat_tests::person::Window;
use letschat_tests::server::TestServer;
use vt100::Screen;

use crate::{hexdump, online, proxy, recording};

const ALICES: Window = Window { rows: 5, columns: 80 };

/// A part of the message, as it would stand in clear text.
const SECRET: &str = "4711";

/// Returns the final screen of Alice, and a dump of the TLS record that carried her message.
pub(crate) fn play() -> [(String, Screen); 2] {
    let mut server = TestServer::start(&[]);
    let [mut bob] = online::sign_up(&server, ["bob"]);
    let (address, sent) = proxy::start(server.address);
    // Alice's clients connect to the proxy.
    server.address = address;
    let [mut before] = online::sign_up(&server, ["alice"]);
    before.befriend(&mut bob);
    let alice = online::log_in(&server, "alice", online::leave(before), ALICES);
    let start = sent.lock().unwrap().len();
    let text = format!("the secret is {SECRET}");
    alice.types(&format!("send bob {text}"));
    bob.wait_event_with("message", "text", &text);
    alice.sees(&format!("you → bob: {text}"));
    alice.is_prompted("letschat> ");
    let sent = sent.lock().unwrap().clone();
    // All other requests meanwhile are shorter than the sealed message.
    let records = hexdump::records(&sent, start);
    let record = records.into_iter().max_by_key(|record| record.len()).unwrap();
    let report = format!("{}\n{}", hexdump::dump(record), occurrences(&sent[start..]));
    let [alice] = online::windows([&alice]);
    [alice, ("between alice and the server".into(), recording::short_screen(&report))]
}

/// Returns a sentence about how often the secret occurs. Fails if it does.
fn occurrences(bytes: &[u8]) -> String {
    let is_secret = |window: &&[u8]| *window == SECRET.as_bytes();
    let count = bytes.windows(SECRET.len()).filter(is_secret).count();
    assert_eq!(count, 0, "the message passes in clear text");
    format!("\"{SECRET}\" occurs {count} times in {} bytes", bytes.len())
}
