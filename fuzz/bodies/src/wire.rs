//! Decoders of bytes from a network.

use std::collections::BTreeSet;

use letschat_protocol::datagram::{Message, Opener, Sealer, ToClient, ToServer, session_of};
use letschat_protocol::dialogue::{
    FromServer, Introduction, Listed, ReplyAssembler, Request, SessionId, Welcome,
};
use letschat_protocol::frame::{Decoder, Frame, FrameError, Mode};
use letschat_protocol::limits::{MAX_LINE_BYTES, MAX_PAYLOAD_BYTES};
use letschat_protocol::peer::PeerMessage;
use letschat_protocol::printable::{Printable, is_blank, is_printable};
use letschat_protocol::rows::{most_columns, moved_in, wrap};

use crate::choices::Choices;

/// Checks that frames do not depend on how the bytes are split. The decoder's buffer is bounded, and each
/// frame survives a round trip.
pub fn frame(bytes: &[u8]) {
    let Some((pieces, stream)) = bytes.split_first() else { return };
    let size = usize::from(*pieces % 31) + 1;
    let mode = if pieces & 0x80 == 0 { Mode::Frame } else { Mode::Verbatim };

    let whole = decode([stream], mode);
    let piecewise = decode(stream.chunks(size), mode);
    assert_eq!(whole, piecewise, "in pieces of {size}");

    for decoded in whole.into_iter().flatten() {
        let frame = match decoded.payload() {
            None => Frame::line(decoded.as_line()),
            Some(payload) => Frame::with_payload(decoded.as_line(), payload),
        };
        // A line of maximum length has no room for the escape of its last word. A final carriage return is
        // part of the line's end.
        let is_long = decoded.as_line().len() + 16 > MAX_LINE_BYTES;
        if !is_long && !frame.as_line().ends_with('\r') {
            assert_eq!(decode([frame.to_bytes().as_slice()], Mode::Frame), [Ok(frame)]);
        }
    }
}

fn decode<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    mode: Mode,
) -> Vec<Result<Frame, FrameError>> {
    let (mut decoder, mut frames) = (Decoder::new(), Vec::new());
    for piece in pieces {
        decoder.extend(piece);
        loop {
            match decoder.next(mode) {
                Ok(None) => break,
                Ok(Some(frame)) => frames.push(Ok(frame)),
                Err(error) => {
                    frames.push(Err(error));
                    if error.is_fatal() {
                        return frames;
                    }
                }
            }
        }
        let bound = MAX_LINE_BYTES + MAX_PAYLOAD_BYTES + 2 + piece.len();
        assert!(decoder.buffered() <= bound, "{} bytes are held", decoder.buffered());
    }
    frames
}

/// Checks that each request, reply or notice is parsed or refused, and that a parsed one survives a round
/// trip.
pub fn dialogue(bytes: &[u8]) {
    let mut assembler = ReplyAssembler::default();
    for frame in decode([bytes], Mode::Frame).into_iter().flatten() {
        // A carriage return inside a line is accepted but never sent.
        let is_writable = !frame.as_line().contains('\r');
        if let (Ok(request), true) = (Request::from_frame(&frame), is_writable) {
            assert_eq!(Request::from_frame(&request.to_frame()).as_ref(), Ok(&request));
        }
        let _ = (Listed::parse(frame.as_line()), Introduction::parse(frame.as_line()));
        match assembler.take(&frame) {
            Ok(Some(FromServer::Reply(reply))) => {
                if let Some(welcome) = Welcome::from_reply(&reply) {
                    assert_eq!(Welcome::from_reply(&welcome.to_reply()), Some(welcome));
                }
            }
            Ok(Some(FromServer::Notice(notice))) if is_writable => {
                let again = ReplyAssembler::default().take(&notice.to_frame());
                assert_eq!(again, Ok(Some(FromServer::Notice(notice))));
            }
            Ok(_) => {}
            // A client would close the connection here.
            Err(_) => return,
        }
    }
}

/// Checks the same for peer messages.
pub fn peer(bytes: &[u8]) {
    for frame in decode([bytes], Mode::Frame).into_iter().flatten() {
        if let Ok(message) = PeerMessage::from_frame(&frame) {
            assert_eq!(PeerMessage::from_frame(&message.to_frame()), Ok(message));
        }
    }
}

const SESSION: SessionId = SessionId(7);
const KEY: [u8; 32] = [7; 32];

/// The number of counters below the highest that an opener's replay window certainly covers.
const REMEMBERED: usize = 900;

/// Simulates a network that loses, duplicates, reorders, alters and forges datagrams. Checks that a sealed
/// datagram opens once and unchanged, and that nothing else opens.
pub fn datagram(bytes: &[u8]) {
    let _ = (ToServer::decode(bytes), ToClient::decode(bytes), session_of(bytes));
    let mut choices = Choices::new(bytes);
    let (mut sealer, mut opener) = (Sealer::new(SESSION, &KEY), Opener::new(&KEY));
    let (mut sent, mut opened): (Vec<Vec<u8>>, BTreeSet<usize>) = (Vec::new(), BTreeSet::new());
    while !choices.is_over() {
        match choices.below(4) {
            0 => {
                for _ in 0..=choices.below(100) {
                    sent.push(sealer.seal(&ToClient::Head(sent.len() as u64)));
                }
            }
            1 if !sent.is_empty() => {
                let index = sent.len() - 1 - choices.below(sent.len().min(2 * REMEMBERED));
                let highest = opened.last().copied().unwrap_or(0);
                let message = opener.open(&sent[index]);
                if message.is_some() {
                    assert_eq!(message, Some(ToClient::Head(index as u64)));
                    assert!(opened.insert(index), "{index} opens twice");
                } else {
                    assert!(opened.contains(&index) || index + REMEMBERED < highest, "{index}");
                }
            }
            2 if !sent.is_empty() => {
                let mut changed = sent[choices.below(sent.len())].clone();
                let at = choices.below(changed.len());
                changed[at] ^= 1 << choices.below(8);
                assert_eq!(opener.open::<ToClient>(&changed), None);
            }
            _ => assert_eq!(opener.open::<ToClient>(choices.bytes(1_300)), None),
        }
    }
}

/// Checks that the output contains no terminal control, that harmless text stays unchanged, and that no row
/// is too wide.
pub fn printable(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let shown = Printable(&text).to_string();
    assert!(is_printable(&shown), "{shown:?}");
    assert_eq!(shown == *text, is_printable(&text), "{text:?}");
    let is_seen = |c: char| !c.is_whitespace() && is_printable(c.encode_utf8(&mut [0; 4]));
    assert!(!is_blank(&text) || !text.contains(is_seen), "{text:?}");
    let columns = 6 + bytes.len() % 100;
    for (number, row) in wrap(&shown, columns).split('\n').enumerate() {
        assert!(most_columns(row.trim_end_matches(' ')) <= columns, "{row:?}");
        assert!(number == 0 || row.starts_with("  "), "{shown:?}");
    }
    assert!(moved_in(&text).split('\n').skip(1).all(|line| line.starts_with("  ")), "{text:?}");
}
