//! Password hashes: argon2id, the same time for a name that exists and one that does not.
//!
//! A hash is a PHC string that carries its parameters, so stronger ones can come later without
//! locking anybody out. Each call takes tens of milliseconds and [`MEMORY_KIB`].

use argon2::password_hash::{self, PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, PasswordHash, Version};

/// Memory of one hash, in KiB. With [`PASSES`] and [`LANES`], a minimum of OWASP's Password
/// Storage Cheat Sheet.
pub const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over that memory.
pub const PASSES: u32 = 2;
/// Lanes that could be computed in parallel.
pub const LANES: u32 = 1;

/// A password could not be hashed or compared; says nothing about the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a password could not be hashed: {0}")]
pub struct HashError(password_hash::Error);

/// The PHC string of a new password, under a random salt.
pub fn hash(password: &str) -> Result<String, HashError> {
    let phc: PasswordHash = argon2id().hash_password(password.as_bytes()).map_err(HashError)?;
    Ok(phc.to_string())
}

/// Whether the password is the one that was hashed. Without a hash the answer is no, but only
/// after the same work, so that the time does not tell which names exist.
///
/// # Errors
///
/// A hash that can't be read or a lack of memory is an error, never a wrong password.
pub fn verify(password: &str, phc: Option<&str>) -> Result<bool, HashError> {
    match argon2id().verify_password(password.as_bytes(), phc.unwrap_or(NOBODY)) {
        Ok(()) => Ok(phc.is_some()),
        Err(password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(HashError(error)),
    }
}

/// Parameters that argon2 does not accept are refused by the compiler.
const PARAMETERS: Params = match Params::new(MEMORY_KIB, PASSES, LANES, None) {
    Ok(parameters) => parameters,
    Err(_) => panic!("these are no parameters of argon2"),
};

/// What a password is compared with when there is no account: the shape of a real hash, but its
/// output is made up.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm8gc3VjaCBhY2NvdW50Lg\
                      $dGhpcyBpcyBub3QgdGhlIGhhc2ggb2YgYW55dGhpbmc";

fn argon2id() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, PARAMETERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_recognised_and_another_is_not() {
        let phc = hash("correct horse battery").unwrap();
        assert_eq!(verify("correct horse battery", Some(&phc)), Ok(true));
        assert_eq!(verify("correct horse batterz", Some(&phc)), Ok(false));
        assert_eq!(verify("", Some(&phc)), Ok(false));
    }

    #[test]
    fn the_same_password_has_another_hash_each_time() {
        assert_ne!(hash("correct horse battery").unwrap(), hash("correct horse battery").unwrap());
    }

    #[test]
    fn nobody_has_a_password() {
        assert_eq!(verify("correct horse battery", None), Ok(false));
    }

    #[test]
    fn comparing_with_nobody_is_as_much_work_as_with_somebody() {
        let somebody = hash("correct horse battery").unwrap();
        let [somebody, nobody] =
            [&somebody, NOBODY].map(|phc| PasswordHash::new(phc).expect("a PHC string"));
        assert_eq!(nobody.algorithm, somebody.algorithm);
        assert_eq!(nobody.version, somebody.version);
        assert_eq!(nobody.params, somebody.params);
        assert_eq!(nobody.salt.map(|salt| salt.len()), somebody.salt.map(|salt| salt.len()));
        assert_eq!(nobody.hash.map(|hash| hash.len()), somebody.hash.map(|hash| hash.len()));
    }

    #[test]
    fn the_parameters_are_in_the_hash() {
        let phc = hash("correct horse battery").unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
    }

    #[test]
    fn a_hash_with_other_parameters_still_opens() {
        let old = Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            Params::new(64, 1, 1, None).expect("small but valid"),
        );
        let phc: PasswordHash = old.hash_password(b"correct horse battery").unwrap();
        assert_eq!(verify("correct horse battery", Some(&phc.to_string())), Ok(true));
    }

    #[test]
    fn a_damaged_hash_is_an_error_and_not_a_wrong_password() {
        assert!(verify("correct horse battery", Some(&NOBODY.replace("p=1$", "p=1$!"))).is_err());
        assert!(verify("correct horse battery", Some("")).is_err());
    }
}
