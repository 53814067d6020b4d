//! The server's certificate and key, and how it speaks TLS.
//!
//! The key is what clients remember. It is made once, at the first start, and never replaced by
//! itself: a certificate whose key has gone missing is an error for the operator to look at.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use letschat_protocol::identity::Fingerprint;
use letschat_protocol::tls;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::data_folder::DataFolder;

const KEY_FILE: &str = "server-key.pem";
const CERTIFICATE_FILE: &str = "server-certificate.pem";
const NAME: &str = "letschat-server";

/// How the server introduces itself.
pub(crate) struct Credentials {
    /// TLS 1.3 with the server's certificate.
    pub(crate) config: Arc<ServerConfig>,
    /// The server's key, as clients pin it.
    pub(crate) fingerprint: Fingerprint,
}

/// Why there are no [`Credentials`].
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read or written.
    #[error("can't use {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is a certificate, so there was a key.
    #[error(
        "the server's key {0} is missing; bring it back, or delete the certificate beside it \
             for a new identity, which every client will refuse at first"
    )]
    KeyMissing(PathBuf),
    /// Others than the server's user can read or change the key.
    #[error(
        "others have access to the server's key {path} (mode {mode:04o}); `chmod 600 {path}` ends \
         that"
    )]
    Exposed {
        /// Which.
        path: PathBuf,
        /// What it allows.
        mode: u32,
    },
    /// A file holds something else.
    #[error(
        "{path} holds no key or certificate that fits: {reason}; bring back a copy of it, since \
         with another key every client will refuse the server at first"
    )]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Credentials {
    /// Reads the key and the certificate, or makes them at the first start.
    pub(crate) fn load_or_make(folder: &DataFolder) -> Result<Credentials, TlsError> {
        let key = load_or_make_key(folder)?;
        let certificate = load_or_make_certificate(folder, &key)?;
        let wrong = |error: rustls::Error| TlsError::Content {
            path: folder.file(CERTIFICATE_FILE),
            reason: error.to_string(),
        };

        let fingerprint = tls::fingerprint(&certificate).map_err(wrong)?;
        let config = server_config(certificate, &key).map_err(wrong)?;
        Ok(Credentials { config, fingerprint })
    }
}

/// The fingerprint of the key in a data folder, beside a server that may be running there. `None`
/// before its first start.
pub fn stored_fingerprint(data_folder: &Path) -> Result<Option<Fingerprint>, TlsError> {
    let path = data_folder.join(KEY_FILE);
    match fs::read_to_string(&path).map(Zeroizing::new) {
        Ok(pem) => match KeyPair::from_pem(&pem) {
            Ok(key) => Ok(Some(Fingerprint::of_spki(&key.subject_public_key_info()))),
            Err(error) => Err(TlsError::Content { path, reason: error.to_string() }),
        },
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(TlsError::File { path, source: error })
        }
        Err(_) if data_folder.join(CERTIFICATE_FILE).exists() => Err(TlsError::KeyMissing(path)),
        Err(_) => Ok(None),
    }
}

fn server_config(
    certificate: CertificateDer<'static>,
    key: &KeyPair,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    tls::server(certificate, PrivateKeyDer::Pkcs8(key.serialize_der().into()))
}

fn load_or_make_key(folder: &DataFolder) -> Result<KeyPair, TlsError> {
    let path = folder.file(KEY_FILE);
    let content = |error: rcgen::Error| TlsError::Content {
        path: folder.file(KEY_FILE),
        reason: error.to_string(),
    };
    match fs::read_to_string(&path).map(Zeroizing::new) {
        Ok(pem) => {
            refuse_exposed(&path)?;
            KeyPair::from_pem(&pem).map_err(content)
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(TlsError::File { path, source: error })
        }
        Err(_) if folder.file(CERTIFICATE_FILE).exists() => Err(TlsError::KeyMissing(path)),
        Err(_) => {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(content)?;
            let pem = Zeroizing::new(key.serialize_pem());
            folder
                .write(KEY_FILE, pem.as_bytes())
                .map_err(|source| TlsError::File { path, source })?;
            Ok(key)
        }
    }
}

