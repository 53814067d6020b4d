use super::*;
use proptest::prelude::*;

fn typed(bytes: &[u8]) -> Vec<Key> {
    let mut keys = Keys::default();
    let mut typed = keys.feed(bytes, 0);
    typed.extend(keys.flush(SILENCE_MS));
    typed
}

fn chars(text: &str) -> Vec<Key> {
    text.chars().map(Key::Char).collect()
}

#[test]
fn rest_of_a_paste_that_stalled_is_not_typed() {
    let mut keys = Keys::default();
    assert_eq!(keys.feed(b"\x1b[200~one", 0), []);
    assert_eq!(keys.flush(SILENCE_MS), Some(Key::Paste("one".into())));
    let late = keys.feed(b" end\rtwo\rthree\r\x1b[201~", 5_000);
    assert_eq!(late, [Key::Paste(" end\ntwo\nthree\n".into())]);
    assert_eq!(keys.feed(b"a\r", 6_000), [Key::Char('a'), Key::Enter]);
}

#[test]
fn rest_of_a_paste_that_was_called_off_is_dropped() {
    let mut keys = Keys::default();
    assert_eq!(keys.feed(b"\x1b[200~one\rtwo\x03", 0), [Key::PasteCalledOff]);
    assert_eq!(keys.feed(b"rest\rmore\r\x1b[201~", 100), [Key::PasteCalledOff]);
    assert_eq!(keys.feed(b"a\rb\r", 200), [Key::Char('a'), Key::Enter, Key::Char('b'), Key::Enter]);
}

#[test]
fn line_typed_after_a_paste_that_stalled_is_typed() {
    let mut keys = Keys::default();
    keys.feed(b"\x1b[200~one", 0);
    keys.flush(SILENCE_MS);
    assert_eq!(keys.feed(b"a\r", 5_000), [Key::Char('a'), Key::Enter]);
    assert_eq!(keys.feed(b"b\rc", 6_000), [Key::Char('b'), Key::Enter, Key::Char('c')]);
}

#[test]
fn keys_are_told_apart() {
    use Key::*;
    for (bytes, key) in [
        (&b"\r"[..], Enter),
        (b"\n", Enter),
        (b"\x1bOM", Enter),
        (b"\x7f", Backspace),
        (b"\x01", Ctrl('a')),
        (b"\x1f", Ctrl('_')),
        (b"\x1b[A", Up),
        (b"\x1bOB", Down),
        (b"\x1b[1;5D", WordLeft),
        (b"\x1b[1;3C", WordRight),
        (b"\x1b[1;2C", Right),
        (b"\x1b[3~", Delete),
        (b"\x1b[7~", Home),
        (b"\x1b[F", End),
        (b"\x1b", Esc),
        (b"\x1bb", Alt('b')),
        (b"\x1b[", Alt('[')),
        (b"\x1b]", Alt(']')),
        (b"\x1b[I", Focus(true)),
        (b"\x1b[5~", PageUp),
        (b"\x1b[1;3A", FarUp),
        (b"\x1bOP", F(1)),
        (b"\x1b[[B", F(2)),
        (b"\x1b[15~", F(5)),
        (b"\x1b[24~", F(12)),
        (b"\x1b[<0;3;4M", Click(2, 3)),
        (b"\x1b[<64;3;4M", WheelUp),
        (b"\x1b\r", Alt('\r')),
        ("\u{1b}é".as_bytes(), Alt('é')),
        ("日".as_bytes(), Char('日')),
    ] {
        assert_eq!(typed(bytes), [key], "{bytes:?}");
    }
}

#[test]
fn unknown_sequences_are_ignored_whole() {
    for unknown in [
        &b"\x1b[99~"[..],
        b"\x1b[?1;2c",
        b"\x1b[24;80R",
        b"\x1b[[Z",
        b"\x1b[<0;3;4m",
        b"\x1b[<35;3;4M",
        b"\x1b]11;rgb:0/0/0\x07",
        b"\x1b]11;rgb:0/0/0\x1b\\",
        b"\x1bP1$r0m\x1b\\",
        b"\x1b[201~",
        b"\0",
    ] {
        assert_eq!(typed(&[unknown, b"x"].concat()), chars("x"), "{unknown:?}");
    }
    assert_eq!(typed(b"\x1b[1\x03"), [Key::Ctrl('c')]);
    assert_eq!(typed(b"\x1b]0;no end\x03"), [Key::Ctrl('c')]);
}

#[test]
fn bytes_that_are_no_text_swallow_no_keys() {
    assert_eq!(typed(b"gr\xfc\xdfe"), chars("gr\u{fffd}\u{fffd}e"));
    assert_eq!(typed(b"\xe9"), chars("\u{fffd}"));
    assert_eq!(typed(b"\xe9\r"), [Key::Char('\u{fffd}'), Key::Enter]);
    assert_eq!(typed(b"\xf0\x9f\x91x"), chars("\u{fffd}x"));
}

#[test]
fn paste_ends_at_its_end_after_silence_or_at_ctrl_c() {
    let pasted = |text: &str| Key::Paste(text.into());
    assert_eq!(typed(b"\x1b[200~a\r\nb\rc\x1b[201~"), [pasted("a\nb\nc")]);
    assert_eq!(typed(b"\x1b[200~a\x03b\x1b[A\x1b[201~"), [pasted("a\u{3}b\u{1b}[A")]);
    let mut keys = Keys::default();
    assert_eq!(keys.feed(b"\x1b[200~a", 0), []);
    assert_eq!(keys.feed(b"b\x1b[", 900), []);
    assert_eq!(keys.flush(1_800), None);
    assert_eq!(keys.next_deadline(), Some(1_900));
    assert_eq!(keys.flush(1_900), Some(pasted("ab\u{1b}[")));
    assert_eq!(keys.feed(b"\x1b[200~a", 2_000), []);
    assert_eq!(keys.feed(b"\x03", 2_001), [Key::PasteCalledOff]);
    assert_eq!(keys.feed(b"x", 2_002), chars("x"));
}

#[test]
fn rest_of_a_discarded_paste_is_no_key() {
    let mut keys = Keys::default();
    assert_eq!(keys.feed(b"\x1b[200~one", 0), []);
    keys.discard();
    assert_eq!(keys.feed(b"two\rquit\r\x1b[201~x", 0), [Key::PasteCalledOff, Key::Char('x')]);
}

#[test]
fn enormous_paste_is_dropped_and_told() {
    let paste = [b"\x1b[200~", &vec![b'x'; MAX_TEXT_BYTES + 1][..], b"\x1b[201~y"].concat();
    assert_eq!(typed(&paste), [Key::PasteTooLong, Key::Char('y')]);
}

proptest! {
    #[test]
    fn keys_are_the_same_in_any_chunking(
        bytes in proptest::collection::vec(
            prop_oneof![any::<u8>(), Just(0x1b), Just(b'['), Just(b'~'), b'0'..=b'9'], 0..60),
        paste in "[a-z\r\u{1b}é]{0,20}",
    ) {
        let all = [&bytes[..], b"\x18\x1b[200~", paste.as_bytes(), b"\x1b[201~"].concat();
        let mut keys = Keys::default();
        let mut apart: Vec<Key> = all.iter().flat_map(|byte| keys.feed(&[*byte], 0)).collect();
        apart.extend(keys.flush(SILENCE_MS));
        // A Ctrl+C that ends a read means something else within a paste.
        prop_assume!(!all.contains(&CTRL_C));
        prop_assert_eq!(typed(&all), apart);
    }
}
