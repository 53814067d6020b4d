//! Signatures by identities: [`Identity::sign`] makes every one of them.
//!
//! The signed bytes are `letschat <purpose> v1`, a zero byte, the server's fingerprint, and the fields of
//! the statement. No signature is valid for two purposes or at two servers.

use aws_lc_rs::signature::{self, UnparsedPublicKey};

use crate::identity::{ChannelBinding, Fingerprint, Identity, PublicKey, Signature};
use crate::username::Username;

/// A statement that an identity signs.
pub trait Statement {
    /// The purpose, which no other statement has.
    const PURPOSE: &'static str;

    /// Returns the server at which the signature is valid.
    fn server(&self) -> &Fingerprint;

    /// Appends the fields in a form that distinguishes any two statements.
    fn write_fields(&self, bytes: &mut Vec<u8>);
}

fn signed_bytes<S: Statement>(statement: &S) -> Vec<u8> {
    let label = format!("letschat {} v1\0", S::PURPOSE);
    let mut bytes = [label.as_bytes(), statement.server().as_bytes()].concat();
    statement.write_fields(&mut bytes);
    bytes
}

impl Identity {
    /// Signs a statement (Ed25519, RFC 8032, section 5.1).
    pub fn sign<S: Statement>(&self, statement: &S) -> Signature {
        self.sign_bytes(&signed_bytes(statement))
    }
}

impl PublicKey {
    /// Returns true if this key signed the statement.
    pub fn verifies<S: Statement>(&self, signature: &Signature, statement: &S) -> bool {
        UnparsedPublicKey::new(&signature::ED25519, self.as_bytes())
            .verify(&signed_bytes(statement), signature.as_bytes())
            .is_ok()
    }
}

/// The statement of a login: the user, the server and the TLS session. The signature is
/// therefore useless at another server, for another account or on another connection.
#[derive(Debug, Clone, Copy)]
pub struct LoginStatement<'a> {
    /// The server's key.
    pub server: &'a Fingerprint,
    /// The account.
    pub username: &'a Username,
    /// The value exported from the TLS session with
    /// [`EXPORTER_CONTEXT_LOGIN`](crate::identity::EXPORTER_CONTEXT_LOGIN).
    pub binding: &'a ChannelBinding,
}

impl Statement for LoginStatement<'_> {
    const PURPOSE: &'static str = "login";

    fn server(&self) -> &Fingerprint {
        self.server
    }

    fn write_fields(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.binding);
        // Only the name has a variable length, and it comes last.
        bytes.extend_from_slice(self.username.as_str().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Username {
        text.parse().unwrap()
    }

    #[test]
    fn signed_bytes_of_a_login_are_those_of_version_0_1() {
        let server = Fingerprint::of_spki(b"server");
        let (alice, binding) = (name("alice"), [1; 32]);
        let statement = LoginStatement { server: &server, username: &alice, binding: &binding };
        let expected =
            [b"letschat login v1\0", &server.as_bytes()[..], &[1; 32], b"alice"].concat();
        assert_eq!(signed_bytes(&statement), expected);
    }

    #[test]
    fn signature_is_for_one_purpose() {
        struct Other<'a>(LoginStatement<'a>);
        impl Statement for Other<'_> {
            const PURPOSE: &'static str = "other";
            fn server(&self) -> &Fingerprint {
                self.0.server()
            }
            fn write_fields(&self, bytes: &mut Vec<u8>) {
                self.0.write_fields(bytes);
            }
        }
        let (server, alice) = (Fingerprint::of_spki(b"server"), name("alice"));
        let login = LoginStatement { server: &server, username: &alice, binding: &[1; 32] };
        let identity = Identity::from_seed(&[7; 32]);
        let signature = identity.sign(&login);
        assert!(identity.public_key().verifies(&signature, &login));
        assert!(!identity.public_key().verifies(&signature, &Other(login)));
    }

    #[test]
    fn a_login_is_good_for_one_user_one_server_one_session() {
        let identity = Identity::generate().unwrap();
        let (alice, bob) = (name("alice"), name("bob"));
        let server = Fingerprint::of_spki(b"server");
        let statement = LoginStatement { server: &server, username: &alice, binding: &[1; 32] };
        let signature = identity.sign(&statement);
        let key = identity.public_key();
        assert!(key.verifies(&signature, &statement));

        let elsewhere = Fingerprint::of_spki(b"another server");
        for other in [
            LoginStatement { username: &bob, ..statement },
            LoginStatement { server: &elsewhere, ..statement },
            LoginStatement { binding: &[2; 32], ..statement },
        ] {
            assert!(!key.verifies(&signature, &other), "{other:?}");
        }
        let stranger = Identity::generate().unwrap().public_key();
        assert!(!stranger.verifies(&signature, &statement));
    }
}
