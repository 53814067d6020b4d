//! The key pair of the history, and its file.
//!
//! Each run seals its messages with a key of its own, and seals that key to the history's public key. The private half
//! is in the file as it is, or sealed with a key that argon2id (RFC 9106) makes of a passphrase. Messages are therefore
//! kept without the passphrase; only reading needs it.
//!
//! ```text
//! plain:      0, public (32), private (32), SHA-256 of all before (32)
//! protected:  1, public (32), memory in KiB (4), passes (4), salt (16), sealed private (48), SHA-256 (32)
//! ```
//!
//! Numbers are big-endian.

use std::io;
use std::path::Path;
use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use letschat_flags::files;
use letschat_protocol::password::normalized;
use letschat_protocol::prekey::PrekeyPublic;
use letschat_protocol::sealing::Prekey;
use zeroize::Zeroizing;

use crate::private_file;

const PLAIN: u8 = 0;
const PROTECTED: u8 = 1;

/// The cost of a new passphrase: the second recommendation of RFC 9106, section 4, on one lane.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;

/// The highest cost of a file that is read.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
const MAX_PASSES: u32 = 64;

/// The key pair.
#[derive(Clone)]
pub(crate) struct Keys {
    public: PrekeyPublic,
    /// `None` before the passphrase is given.
    pair: Option<Arc<Prekey>>,
    protected: Option<Protected>,
}

/// A private half under a passphrase.
#[derive(Clone, PartialEq, Eq)]
struct Protected {
    memory_kib: u32,
    passes: u32,
    salt: [u8; 16],
    sealed: [u8; 48],
}

/// The reason for which there are no keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeysError {
    /// The file is damaged.
    #[error("it is damaged")]
    Damaged,
    /// A newer version of this program wrote the file.
    #[error("a newer letschat wrote it; install that one")]
    Newer,
    /// The file can't be read or written, or others can.
    #[error("{0}")]
    File(#[from] io::Error),
    /// The system's random source failed, or there is no memory.
    #[error("no key could be made")]
    NoKey,
}

impl Keys {
    /// Generates a pair.
    pub(super) fn generate() -> Result<Keys, KeysError> {
        let pair = Arc::new(Prekey::generate().map_err(|_| KeysError::NoKey)?);
        Ok(Keys { public: pair.public(), pair: Some(pair), protected: None })
    }

    /// Generates a pair and writes its file, which replaces another one.
    pub(super) fn make(path: &Path) -> Result<Keys, KeysError> {
        let keys = Keys::generate()?;
        keys.write(path)?;
        Ok(keys)
    }

    /// Reads the file, or returns `None` if there is none. Its folder is `top` or below.
    pub(super) fn read(top: &Path, path: &Path) -> Result<Option<Keys>, KeysError> {
        let Some(bytes) = private_file::read_secret(top, path)?.map(Zeroizing::new) else {
            return Ok(None);
        };
        let whole = bytes.split_last_chunk::<32>();
        let whole = whole.filter(|(rest, hash)| {
            digest::digest(&digest::SHA256, rest).as_ref() == hash.as_slice()
        });
        let (rest, _) = whole.ok_or(KeysError::Damaged)?;
        // It is as it was written, but not by this version.
        Keys::parse(rest).map(Some).ok_or(KeysError::Newer)
    }

    fn parse(rest: &[u8]) -> Option<Keys> {
        let (kind, rest) = rest.split_first()?;
        let (public, rest) = rest.split_first_chunk::<32>()?;
        let public = PrekeyPublic(*public);
        match *kind {
            PLAIN => {
                let private = rest.try_into().ok()?;
                let pair = Some(Arc::new(Prekey::from_bytes(public, private)));
                Some(Keys { public, pair, protected: None })
            }
            PROTECTED => {
                let (memory, rest) = rest.split_first_chunk()?;
                let (passes, rest) = rest.split_first_chunk()?;
                let (salt, sealed) = rest.split_first_chunk::<16>()?;
                let protected = Protected {
                    memory_kib: u32::from_be_bytes(*memory),
                    passes: u32::from_be_bytes(*passes),
                    salt: *salt,
                    sealed: sealed.try_into().ok()?,
                };
                let is_bearable =
                    protected.memory_kib <= MAX_MEMORY_KIB && protected.passes <= MAX_PASSES;
                let protected = is_bearable.then_some(protected)?;
                Some(Keys { public, pair: None, protected: Some(protected) })
            }
            _ => None,
        }
    }

