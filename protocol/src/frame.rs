//! The only frame on TCP: a line of words with an optional payload.
//!
//! A line is UTF-8, ends in LF or CRLF, and has at most [`MAX_LINE_BYTES`] with its end. If its
//! last word is `+N`, exactly N bytes and a line end follow. This holds for every verb, so that no
//! payload can be read as a command. The decoder owns its buffer, accepts any chunking, and holds
//! at most one frame and one read.

use crate::limits::{MAX_LINE_BYTES, MAX_PAYLOAD_BYTES};

/// A line and its payload. The line excludes its end and the `+N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    line: String,
    payload: Option<Vec<u8>>,
}

/// The interpretation of the next line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A frame, in which a last word `+N` announces a payload.
    Frame,
    /// A verbatim line, as a person's answer to a question: `+5` is just text.
    Verbatim,
}

/// A fault in the input. Its message says what was expected and never repeats the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A line of more than [`MAX_LINE_BYTES`]. It was skipped.
    #[error("expected a line of at most {MAX_LINE_BYTES} bytes")]
    LineTooLong,
    /// A line that is not UTF-8. It was skipped with its payload.
    #[error("expected a line of UTF-8 text")]
    NotUtf8,
    /// An announcement of more than [`MAX_PAYLOAD_BYTES`]. The rest of the stream can't be parsed.
    #[error("expected a payload of at most {MAX_PAYLOAD_BYTES} bytes")]
    PayloadTooLong,
    /// A payload without a line end after it. The rest of the stream can't be parsed.
    #[error("expected a line end right after the announced payload")]
    PayloadEnd,
}

impl FrameError {
    /// Returns true if the rest of the stream can't be parsed.
    pub fn is_fatal(self) -> bool {
        matches!(self, FrameError::PayloadTooLong | FrameError::PayloadEnd)
    }
}

impl Frame {
    /// Returns a frame without a payload. Line ends inside become spaces. A last word that looks
    /// like a payload's length gets a trailing space, which makes it an ordinary word.
    pub fn line(line: impl Into<String>) -> Self {
        let mut line: String = line.into();
        if line.contains(['\n', '\r']) {
            line = line.replace(['\n', '\r'], " ");
        }
        if payload_length(line.as_bytes()).is_some() {
            line.push(' ');
        }
        Frame { line, payload: None }
    }

    /// Returns a frame with a payload of at most [`MAX_PAYLOAD_BYTES`].
    pub fn with_payload(line: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        let payload = payload.into();
        debug_assert!(payload.len() <= MAX_PAYLOAD_BYTES);
        Frame { payload: Some(payload), ..Frame::line(line) }
    }

    /// Returns the line without its end and the payload's length.
    pub fn as_line(&self) -> &str {
        &self.line
    }

    /// Returns the line's words.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.line.split(' ').filter(|word| !word.is_empty())
    }

    /// Returns the payload, if the line's last word was `+N`.
    pub fn payload(&self) -> Option<&[u8]> {
        self.payload.as_deref()
    }

    /// Returns the payload as text, or `None` if it is missing or not UTF-8.
    pub fn text(&self) -> Option<&str> {
        self.payload().and_then(|payload| std::str::from_utf8(payload).ok())
    }

    /// Appends the frame's wire format.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.line.as_bytes());
        if let Some(payload) = &self.payload {
            out.extend_from_slice(format!(" +{}\n", payload.len()).as_bytes());
            out.extend_from_slice(payload);
        }
        out.push(b'\n');
    }

    /// Returns the frame's wire format.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// An incremental decoder of frames.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// The length of the buffer's prefix that was already returned. The next read drops it at once
    /// for all frames of the last read.
    taken: usize,
    /// The number of bytes after the prefix that hold no line end.
    searched: usize,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Line,
    /// Inside an overlong line, of which the buffer keeps only the tail.
    LongLine,
    /// After a line that announced `length` bytes. `Err` is the line's fault.
    Payload { line: Result<String, FrameError>, length: usize },
    /// After a fatal error.
    Broken(FrameError),
}

