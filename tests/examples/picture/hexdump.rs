//! TLS records in hexadecimal, as `hexdump -C` prints bytes.

/// The most lines of a dump. Further bytes are counted.
const MAX_LINES: usize = 14;

const LINE_BYTES: usize = 16;

/// A record begins with its type, two bytes of version and two of length (RFC 8446, section 5.1).
const HEADER_BYTES: usize = 5;

/// Returns the complete TLS records that begin at this place of a stream or later.
pub(crate) fn records(stream: &[u8], start: usize) -> Vec<&[u8]> {
    let (mut records, mut place) = (Vec::new(), 0);
    while let Some(header) = stream.get(place..place + HEADER_BYTES) {
        let length = HEADER_BYTES + usize::from(u16::from_be_bytes([header[3], header[4]]));
        let Some(record) = stream.get(place..place + length) else { break };
        if place >= start {
            records.push(record);
        }
        place += length;
    }
    records
}

/// Returns the lines of the first bytes.
pub(crate) fn dump(bytes: &[u8]) -> String {
    let shown = bytes.chunks(LINE_BYTES).take(MAX_LINES).enumerate();
    let mut lines: Vec<String> = shown.map(|(number, bytes)| line(number, bytes)).collect();
    let left = bytes.len().saturating_sub(MAX_LINES * LINE_BYTES);
    if left > 0 {
        lines.push(format!("… and {left} more bytes"));
    }
    lines.join("\n")
}

fn line(number: usize, bytes: &[u8]) -> String {
    let hex = |half: &[u8]| {
        let digits: Vec<String> = half.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.join(" ")
    };
    let halves: Vec<String> = bytes.chunks(LINE_BYTES / 2).map(hex).collect();
    let is_shown = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    let letter = |byte: &u8| if is_shown(*byte) { char::from(*byte) } else { '.' };
    let text: String = bytes.iter().map(letter).collect();
    format!("{:08x}  {:48}  |{text}|", number * LINE_BYTES, halves.join("  "))
}