    /// Writes the file, which replaces another one.
    pub(super) fn write(&self, path: &Path) -> Result<(), KeysError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(256));
        bytes.push(if self.is_protected() { PROTECTED } else { PLAIN });
        bytes.extend_from_slice(&self.public.0);
        match (&self.protected, &self.pair) {
            (Some(Protected { memory_kib, passes, salt, sealed }), _) => {
                bytes.extend_from_slice(&memory_kib.to_be_bytes());
                bytes.extend_from_slice(&passes.to_be_bytes());
                bytes.extend_from_slice(salt);
                bytes.extend_from_slice(sealed);
            }
            (None, Some(pair)) => bytes.extend_from_slice(pair.private_bytes()),
            (None, None) => return Err(KeysError::NoKey),
        }
        let hash = digest::digest(&digest::SHA256, &bytes);
        bytes.extend_from_slice(hash.as_ref());
        Ok(files::write_private(path, &bytes)?)
    }

    pub(super) fn public(&self) -> &PrekeyPublic {
        &self.public
    }

    /// Returns the pair, unless its passphrase is missing.
    pub(super) fn pair(&self) -> Option<&Arc<Prekey>> {
        self.pair.as_ref()
    }

    pub(super) fn is_protected(&self) -> bool {
        self.protected.is_some()
    }

    /// Returns the keys with the private half, or `None` if the passphrase is another one.
    pub(super) fn unlock(&self, passphrase: &str) -> Result<Option<Keys>, KeysError> {
        let Some(protected) = &self.protected else { return Ok(Some(self.clone())) };
        let mut sealed = Zeroizing::new(protected.sealed);
        let opened = protected
            .key(passphrase)?
            .open_in_place(once(), Aad::from(self.public.0), &mut *sealed)
            .ok()
            .and_then(|private| {
                Some(Prekey::from_bytes(self.public, (&*private).try_into().ok()?))
            });
        Ok(opened.map(|pair| Keys { pair: Some(Arc::new(pair)), ..self.clone() }))
    }

    /// Returns the keys protected by a passphrase, or by none if it is empty; `None` while the private half is not
    /// known.
    pub(super) fn protected(&self, passphrase: &str) -> Result<Option<Keys>, KeysError> {
        let Some(pair) = &self.pair else { return Ok(None) };
        let mut keys = Keys { protected: None, ..self.clone() };
        if !passphrase.is_empty() {
            let (memory_kib, passes) = (MEMORY_KIB, PASSES);
            let (mut salt, mut sealed) = ([0; 16], [0; 48]);
            SystemRandom::new().fill(&mut salt).map_err(|_| KeysError::NoKey)?;
            let mut protected = Protected { memory_kib, passes, salt, sealed };
            let mut private = Zeroizing::new(*pair.private_bytes());
            let tag = protected
                .key(passphrase)?
                .seal_in_place_separate_tag(once(), Aad::from(self.public.0), &mut *private)
                .map_err(|_| KeysError::NoKey)?;
            sealed[..32].copy_from_slice(&*private);
            sealed[32..].copy_from_slice(tag.as_ref());
            protected.sealed = sealed;
            keys.protected = Some(protected);
        }
        Ok(Some(keys))
    }
}

impl Protected {
    fn key(&self, passphrase: &str) -> Result<LessSafeKey, KeysError> {
        let params = Params::new(self.memory_kib, self.passes, 1, Some(32));
        let params = params.map_err(|_| KeysError::Damaged)?;
        let mut key = Zeroizing::new([0; 32]);
        let passphrase = normalized(passphrase);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &self.salt, &mut *key)
            .map_err(|_| KeysError::NoKey)?;
        let key = UnboundKey::new(&CHACHA20_POLY1305, &*key).map_err(|_| KeysError::NoKey)?;
        Ok(LessSafeKey::new(key))
    }
}

/// Returns the nonce of a key that seals one thing: each salt is new.
fn once() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn private(keys: &Keys) -> [u8; 32] {
        *keys.pair().unwrap().private_bytes()
    }

    #[test]
    fn passphrase_opens_what_it_protects() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.key");
        let made = Keys::make(&path).unwrap();
        let read = || Keys::read(folder.path(), &path).unwrap().unwrap();
        assert_eq!(private(&read()), private(&made));

        made.protected("correct horse").unwrap().unwrap().write(&path).unwrap();
        let locked = read();
        assert!(locked.pair().is_none() && locked.is_protected());
        assert!(locked.unlock("wrong horse").unwrap().is_none());
        assert!(locked.protected("other").unwrap().is_none(), "it is not open");
        let open = locked.unlock("correct horse").unwrap().unwrap();
        assert_eq!(private(&open), private(&made));
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(32).any(|part| part == private(&made)));

        open.protected("").unwrap().unwrap().write(&path).unwrap();
        assert_eq!(private(&read()), private(&made));
    }

    #[test]
    fn damaged_file_is_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.key");
        assert!(Keys::read(folder.path(), &path).unwrap().is_none());
        Keys::make(&path).unwrap();
        let bytes = fs::read(&path).unwrap();
        let is_damaged = |content: &[u8]| {
            files::write_private(&path, content).unwrap();
            matches!(Keys::read(folder.path(), &path), Err(KeysError::Damaged))
        };
        for at in (0..bytes.len()).step_by(7) {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(is_damaged(&changed), "{at}");
            assert!(is_damaged(&bytes[..at]), "{at}");
        }
        let mut newer = bytes[..bytes.len() - 32].to_vec();
        newer[0] = 9;
        newer.extend(digest::digest(&digest::SHA256, &newer).as_ref().to_vec());
        files::write_private(&path, &newer).unwrap();
        assert!(matches!(Keys::read(folder.path(), &path), Err(KeysError::Newer)));
    }
}
