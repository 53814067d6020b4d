//! Fields of signed and sealed values: each is preceded by its length in four bytes, big-endian, so that no two
//! sequences of fields have the same bytes.

/// Appends a field.
pub(crate) fn write(bytes: &mut Vec<u8>, field: &[u8]) {
    // Every field is part of a payload, which has at most 64 KiB.
    bytes.extend_from_slice(&(field.len() as u32).to_be_bytes());
    bytes.extend_from_slice(field);
}

/// A reader of untrusted fields. Each method returns `None` if the bytes are no such field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// Takes this many bytes, without a length before them.
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Takes an array, without a length before it.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// Takes a field.
    pub(crate) fn field(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_be_bytes(self.array()?);
        self.take(usize::try_from(length).ok()?)
    }

    /// Takes a field of exactly this length.
    pub(crate) fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.field()?.try_into().ok()
    }

    /// Takes a field with a number.
    pub(crate) fn number(&mut self) -> Option<u64> {
        self.fixed().map(u64::from_be_bytes)
    }

    /// Takes a field with text.
    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.field()?).ok()
    }
}
