//! Password hashes: argon2id, the same time for a name that exists and one that does not.
//!
//! A hash is a PHC string that carries its parameters, so stronger ones can come later without
//! locking anybody out. Each takes tens of milliseconds and [`MEMORY_KIB`], which a [`Hasher`] keeps
//! from one to the next.

use argon2::password_hash::phc::{Output, ParamsString, Salt};
use argon2::password_hash::{self, try_generate_salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, PasswordHash, Version};
use zeroize::Zeroize;

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

/// The PHC string of a new password, for whoever has only one: see [`Hasher::hash`].
pub fn hash(password: &str) -> Result<String, HashError> {
    Hasher::default().hash(password)
}

/// Hashes and compares passwords one after the other, in memory of its own. It is taken with the
/// first password and kept: to get as much from the system for each, and to give it back, would
/// take as long as the hashing, and leaves the allocator with many times as much.
#[derive(Default)]
pub struct Hasher {
    memory: Vec<Block>,
}

impl Hasher {
    /// The PHC string of a new password, under a random salt.
    pub fn hash(&mut self, password: &str) -> Result<String, HashError> {
        self.salt_and_hash(password).map(|phc| phc.to_string()).map_err(HashError)
    }

    /// Whether the password is the one that was hashed. Without a hash the answer is no, but only
    /// after the same work, so that the time does not tell which names exist.
    ///
    /// # Errors
    ///
    /// A hash that can't be read or a lack of memory is an error, never a wrong password.
    pub fn verify(&mut self, password: &str, phc: Option<&str>) -> Result<bool, HashError> {
        let is_same = self.compare(password, phc.unwrap_or(NOBODY)).map_err(HashError)?;
        Ok(is_same && phc.is_some())
    }

    /// Overwrites what the last password has left in the memory.
    pub fn wipe(&mut self) {
        self.memory.iter_mut().for_each(Zeroize::zeroize);
    }

    fn salt_and_hash(&mut self, password: &str) -> password_hash::Result<PasswordHash> {
        let salt = Salt::new(&try_generate_salt()?)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, PARAMETERS);
        let output = self.output(&argon2, password, &salt, Params::DEFAULT_OUTPUT_LEN)?;
        Ok(PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&PARAMETERS)?,
            salt: Some(salt),
            hash: Some(output),
        })
    }

    /// Hashes by what the PHC string says, whatever parameters those are.
    fn compare(&mut self, password: &str, phc: &str) -> password_hash::Result<bool> {
        let phc = PasswordHash::new(phc)?;
        let (Some(salt), Some(expected)) = (&phc.salt, &phc.hash) else {
            return Err(password_hash::Error::EncodingInvalid);
        };
        let algorithm = Algorithm::try_from(phc.algorithm.as_str())?;
        let version = phc.version.map(Version::try_from).transpose()?.unwrap_or_default();
        let argon2 = Argon2::new(algorithm, version, Params::try_from(&phc)?);
        // Outputs are compared in a time that tells nothing about them.
        Ok(self.output(&argon2, password, salt, expected.len())? == *expected)
    }

    fn output(
        &mut self,
        argon2: &Argon2<'_>,
        password: &str,
        salt: &Salt,
        length: usize,
    ) -> password_hash::Result<Output> {
        let mut buffer = [0; Output::MAX_LENGTH];
        let output = buffer.get_mut(..length).ok_or(password_hash::Error::OutputSize)?;
        let memory = self.blocks(argon2.params().block_count())?;
        argon2.hash_password_into_with_memory(password.as_bytes(), salt, output, memory)?;
        Ok(Output::new(output)?)
    }

    /// So much of the memory, which grows where it has to.
    fn blocks(&mut self, count: usize) -> password_hash::Result<&mut [Block]> {
        let missing = count.saturating_sub(self.memory.len());
        if missing > 0 {
            // To grow may leave the old blocks behind.
            self.wipe();
        }
        let reserved = self.memory.try_reserve_exact(missing);
        reserved.map_err(|_| password_hash::Error::OutOfMemory)?;
        self.memory.resize(self.memory.len() + missing, Block::new());
        Ok(&mut self.memory[..count])
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.wipe();
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

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::PasswordHasher as _;

    fn verify(password: &str, phc: Option<&str>) -> Result<bool, HashError> {
        Hasher::default().verify(password, phc)
    }

    #[test]
    fn what_one_password_leaves_in_the_memory_does_not_change_the_next() {
        let mut hasher = Hasher::default();
        let battery = hasher.hash("correct horse battery").unwrap();
        let staple = hasher.hash("incorrect horse staple").unwrap();
        for _ in 0..2 {
            assert_eq!(hasher.verify("correct horse battery", Some(&battery)), Ok(true));
            assert_eq!(hasher.verify("correct horse battery", Some(&staple)), Ok(false));
            assert_eq!(hasher.verify("correct horse battery", None), Ok(false));
            assert_eq!(hasher.verify("incorrect horse staple", Some(&staple)), Ok(true));
        }
        assert_eq!(verify("correct horse battery", Some(&battery)), Ok(true));
    }

    #[test]
    fn a_hasher_keeps_the_memory_of_one_hash_and_can_wipe_it() {
        let mut hasher = Hasher::default();
        for _ in 0..3 {
            hasher.verify("correct horse battery", None).unwrap();
        }
        assert_eq!(hasher.memory.len(), PARAMETERS.block_count());
        let is_wiped = |hasher: &Hasher| {
            hasher.memory.iter().all(|block| block.as_ref().iter().all(|word| *word == 0))
        };
        assert!(!is_wiped(&hasher));
        hasher.wipe();
        assert!(is_wiped(&hasher));
    }

    #[test]
    fn a_hash_is_the_one_that_the_library_makes() {
        let phc = PasswordHash::new(&hash("correct horse battery").unwrap()).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, PARAMETERS);
        let salt = phc.salt.unwrap();
        let same: PasswordHash =
            argon2.hash_password_with_salt(b"correct horse battery", &salt).unwrap();
        assert_eq!(phc, same);
    }

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