/// Like ssh, refuses a key to which others have access.
fn refuse_exposed(path: &Path) -> Result<(), TlsError> {
    let path = path.to_owned();
    match fs::metadata(&path).map(|found| found.permissions().mode() & 0o777) {
        Ok(mode) if mode & 0o077 != 0 => Err(TlsError::Exposed { path, mode }),
        Ok(_) => Ok(()),
        Err(source) => Err(TlsError::File { path, source }),
    }
}

/// A missing certificate is made from the key, so a first start that was cut short between the
/// two files heals itself.
fn load_or_make_certificate(
    folder: &DataFolder,
    key: &KeyPair,
) -> Result<CertificateDer<'static>, TlsError> {
    let path = folder.file(CERTIFICATE_FILE);
    match fs::read(&path) {
        Ok(pem) => CertificateDer::from_pem_slice(&pem)
            .map_err(|error| TlsError::Content { path, reason: error.to_string() }),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(TlsError::File { path, source: error })
        }
        Err(_) => {
            let certificate = self_signed(key).map_err(|error| TlsError::Content {
                path: folder.file(KEY_FILE),
                reason: error.to_string(),
            })?;
            folder
                .write(CERTIFICATE_FILE, certificate.pem().as_bytes())
                .map_err(|source| TlsError::File { path, source })?;
            Ok(certificate.der().clone())
        }
    }
}

/// Valid from 1975 to 4096: clients pin the key, so an end would only lock them out one day.
fn self_signed(key: &KeyPair) -> Result<rcgen::Certificate, rcgen::Error> {
    let mut params = CertificateParams::new(vec![NAME.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.self_signed(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(path: &std::path::Path) -> DataFolder {
        DataFolder::open(path).ok().unwrap()
    }

    #[test]
    fn the_fingerprint_is_the_keys_and_stays() {
        let path = tempfile::tempdir().unwrap();
        let folder = folder(path.path());
        let first = Credentials::load_or_make(&folder).unwrap().fingerprint;
        let key = KeyPair::from_pem(&fs::read_to_string(folder.file(KEY_FILE)).unwrap()).unwrap();
        assert_eq!(first, Fingerprint::of_spki(&key.subject_public_key_info()));
        assert_eq!(Credentials::load_or_make(&folder).unwrap().fingerprint, first);
        assert_eq!(stored_fingerprint(path.path()).unwrap(), Some(first));

        fs::remove_file(folder.file(CERTIFICATE_FILE)).unwrap();
        assert_eq!(Credentials::load_or_make(&folder).unwrap().fingerprint, first);
    }

    #[test]
    fn key_that_others_can_read_is_refused() {
        let path = tempfile::tempdir().unwrap();
        let folder = folder(path.path());
        Credentials::load_or_make(&folder).unwrap();
        let key = folder.file(KEY_FILE);
        let set = |mode| fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        for mode in [0o644, 0o640, 0o604, 0o620, 0o602] {
            set(mode);
            let error = Credentials::load_or_make(&folder).err().unwrap().to_string();
            assert!(error.contains(&format!("`chmod 600 {}`", key.display())), "{error}");
            assert!(error.contains(&format!("mode {mode:04o}")), "{error}");
        }
        for mode in [0o600, 0o400] {
            set(mode);
            assert!(Credentials::load_or_make(&folder).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn a_missing_or_a_foreign_key_is_never_replaced() {
        let path = tempfile::tempdir().unwrap();
        let folder = folder(path.path());
        Credentials::load_or_make(&folder).unwrap();
        fs::remove_file(folder.file(KEY_FILE)).unwrap();
        let error = Credentials::load_or_make(&folder).err().unwrap();
        assert!(matches!(error, TlsError::KeyMissing(_)), "{error}");
        assert!(matches!(stored_fingerprint(path.path()), Err(TlsError::KeyMissing(_))));

        let foreign = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        folder.write(KEY_FILE, foreign.serialize_pem().as_bytes()).unwrap();
        let error = Credentials::load_or_make(&folder).err().unwrap();
        assert!(matches!(error, TlsError::Content { .. }), "{error}");
    }
}
