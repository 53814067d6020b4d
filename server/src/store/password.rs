//! Password hashes: argon2id, in the same time for existing and unknown names.
//!
//! All passwords are hashed and compared here, in their [normal
//! form](letschat_protocol::password::normalized). Older hashes were made of the original bytes,
//! which are therefore compared as well.
//!
//! A hash is a PHC string with its parameters, so that stronger ones can be introduced without
//! locking anybody out. Each takes tens of milliseconds and [`MEMORY_KIB`], which a [`Hasher`]
//! reuses.

use argon2::password_hash::phc::{Output, ParamsString, Salt};
use argon2::password_hash::{self, try_generate_salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, PasswordHash, Version};
use letschat_protocol::password::normalized;
use zeroize::Zeroize;

/// The memory of one hash, in KiB. With [`PASSES`] and [`LANES`] it is a minimum of OWASP's
/// Password Storage Cheat Sheet.
pub const MEMORY_KIB: u32 = 19 * 1024;
/// The number of passes over that memory.
pub const PASSES: u32 = 2;
/// The number of lanes, which could be computed in parallel.
pub const LANES: u32 = 1;

/// The most memory that a stored hash may demand, in KiB.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
/// The most work that a stored hash may demand, as memory in KiB times passes: some seconds.
const MAX_WORK_KIB: u64 = 1024 * 1024;

/// A failure to hash or compare a password. The error reveals nothing about the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// There is no memory or no random salt.
    #[error("a password could not be hashed: {0}")]
    Hashing(password_hash::Error),
    /// The stored hash is no PHC string of argon2, or demands too much memory or time.
    #[error("the stored hash can't be used: {0}")]
    Stored(password_hash::Error),
}

/// Hashes a single new password into a PHC string: see [`Hasher::hash`].
pub fn hash(password: &str) -> Result<String, HashError> {
    Hasher::default().hash(password)
}

/// Returns true for a hash like those of [`hash`]: argon2id with the same parameters and sizes.
/// Comparing with a different hash would take a different time.
pub fn is_current(phc: &str) -> bool {
    let (Ok(parsed), Ok(model)) = (PasswordHash::new(phc), PasswordHash::new(NOBODY)) else {
        return false;
    };
    let shape = |phc: &PasswordHash| {
        let salt_bytes = phc.salt.as_ref().map(|salt| salt.len());
        let hash_bytes = phc.hash.as_ref().map(|hash| hash.len());
        (phc.algorithm, phc.version, phc.params.clone(), salt_bytes, hash_bytes)
    };
    // Only the canonical spelling is accepted, so that an export equals the import.
    shape(&parsed) == shape(&model) && parsed.to_string() == phc
}

/// A hasher of passwords that reuses its memory. The first password allocates it. Allocating and
/// freeing it for each password would take as long as the hashing, and would make the allocator
/// keep many times as much.
#[derive(Default)]
pub struct Hasher {
    memory: Vec<Block>,
}

impl Hasher {
    /// Hashes a new password with a random salt into a PHC string.
    pub fn hash(&mut self, password: &str) -> Result<String, HashError> {
        self.salt_and_hash(password).map(|phc| phc.to_string()).map_err(HashError::Hashing)
    }

    /// Returns true if the password matches the hash. Without a hash it returns false after the
    /// same work, so that the time does not reveal which names exist.
    ///
    /// # Errors
    ///
    /// An unusable hash is an error after the same work. A lack of memory is an error at once.
    pub fn verify(&mut self, password: &str, phc: Option<&str>) -> Result<bool, HashError> {
        let compared = phc.map(|phc| self.is_same(password, phc));
        match compared {
            Some(Ok(is_same)) => return Ok(is_same),
            Some(Err(error @ password_hash::Error::OutOfMemory)) => {
                return Err(HashError::Hashing(error));
            }
            Some(Err(_)) | None => {}
        }
        self.is_same(password, NOBODY).map_err(HashError::Hashing)?;
        compared.map_or(Ok(false), |compared| compared.map_err(HashError::Stored))
    }

    /// Overwrites the memory used for the last password, and frees the part that only a costly hash
    /// needed.
    pub fn wipe(&mut self) {
        self.memory.iter_mut().for_each(Zeroize::zeroize);
        self.memory.truncate(PARAMETERS.block_count());
        self.memory.shrink_to_fit();
    }

    /// Compares the normal form, and then the original bytes if they differ. The time for a wrong
    /// password thus depends on the password alone.
    fn is_same(&mut self, password: &str, phc: &str) -> password_hash::Result<bool> {
        let normal = normalized(password);
        let is_same = self.compare(&normal, phc)?;
        if is_same || *normal == password {
            return Ok(is_same);
        }
        self.compare(password, phc)
    }

