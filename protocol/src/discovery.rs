//! A server's announcement on the local network: a DNS-SD service (RFC 6763) over multicast DNS
//! (RFC 6762).
//!
//! Anybody on that network can announce any key. The announcement saves typing and proves nothing.

use crate::identity::Fingerprint;

/// The type of the service. Its port is the server's TCP port.
pub const SERVICE_TYPE: &str = "_letschat._tcp.local.";

/// The property with the version of the others.
const VERSION: &str = "v";

/// The version that this module defines.
const THIS_VERSION: &str = "1";

/// The property with the fingerprint of the server's key, in hexadecimal digits.
const KEY: &str = "key";

/// Returns the properties of the TXT record (RFC 6763, section 6).
pub fn properties(key: &Fingerprint) -> [(&'static str, String); 2] {
    [(VERSION, THIS_VERSION.to_owned()), (KEY, key.to_string())]
}

/// Returns the announced key. `property` looks up a property of the TXT record. A record of another
/// version, or without a well-formed key, announces none.
pub fn announced_key<'a>(property: impl Fn(&str) -> Option<&'a str>) -> Option<Fingerprint> {
    (property(VERSION)? == THIS_VERSION).then(|| property(KEY)?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announced_key_is_read_back() {
        let key = Fingerprint::of_spki(b"key");
        let properties = properties(&key);
        let property =
            |name: &str| properties.iter().find(|(key, _)| *key == name).map(|(_, text)| &**text);
        assert_eq!(announced_key(property), Some(key));
    }

    #[test]
    fn malformed_properties_announce_no_key() {
        let key = Fingerprint::of_spki(b"key").to_string();
        let (long, short) = (format!("{key}0"), &key[1..]);
        let wrong: [&[(&str, &str)]; 7] = [
            &[],
            &[("v", "1")],
            &[("key", &key)],
            &[("v", "2"), ("key", &key)],
            &[("v", "1"), ("key", "")],
            &[("v", "1"), ("key", &long)],
            &[("v", "1"), ("key", short)],
        ];
        for properties in wrong {
            let property =
                |name: &str| properties.iter().find(|(key, _)| *key == name).map(|(_, text)| *text);
            assert_eq!(announced_key(property), None, "{properties:?}");
        }
    }
}
