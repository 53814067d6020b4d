//! The decision whether a server's key is trusted. The engine has the file of known keys.

use letschat_protocol::identity::Fingerprint;

use crate::session::Unreached;

/// The reason for which the server's key is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is the remembered key.
    Known,
    /// It is the key that the user gave, and is now remembered.
    AsGiven,
    /// It is remembered for this other address, `host:port`. It is now remembered for this address too, and the
    /// user gets a notice.
    KnownAs(String),
    /// It was never seen before. It is now remembered, and the user gets a notice.
    FirstSight,
}

/// Judges the key that a server has proved to have. A key that the user gave precedes a remembered one: this is
/// how a user accepts that a server's key has changed. `may_accept` says that the user will see a notice, or has
/// agreed beforehand.
///
/// # Errors
///
/// The key is not the expected one, or is unknown and not accepted.
pub fn judge(
    given: Option<Fingerprint>,
    remembered: Option<Fingerprint>,
    found: Fingerprint,
    elsewhere: impl FnOnce() -> Option<String>,
    may_accept: bool,
) -> Result<Verdict, Unreached> {
    match (given, remembered) {
        (Some(given), _) if given != found => Err(Unreached::KeyChanged { known: given, found }),
        (_, Some(remembered)) if remembered == found => Ok(Verdict::Known),
        (Some(_), _) => Ok(Verdict::AsGiven),
        (None, Some(known)) => Err(Unreached::KeyChanged { known, found }),
        (None, None) => match elsewhere() {
            Some(address) => Ok(Verdict::KnownAs(address)),
            None if may_accept => Ok(Verdict::FirstSight),
            None => Err(Unreached::KeyUnknown { found }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Fingerprint {
        Fingerprint::of_spki(name.as_bytes())
    }

    #[test]
    fn given_key_precedes_the_remembered_one() {
        let (old, new) = (key("old"), key("new"));
        let nowhere = || None;
        assert_eq!(judge(Some(new), Some(old), new, nowhere, false), Ok(Verdict::AsGiven));
        let refused = Unreached::KeyChanged { known: new, found: old };
        assert_eq!(judge(Some(new), Some(old), old, nowhere, true), Err(refused));
    }

    #[test]
    fn changed_key_is_refused_whoever_accepts_new_ones() {
        let (known, found) = (key("old"), key("new"));
        let changed = Err(Unreached::KeyChanged { known, found });
        assert_eq!(judge(None, Some(known), found, || Some("elsewhere".into()), true), changed);
        assert_eq!(judge(None, Some(known), known, || None, false), Ok(Verdict::Known));
    }

    #[test]
    fn unknown_key_needs_somebody_who_accepts_it() {
        let found = key("new");
        assert_eq!(judge(None, None, found, || None, true), Ok(Verdict::FirstSight));
        let unknown = Err(Unreached::KeyUnknown { found });
        assert_eq!(judge(None, None, found, || None, false), unknown);
        let known_as = Ok(Verdict::KnownAs("other:1".into()));
        assert_eq!(judge(None, None, found, || Some("other:1".into()), false), known_as);
    }
}