/// The length of an overlong line's tail, enough to recognise a final `+N`.
const TAIL_BYTES: usize = 24;

impl Decoder {
    /// Returns a decoder at the start of a stream.
    pub fn new() -> Self {
        Decoder::default()
    }

    /// Appends bytes of the stream. Call [`next`](Self::next) until it returns `None` before the
    /// next read: that bounds the buffer to a frame and a read.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the number of bytes held for frames that are incomplete or not yet requested.
    pub fn buffered(&self) -> usize {
        self.rest().len()
    }

    /// Takes the bytes of frames that are incomplete or not yet requested.
    pub fn take_rest(&mut self) -> Vec<u8> {
        let rest = self.rest().to_vec();
        *self = Decoder::new();
        rest
    }

    /// Frees the buffer's memory if it is empty.
    pub fn release(&mut self) {
        if self.rest().is_empty() {
            self.buffer = Vec::new();
            self.taken = 0;
        }
    }

    /// Returns the next frame, or `None` if more bytes are needed. Frames after an error that is
    /// not [fatal](FrameError::is_fatal) can still be read.
    #[allow(clippy::should_implement_trait)] // an iterator would end at the first `None`
    pub fn next(&mut self, mode: Mode) -> Result<Option<Frame>, FrameError> {
        loop {
            match &mut self.state {
                State::Broken(error) => return Err(*error),
                State::Payload { line, length } => {
                    let Some(end) = line_end_at(&self.buffer[self.taken..], *length) else {
                        return Ok(None);
                    };
                    let Some(end) = end else {
                        return self.fail(FrameError::PayloadEnd);
                    };
                    let (length, line) = (*length, std::mem::replace(line, Ok(String::new())));
                    self.state = State::Line;
                    self.searched = 0;
                    let payload = self.rest()[..length].to_vec();
                    self.taken += length + end;
                    return line.map(|line| Some(Frame { line, payload: Some(payload) }));
                }
                State::Line | State::LongLine => {
                    let Some(line) = self.take_line() else {
                        return Ok(None);
                    };
                    let announced = match mode {
                        Mode::Frame => {
                            payload_length(line.as_deref().unwrap_or_else(|(_, tail)| tail))
                        }
                        Mode::Verbatim => None,
                    };
                    let parsed = match line {
                        Ok(bytes) => String::from_utf8(bytes).map_err(|_| FrameError::NotUtf8),
                        Err((error, _)) => Err(error),
                    };
                    match announced {
                        None => return parsed.map(|line| Some(Frame { line, payload: None })),
                        Some(length) if length > MAX_PAYLOAD_BYTES as u64 => {
                            return self.fail(FrameError::PayloadTooLong);
                        }
                        Some(length) => {
                            let line = parsed.map(without_length);
                            self.state = State::Payload { line, length: length as usize };
                        }
                    }
                }
            }
        }
    }

    /// Takes a whole line without its end, or the tail of an overlong one.
    #[allow(clippy::type_complexity)]
    fn take_line(&mut self) -> Option<Result<Vec<u8>, (FrameError, Vec<u8>)>> {
        let found = self.rest()[self.searched..].iter().position(|byte| *byte == b'\n');
        let too_long = matches!(self.state, State::LongLine);
        let Some(offset) = found else {
            self.searched = self.buffered();
            if self.buffered() >= MAX_LINE_BYTES || too_long {
                self.state = State::LongLine;
                self.taken += self.buffered().saturating_sub(TAIL_BYTES);
                self.searched = self.buffered();
            }
            return None;
        };
        let length = self.searched + offset + 1;
        self.searched = 0;
        self.state = State::Line;
        let mut line = self.rest()[..length - 1].to_vec();
        self.taken += length;
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if too_long || length > MAX_LINE_BYTES {
            let tail = line.split_off(line.len().saturating_sub(TAIL_BYTES));
            return Some(Err((FrameError::LineTooLong, tail)));
        }
        Some(Ok(line))
    }

