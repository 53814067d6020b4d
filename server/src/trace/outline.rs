//! What came of an input, as a hash that is the same for a secret and its stand-in: of what is
//! somebody's text only the length counts, or nothing where a person reads it in rows, and a
//! password shows nothing of itself.

use std::fmt::Write as _;

use letschat_protocol::datagram::ToClient;
use letschat_protocol::dialogue::Broadcast;
use letschat_protocol::frame::{Decoder, Frame, Mode};

use crate::hub::{Effect, OperatorAnswer};
use crate::store::StoreRequest;

/// 16 hexadecimal digits: of all effects in their order and the deadline that stands after them.
pub(super) fn hash(effects: &[Effect], deadline_ms: Option<u64>) -> String {
    let mut outline = format!("{deadline_ms:?}");
    for effect in effects {
        outline.push('\n');
        add(&mut outline, effect);
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, outline.as_bytes());
    data_encoding::HEXLOWER.encode(&digest.as_ref()[..8])
}

fn add(outline: &mut String, effect: &Effect) {
    // Writing into a string never fails.
    let _ = match effect {
        Effect::Send { connection, bytes } => {
            let _ = write!(outline, "Send {connection:?}");
            frames(bytes).iter().try_for_each(|frame| write!(outline, " {frame}"))
        }
        Effect::Datagram { to, message: ToClient::Broadcast { entry, own } } => {
            write!(outline, "Datagram {to:?} {} {own}", broadcast(entry))
        }
        Effect::Store(StoreRequest::Append { entries }) => entries.iter().try_for_each(|entry| {
            let (boot_ms, boot_id) = (entry.boot_ms, entry.boot_id);
            write!(outline, "Append {} {boot_ms} {boot_id} ", broadcast(&entry.broadcast))
        }),
        Effect::Answer(OperatorAnswer::Said { text, recipients }) => {
            write!(outline, "Said {} {recipients}", text.len())
        }
        Effect::Answer(OperatorAnswer::Stats(stats)) => {
            // Rows that a person gets are among these bytes.
            let mut stats = stats.clone();
            stats.tally.bytes_sent = 0;
            write!(outline, "{stats:?}")
        }
        other => write!(outline, "{other:?}"),
    };
}

fn broadcast(entry: &Broadcast) -> String {
    let Broadcast { number, sender, time_ms, text } = entry;
    format!("{number} {sender} {time_ms} {}", text.len())
}

fn frames(bytes: &[u8]) -> Vec<String> {
    let mut decoder = Decoder::new();
    decoder.extend(bytes);
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = decoder.next(Mode::Frame) {
        frames.extend(line(&frame));
    }
    frames.push(decoder.buffered().to_string());
    frames
}

/// A program gets a text as a payload. A person gets it in rows, of which the first begins with the
/// time of a broadcast or with the server's name; how many follow depends on the text.
fn line(frame: &Frame) -> Option<String> {
    let line = frame.as_line();
    let told = line.strip_prefix("* ").unwrap_or("");
    if told.starts_with(' ') {
        return None;
    }
    if told.starts_with("Server: ") {
        return Some("a text of the server".into());
    }
    if told.starts_with(|c: char| c.is_ascii_digit()) {
        return Some("a broadcast".into());
    }
    Some(match frame.payload() {
        Some(payload) => format!("{line} and {} bytes", payload.len()),
        None => line.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::ConnectionId;

    fn sent(bytes: &str) -> String {
        let connection = ConnectionId(1);
        hash(&[Effect::Send { connection, bytes: bytes.into() }], None)
    }

    #[test]
    fn a_text_counts_by_its_length_and_all_else_to_the_letter() {
        let broadcast = |text: &str| {
            let program = format!("* BROADCAST 1 alice 5 own +{}\n{text}\n", text.len());
            let person = format!("* 2026-01-01 10:00:00 UTC alice: {text}\n");
            (sent(&program), sent(&person), sent(&format!("* Server: {text}\n")))
        };
        assert_eq!(broadcast("one"), broadcast("two"));
        let (one, three) = (broadcast("one"), broadcast("three"));
        assert_ne!(one.0, three.0);
        // How many rows a person gets depends on more than the length.
        assert_eq!(one.1, sent("* 2026-01-01 10:00:00 UTC alice: one\n*   two\n"));
        assert_ne!(one.1, one.2);
        assert_ne!(sent("200 one\n"), sent("200 two\n"));
        assert_ne!(sent("200 one\n"), sent("200 one\n200 one\n"));
        assert_ne!(hash(&[], Some(1)), hash(&[], Some(2)));
    }
}
