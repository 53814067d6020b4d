//! The server's certificate and key, and its TLS config.
//!
//! Clients remember the key. It is generated at the first start and never replaced automatically. A
//! certificate whose key is missing is an error that the operator has to resolve.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use letschat_flags::files;
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
/// The largest key or certificate file, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;
const NAME: &str = "letschat-server";

/// The server's credentials for TLS.
pub(crate) struct Credentials {
    /// The config for TLS 1.3 with the server's certificate.
    pub(crate) config: Arc<ServerConfig>,
    /// The fingerprint of the server's key, as clients pin it.
    pub(crate) fingerprint: Fingerprint,
}

/// The reason why the server's credentials can't be loaded.
#[allow(missing_docs)] // The variants' docs name their fields.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read or written.
    #[error("can't use {path}: {source}")]
    File { path: PathBuf, source: io::Error },
    /// The certificate exists, but its key is missing.
    #[error(
        "the server's key {0} is missing; bring it back, or delete the certificate beside it \
             for a new identity, which every client will refuse at first"
    )]
    KeyMissing(PathBuf),
    /// A file with other content than a key or a certificate.
    #[error(
        "{path} holds no key or certificate that fits: {reason}; bring back a copy of it, since \
         with another key every client will refuse the server at first"
    )]
    Content { path: PathBuf, reason: String },
    /// The key and the certificate are those of two servers.
    #[error(
        "in {0}, {KEY_FILE} and {CERTIFICATE_FILE} do not belong together; bring back copies of the same server, since \
         with another key every client will refuse it at first"
    )]
    TwoKeys(PathBuf),
}

impl Credentials {
    /// Reads the key and the certificate, or generates them at the first start.
    pub(crate) fn load_or_make(folder: &DataFolder) -> Result<Credentials, TlsError> {
        let key = load_or_make_key(folder)?;
        let certificate = load_or_make_certificate(folder, &key)?;
        let wrong = |error: rustls::Error| TlsError::Content {
            path: folder.file(CERTIFICATE_FILE),
            reason: error.to_string(),
        };

        let fingerprint = tls::fingerprint(&certificate).map_err(wrong)?;
        let config = server_config(certificate, &key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::TwoKeys(folder.path().to_owned()),
            error => wrong(error),
        })?;
        Ok(Credentials { config, fingerprint })
    }
}

/// Returns the fingerprint of the key in a data folder, even while a server runs there. Returns
/// `None` before the first start.
pub fn stored_fingerprint(data_folder: &Path) -> Result<Option<Fingerprint>, TlsError> {
    let key = stored_key(data_folder)?;
    Ok(key.map(|key| Fingerprint::of_spki(&key.subject_public_key_info())))
}

/// Returns the key in a data folder, or `None` before the server's first start.
fn stored_key(data_folder: &Path) -> Result<Option<KeyPair>, TlsError> {
    let path = data_folder.join(KEY_FILE);
    match files::read_secret(data_folder, &path, MAX_FILE_BYTES) {
        Ok(Some(pem)) => key_from(Zeroizing::new(pem))
            .map(Some)
            .map_err(|reason| TlsError::Content { path, reason }),
        Ok(None) if data_folder.join(CERTIFICATE_FILE).exists() => Err(TlsError::KeyMissing(path)),
        Ok(None) => Ok(None),
        Err(source) => Err(TlsError::File { path, source }),
    }
}

fn key_from(pem: Zeroizing<Vec<u8>>) -> Result<KeyPair, String> {
    let text = str::from_utf8(&pem).map_err(|error| error.to_string())?;
    KeyPair::from_pem(text).map_err(|error| error.to_string())
}

fn server_config(
    certificate: CertificateDer<'static>,
    key: &KeyPair,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    tls::server(certificate, PrivateKeyDer::Pkcs8(key.serialize_der().into()))
}

fn load_or_make_key(folder: &DataFolder) -> Result<KeyPair, TlsError> {
    if let Some(key) = stored_key(folder.path())? {
        return Ok(key);
    }
    let path = folder.file(KEY_FILE);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
        .map_err(|error| TlsError::Content { path: path.clone(), reason: error.to_string() })?;
    let pem = Zeroizing::new(key.serialize_pem());
    folder.write(KEY_FILE, pem.as_bytes()).map_err(|source| TlsError::File { path, source })?;
    Ok(key)
}

/// Reads the certificate, or makes it from the key. An interrupted first start thus repairs itself.
fn load_or_make_certificate(
    folder: &DataFolder,
    key: &KeyPair,
) -> Result<CertificateDer<'static>, TlsError> {
    let path = folder.file(CERTIFICATE_FILE);
    match files::read(&path, MAX_FILE_BYTES) {
        Ok(Some(pem)) => CertificateDer::from_pem_slice(&pem)
            .map_err(|error| TlsError::Content { path, reason: error.to_string() }),
        Err(source) => Err(TlsError::File { path, source }),
        Ok(None) => {
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

/// Makes a certificate that is valid from 1975 to 4096. Clients pin the key, so an expiry would
/// only lock them out one day.
fn self_signed(key: &KeyPair) -> Result<rcgen::Certificate, rcgen::Error> {
    let mut params = CertificateParams::new(vec![NAME.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.self_signed(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, Mode, mkfifoat};
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

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
    fn fingerprint_is_read_as_carefully_as_the_key() {
        let path = tempfile::tempdir().unwrap();
        Credentials::load_or_make(&folder(path.path())).unwrap();
        let key = path.path().join(KEY_FILE);
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let refused = |mend: String| {
            let error = stored_fingerprint(path.path()).unwrap_err().to_string();
            assert!(error.contains(&mend), "{error}");
        };
        set(path.path(), 0o777);
        refused(format!("`chmod go-w {}`", path.path().display()));
        set(path.path(), 0o700);
        set(&key, 0o644);
        refused(format!("`chmod 600 {}`", key.display()));
        set(&key, 0o600);

        let elsewhere = tempfile::tempdir().unwrap();
        fs::rename(&key, elsewhere.path().join("key")).unwrap();
        symlink(elsewhere.path().join("key"), &key).unwrap();
        assert!(stored_fingerprint(path.path()).unwrap().is_some());
        set(elsewhere.path(), 0o777);
        refused(format!("`chmod go-w {}`", elsewhere.path().display()));
        assert!(Credentials::load_or_make(&folder(path.path())).is_err());
    }

    #[test]
    fn fifo_in_the_place_of_a_file_is_refused() {
        for file in [KEY_FILE, CERTIFICATE_FILE] {
            let path = tempfile::tempdir().unwrap();
            let folder = folder(path.path());
            Credentials::load_or_make(&folder).unwrap();
            fs::remove_file(folder.file(file)).unwrap();
            mkfifoat(CWD, folder.file(file), Mode::RUSR | Mode::WUSR).unwrap();
            let error = Credentials::load_or_make(&folder).err().unwrap().to_string();
            assert!(error.contains(file) && error.ends_with("it is no regular file"), "{error}");
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
        assert!(matches!(error, TlsError::TwoKeys(_)), "{error}");
    }
}