    fn fail(&mut self, error: FrameError) -> Result<Option<Frame>, FrameError> {
        self.state = State::Broken(error);
        self.buffer = Vec::new();
        self.taken = 0;
        Err(error)
    }

    /// Returns the bytes that were not returned yet.
    fn rest(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }
}

/// Finds the length of the line end at `at`: `None` if more bytes are needed, `Some(None)` if there
/// is no line end.
fn line_end_at(buffer: &[u8], at: usize) -> Option<Option<usize>> {
    match buffer.get(at..)? {
        [] => None,
        [b'\n', ..] => Some(Some(1)),
        [b'\r', b'\n', ..] => Some(Some(2)),
        [b'\r'] => None,
        _ => Some(None),
    }
}

/// Returns N if the line's last word is `+N`. A number too large for 64 bits saturates.
fn payload_length(line: &[u8]) -> Option<u64> {
    let word = line.rsplit(|byte| *byte == b' ').next()?;
    let digits = word.strip_prefix(b"+")?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let step =
        |value: u64, digit: &u8| value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, step))
}

fn without_length(mut line: String) -> String {
    let length = line.rfind(' ').unwrap_or(0);
    line.truncate(length);
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(bytes: &[u8]) -> Vec<Result<Frame, FrameError>> {
        decode_in(&[bytes], Mode::Frame)
    }

    fn decode_in(chunks: &[&[u8]], mode: Mode) -> Vec<Result<Frame, FrameError>> {
        let mut decoder = Decoder::new();
        let mut frames = Vec::new();
        for chunk in chunks {
            decoder.extend(chunk);
            while let Some(frame) = decoder.next(mode).transpose() {
                let fatal = matches!(&frame, Err(error) if error.is_fatal());
                frames.push(frame);
                if fatal {
                    return frames;
                }
            }
        }
        frames
    }

    #[test]
    fn held_bytes_are_counted_and_their_memory_is_given_back() {
        let mut decoder = Decoder::new();
        decoder.extend(b"ONE\nTW");
        assert_eq!(decoder.buffered(), 6);
        decoder.release();
        assert!(decoder.next(Mode::Frame).is_ok_and(|frame| frame.is_some()));
        assert_eq!(decoder.buffered(), 2);
        decoder.extend(b"O\n");
        assert!(decoder.next(Mode::Frame).is_ok_and(|frame| frame.is_some()));
        decoder.release();
        assert_eq!((decoder.buffered(), decoder.buffer.capacity()), (0, 0));
    }

    #[test]
    fn payload_may_end_with_a_carriage_return_in_two_pieces() {
        for pieces in [&[&b"SAY +2\r\nhi\r\n"[..]][..], &[b"SAY +2\r\nhi\r", b"\n"]] {
            let mut decoder = Decoder::new();
            let mut frames = Vec::new();
            for piece in pieces {
                decoder.extend(piece);
                frames.extend(decoder.next(Mode::Frame).expect("it is well-formed"));
            }
            assert_eq!(frames, [Frame::with_payload("SAY", "hi")]);
        }
    }

    #[test]
    fn lines_end_in_lf_or_crlf() {
        let frames = decode(b"HELLO\r\nLIST\n\nhalf");
        assert_eq!(
            frames,
            [Ok(Frame::line("HELLO")), Ok(Frame::line("LIST")), Ok(Frame::line(""))]
        );
    }

    #[test]
    fn a_payload_is_never_read_as_a_command() {
        let frames = decode(b"NONSENSE +5\nQUIT\n\nLIST\n");
        assert_eq!(
            frames,
            [Ok(Frame::with_payload("NONSENSE", "QUIT\n")), Ok(Frame::line("LIST"))]
        );
    }

    #[test]
    fn a_payload_of_a_broken_line_is_skipped_too() {
        assert_eq!(
            decode(b"\xff +5\nQUIT\n\nLIST\n"),
            [Err(FrameError::NotUtf8), Ok(Frame::line("LIST"))]
        );
        let long = [&vec![b'x'; MAX_LINE_BYTES * 3][..], b" +5\nQUIT\n\nLIST\n"].concat();
        assert_eq!(decode(&long), [Err(FrameError::LineTooLong), Ok(Frame::line("LIST"))]);
    }

    #[test]
    fn a_verbatim_line_has_no_payload() {
        let frames = decode_in(&[b"my password +5\nLIST\n"], Mode::Verbatim);
        assert_eq!(frames[0].as_ref().unwrap().payload(), None);
        assert_eq!(frames[0].as_ref().unwrap().as_line(), "my password +5");
    }

    #[test]
    fn limits_are_exact() {
        let line = |length: usize| [vec![b'x'; length - 1], b"\n".to_vec()].concat();
        assert!(decode(&line(MAX_LINE_BYTES))[0].is_ok());
        assert_eq!(decode(&line(MAX_LINE_BYTES + 1)), [Err(FrameError::LineTooLong)]);
        let payload = Frame::with_payload("X", vec![b'x'; MAX_PAYLOAD_BYTES]);
        assert_eq!(decode(&payload.to_bytes()), [Ok(payload)]);
        let announced = format!("X +{}\n", MAX_PAYLOAD_BYTES + 1);
        assert_eq!(decode(announced.as_bytes()), [Err(FrameError::PayloadTooLong)]);
        assert_eq!(decode(b"X +99999999999999999999999\n"), [Err(FrameError::PayloadTooLong)]);
    }

    #[test]
    fn a_payload_of_another_length_than_announced_ends_the_stream() {
        assert_eq!(decode(b"X +2\nabc\nLIST\n"), [Err(FrameError::PayloadEnd)]);
    }

    #[test]
    fn an_endless_line_holds_no_memory() {
        let mut decoder = Decoder::new();
        for _ in 0..1_000 {
            decoder.extend(&[b'x'; 4_096]);
            assert_eq!(decoder.next(Mode::Frame), Ok(None));
            assert!(decoder.buffered() <= MAX_LINE_BYTES);
        }
    }

    #[test]
    fn text_like_a_payload_or_with_a_line_end_stays_one_frame() {
        let frames = decode(&Frame::line("250 costs +5").to_bytes());
        assert_eq!(frames, [Ok(Frame::line("250 costs +5"))]);
        let frames = decode(&Frame::line("250 a\nQUIT").to_bytes());
        assert_eq!(frames, [Ok(Frame::line("250 a QUIT"))]);
    }

    fn any_frame() -> impl Strategy<Value = Frame> {
        let payload = prop::option::of(prop::collection::vec(any::<u8>(), 0..200));
        ("[^\r\n]{0,40}( \\+[0-9]{1,3})?", payload).prop_map(|(line, payload)| match payload {
            None => Frame::line(line),
            Some(payload) => Frame::with_payload(line, payload),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        #[test]
        fn decoding_undoes_encoding_in_any_chunking(
            frames in prop::collection::vec(any_frame(), 0..8),
            cut in 1_usize..50,
        ) {
            let mut bytes = Vec::new();
            frames.iter().for_each(|frame| frame.encode(&mut bytes));
            let chunks: Vec<&[u8]> = bytes.chunks(cut).collect();
            let decoded: Result<Vec<Frame>, FrameError> =
                decode_in(&chunks, Mode::Frame).into_iter().collect();
            prop_assert_eq!(decoded, Ok(frames));
        }

    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn garbage_never_panics_and_its_chunking_makes_no_difference(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'+'), Just(b'3'), Just(b' ')], 0..400),
            cut in 1_usize..50,
        ) {
            let chunks: Vec<&[u8]> = bytes.chunks(cut).collect();
            prop_assert_eq!(decode_in(&chunks, Mode::Frame), decode(&bytes));
        }
    }
}