    fn salt_and_hash(&mut self, password: &str) -> password_hash::Result<PasswordHash> {
        let password = normalized(password);
        let salt = Salt::new(&try_generate_salt()?)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, PARAMETERS);
        let output = self.output(&argon2, &password, &salt, Params::DEFAULT_OUTPUT_LEN)?;
        Ok(PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&PARAMETERS)?,
            salt: Some(salt),
            hash: Some(output),
        })
    }

    /// Hashes with the parameters of the PHC string, unless they demand too much work.
    fn compare(&mut self, password: &str, phc: &str) -> password_hash::Result<bool> {
        let phc = PasswordHash::new(phc)?;
        let (Some(salt), Some(expected)) = (&phc.salt, &phc.hash) else {
            return Err(password_hash::Error::EncodingInvalid);
        };
        let algorithm = Algorithm::try_from(phc.algorithm.as_str())?;
        let version = phc.version.map(Version::try_from).transpose()?.unwrap_or_default();
        let params = Params::try_from(&phc)?;
        if !is_affordable(&params) {
            return Err(password_hash::Error::ParamsInvalid);
        }
        let argon2 = Argon2::new(algorithm, version, params);
        // The outputs are compared in constant time.
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

    /// Returns this many blocks of the memory, which grows if necessary.
    fn blocks(&mut self, count: usize) -> password_hash::Result<&mut [Block]> {
        let missing = count.saturating_sub(self.memory.len());
        if missing > 0 {
            // Growing may leave a copy of the old blocks behind.
            self.memory.iter_mut().for_each(Zeroize::zeroize);
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

/// Returns true if a stored hash demands no more than a login may cost.
fn is_affordable(params: &Params) -> bool {
    let work_kib = u64::from(params.m_cost()) * u64::from(params.t_cost());
    params.m_cost() <= MAX_MEMORY_KIB && work_kib <= MAX_WORK_KIB
}

/// The current parameters. Invalid ones are a compile error.
const PARAMETERS: Params = match Params::new(MEMORY_KIB, PASSES, LANES, None) {
    Ok(parameters) => parameters,
    Err(_) => panic!("these are no parameters of argon2"),
};

/// The hash of an account that has no password. Nothing is known to match it, and it is exported and
/// imported like others.
pub(super) const NO_PASSWORD: &str = NOBODY;

/// The hash for comparisons without an account. It has the shape of a real hash, but a made-up
/// output.
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
    fn memory_of_one_password_does_not_change_the_next() {
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
    fn only_hashes_of_our_own_parameters_are_current() {
        let phc = hash("correct horse battery").unwrap();
        assert!(is_current(&phc) && is_current(NOBODY));
        for (ours, other) in [
            ("argon2id", "argon2i"),
            ("$argon2id", "argon2id"),
            ("v=19", "v=16"),
            ("$v=19", ""),
            ("m=19456", "m=65536"),
            ("m=19456", "m=019456"),
            ("t=2", "t=3"),
            ("p=1", "p=2"),
            ("m=19456,t=2", "t=2,m=19456"),
            ("p=1", "p=1,keyid=Hj5+dsK0"),
        ] {
            let changed = phc.replacen(ours, other, 1);
            assert_ne!(changed, phc);
            assert!(!is_current(&changed), "{changed}");
        }
        let without_output = phc.rsplit_once('$').unwrap().0;
        let padded =
            [format!(" {phc}"), format!("{phc}="), format!("{phc}\n"), format!("{phc}AAAA")];
        let others = ["", "$", "$2b$12$abc", without_output, &phc[..phc.len() - 4]];
        for other in padded.iter().map(String::as_str).chain(others) {
            assert!(!is_current(other), "{other}");
        }
    }

    #[test]
    fn damaged_hash_is_an_error_after_the_usual_work() {
        for damaged in
            [&NOBODY.replace("p=1$", "p=1$!"), "", "$2b$12$abc", "$argon2id$v=19$m=19456"]
        {
            let mut hasher = Hasher::default();
            let verified = hasher.verify("correct horse battery", Some(damaged));
            assert!(matches!(verified, Err(HashError::Stored(_))), "{damaged}: {verified:?}");
            assert_eq!(hasher.memory.len(), PARAMETERS.block_count(), "{damaged}");
        }
    }

    #[test]
    fn costly_hash_is_an_error_after_the_usual_work() {
        for cost in ["m=4194304,t=1", "m=19456,t=1000000000", "m=262145,t=1", "m=262144,t=5"] {
            let costly = NOBODY.replace("m=19456,t=2", cost);
            let mut hasher = Hasher::default();
            let verified = hasher.verify("correct horse battery", Some(&costly));
            assert!(matches!(verified, Err(HashError::Stored(_))), "{cost}: {verified:?}");
            assert_eq!(hasher.memory.len(), PARAMETERS.block_count(), "{cost}");
        }
    }

    #[test]
    fn memory_of_a_larger_hash_is_given_back() {
        let larger = NOBODY.replace("m=19456,t=2", "m=40000,t=1");
        let mut hasher = Hasher::default();
        assert_eq!(hasher.verify("correct horse battery", Some(&larger)), Ok(false));
        assert!(hasher.memory.len() > PARAMETERS.block_count());
        hasher.wipe();
        assert_eq!(hasher.memory.len(), PARAMETERS.block_count());
    }

    #[test]
    fn both_ways_to_type_a_letter_are_one_password() {
        let (composed, decomposed) = ("caf\u{e9} au\u{a0}lait", "cafe\u{301} au lait");
        for made in [composed, decomposed] {
            let phc = hash(made).unwrap();
            for given in [composed, decomposed] {
                assert_eq!(verify(given, Some(&phc)), Ok(true), "{made:?} {given:?}");
            }
            assert_eq!(verify("cafe au lait", Some(&phc)), Ok(false));
        }
    }

    #[test]
    fn old_hash_of_the_bytes_as_given_still_opens() {
        let decomposed = "cafe\u{301} au lait";
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, PARAMETERS);
        let phc: PasswordHash = argon2.hash_password(decomposed.as_bytes()).unwrap();
        let phc = phc.to_string();
        assert_eq!(verify(decomposed, Some(&phc)), Ok(true));
        // The composed form never matched this hash, and need not now.
        assert_eq!(verify("caf\u{e9} au lait", Some(&phc)), Ok(false));
    }
}
