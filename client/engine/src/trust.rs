//! The keys of known servers, in a file. The core judges them.
//!
//! The file `known_servers.json` maps `host:port` to the fingerprint of the server's key. An entry
//! changes only when the user names another fingerprint, or removes it.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use letschat_flags::files;
use letschat_protocol::identity::Fingerprint;

use crate::address::{ServerAddress, ServiceAddress};
use crate::private_file;
use letschat_core::session::Unreached;
pub(crate) use letschat_core::trust::Verdict;
use letschat_core::trust::judge;

const FILE: &str = "known_servers.json";
const LOCK_FILE: &str = "known_servers.lock";

/// The file of known servers.
pub(crate) struct KnownServers {
    folder: PathBuf,
}

impl KnownServers {
    /// Names the file in the client's data folder. It need not exist.
    pub(crate) fn in_folder(data_folder: &Path) -> KnownServers {
        KnownServers { folder: data_folder.to_owned() }
    }

    /// Returns the fingerprint that a server is likely to show. It is the remembered one or, for a
    /// loopback address, that of another loopback address with the same port.
    pub(crate) fn expected(&self, server: &ServerAddress) -> io::Result<Option<Fingerprint>> {
        let known = self.load()?;
        let remembered = self.entry(&known, server)?;
        if remembered.is_some() || !server.is_loopback() {
            return Ok(remembered);
        }
        let is_same_place = |address: &str| {
            let address = address.parse::<ServerAddress>();
            address.is_ok_and(|other| other.is_loopback() && other.port == server.port)
        };
        let same = known.iter().find(|(address, _)| is_same_place(address));
        Ok(same.and_then(|(_, text)| text.parse().ok()))
    }

    /// Returns the fingerprint that the servers of a service are likely to show.
    pub(crate) fn expected_of(&self, service: &ServiceAddress) -> io::Result<Option<Fingerprint>> {
        let mut expected = service.servers().iter().map(|server| self.expected(server));
        expected.find_map(Result::transpose).transpose()
    }

    fn entry(
        &self,
        known: &BTreeMap<String, String>,
        server: &ServerAddress,
    ) -> io::Result<Option<Fingerprint>> {
        let text = known.get(&server.to_string());
        text.map(|text| text.parse().map_err(|error| self.broken(&error))).transpose()
    }

    /// Judges a key that a server of a service just proved to have, and remembers it if it is new. `may_accept`
    /// says that the user will see a notice, or has agreed beforehand.
    pub(crate) fn judge(
        &self,
        service: &ServiceAddress,
        server: &ServerAddress,
        reached_at: IpAddr,
        found: Fingerprint,
        may_accept: bool,
    ) -> Result<Verdict, Unreached> {
        let unusable = |error: io::Error| {
            Unreached::Folder(format!("the list of known servers can't be used: {error}"))
        };
        files::refuse_replaceable(&self.folder, &self.path()).map_err(unusable)?;
        let known = self.load().map_err(unusable)?;
        let remembered = self.entry(&known, server).map_err(unusable)?;
        // The key of another server of the service is as good as one that the user has given.
        let others = service.servers().iter().filter(|other| *other != server);
        let of_others = others.map(|other| self.entry(&known, other)).find_map(Result::transpose);
        let given = match (server.fingerprint, remembered) {
            (None, None) => of_others.transpose().map_err(unusable)?,
            (given, _) => given,
        };
        let may_accept = may_accept || reached_at.to_canonical().is_loopback();
        let verdict = judge(given, remembered, found, || elsewhere(&known, found), may_accept)?;
        if verdict != Verdict::Known {
            self.remember(server, found).map_err(unusable)?;
        }
        Ok(verdict)
    }

    fn remember(&self, server: &ServerAddress, found: Fingerprint) -> io::Result<()> {
        files::create_private_folder(&self.folder)?;
        // Several clients may share the folder. Each holds this lock for the length of one write.
        let lock = files::open_lock(&self.folder.join(LOCK_FILE))?;
        let remedy = "choose a folder elsewhere with --data";
        lock.lock().map_err(|error| files::refused_lock(error, remedy))?;
        let mut known = self.load()?;
        known.insert(server.to_string(), found.to_string());
        private_file::write_json(&self.path(), &known)
    }

    fn load(&self) -> io::Result<BTreeMap<String, String>> {
        private_file::read_json(&self.path()).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => self.broken(&error),
            _ => error,
        })
    }

    fn broken(&self, error: &dyn std::error::Error) -> io::Error {
        let path = self.path();
        let sentence = format!(
            "{} holds something else ({error}); repair it, or delete it to meet every server anew",
            path.display()
        );
        io::Error::new(io::ErrorKind::InvalidData, sentence)
    }

    fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }
}

/// Returns another address at which this key is known.
fn elsewhere(known: &BTreeMap<String, String>, found: Fingerprint) -> Option<String> {
    let is_it = |text: &str| text.parse().is_ok_and(|known: Fingerprint| known == found);
    known.iter().find(|(_, text)| is_it(text)).map(|(address, _)| address.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::os::unix::fs::PermissionsExt as _;

    const NEAR: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn key(name: &str) -> Fingerprint {
        Fingerprint::of_spki(name.as_bytes())
    }

    /// Judges the key of a server that is alone.
    fn judged(
        known: &KnownServers,
        server: &ServerAddress,
        at: IpAddr,
        found: Fingerprint,
        may_accept: bool,
    ) -> Result<Verdict, Unreached> {
        known.judge(&server.clone().into(), server, at, found, may_accept)
    }

    #[test]
    fn servers_of_a_service_have_the_key_of_the_known_one() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::in_folder(folder.path());
        judged(&known, &server("a"), FAR, key("one"), true).unwrap();
        let service: ServiceAddress = "a,b".parse().unwrap();
        let other = &service.servers()[1];
        let changed = Unreached::KeyChanged { known: key("one"), found: key("other") };
        let judge = |found| known.judge(&service, other, FAR, found, true);
        assert_eq!(judge(key("other")), Err(changed));
        assert_eq!(judge(key("one")), Ok(Verdict::AsGiven));
        assert_eq!(judge(key("one")), Ok(Verdict::Known));
        assert_eq!(known.expected_of(&"c,a".parse().unwrap()).unwrap(), Some(key("one")));
    }

    fn server(text: &str) -> ServerAddress {
        text.parse().unwrap()
    }

    fn with_key(text: &str, key: Fingerprint) -> ServerAddress {
        server(&format!("{text}#{key}"))
    }

    #[test]
    fn first_sight_far_away_needs_somebody_who_accepts() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::in_folder(folder.path());
        let (host, found) = (server("host"), key("a"));
        let refused = Err(Unreached::KeyUnknown { found });
        assert_eq!(judged(&known, &host, FAR, found, false), refused);
        assert_eq!(known.expected(&host).unwrap(), None);
        assert_eq!(judged(&known, &host, FAR, found, true), Ok(Verdict::FirstSight));
        assert_eq!(judged(&known, &host, FAR, found, false), Ok(Verdict::Known));
    }

    #[test]
    fn first_sight_on_loopback_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::in_folder(folder.path());
        let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        assert_eq!(judged(&known, &server("a"), NEAR, key("a"), false), Ok(Verdict::FirstSight));
        assert_eq!(judged(&known, &server("b"), mapped, key("b"), false), Ok(Verdict::FirstSight));
    }

    #[test]
    fn changed_key_is_refused_where_a_new_one_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::in_folder(folder.path());
        let host = server("host");
        judged(&known, &host, NEAR, key("a"), true).unwrap();
        let changed = Unreached::KeyChanged { known: key("a"), found: key("b") };
        assert_eq!(judged(&known, &host, NEAR, key("b"), true), Err(changed));
        // Another port is another server.
        assert_eq!(
            judged(&known, &server("host:1"), NEAR, key("b"), true),
            Ok(Verdict::FirstSight)
        );
    }

    #[test]
    fn key_known_from_another_address_needs_nobody_who_accepts() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::in_folder(folder.path());
        judged(&known, &server("127.0.0.1"), NEAR, key("a"), false).unwrap();
        let as_before = Ok(Verdict::KnownAs("127.0.0.1:4400".into()));
        assert_eq!(judged(&known, &server("localhost"), FAR, key("a"), false), as_before);
        assert_eq!(judged(&known, &server("localhost"), FAR, key("a"), false), Ok(Verdict::Known));
        // The other address is held to that key from now on.
        let changed = Unreached::KeyChanged { known: key("a"), found: key("b") };
        assert_eq!(judged(&known, &server("localhost"), NEAR, key("b"), true), Err(changed));
    }

    #[test]
    fn loopback_address_is_expected_to_be_the_known_server() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::in_folder(folder.path());
        judged(&known, &server("127.0.0.1"), NEAR, key("a"), true).unwrap();
        judged(&known, &server("elsewhere"), FAR, key("b"), true).unwrap();
        let expected = |text| known.expected(&server(text)).unwrap();
        for same in ["127.0.0.1", "localhost", "[::1]", "127.0.0.2"] {
            assert_eq!(expected(same), Some(key("a")), "{same}");
        }
        for other in ["localhost:1", "192.0.2.1", "localhost.example.org"] {
            assert_eq!(expected(other), None, "{other}");
        }
        judged(&known, &server("localhost"), NEAR, key("c"), true).unwrap();
        assert_eq!(expected("localhost"), Some(key("c")));
    }

    #[test]
    fn key_of_another_server_at_a_known_address_is_a_changed_key() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::in_folder(folder.path());
        judged(&known, &server("one"), NEAR, key("a"), true).unwrap();
        judged(&known, &server("two"), NEAR, key("b"), true).unwrap();
        let changed = Unreached::KeyChanged { known: key("b"), found: key("a") };
        assert_eq!(judged(&known, &server("two"), NEAR, key("a"), true), Err(changed));
        let given = Unreached::KeyChanged { known: key("b"), found: key("a") };
        assert_eq!(judged(&known, &with_key("three", key("b")), NEAR, key("a"), true), Err(given));
    }

    #[test]
    fn list_that_everybody_may_change_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::in_folder(folder.path());
        let of_all = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(folder.path(), of_all).unwrap();
        let result = judged(&known, &server("host"), NEAR, key("a"), true);
        let Err(Unreached::Folder(sentence)) = result else { panic!("{result:?}") };
        assert!(sentence.contains("chmod go-w "), "{sentence}");
    }

    #[test]
    fn a_given_key_is_the_only_one_accepted_and_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::in_folder(folder.path());
        let host = with_key("host", key("a"));
        let wrong = Unreached::KeyChanged { known: key("a"), found: key("b") };
        assert_eq!(judged(&known, &host, NEAR, key("b"), true), Err(wrong));
        assert_eq!(judged(&known, &host, FAR, key("a"), false), Ok(Verdict::AsGiven));
        assert_eq!(known.expected(&server("host")).unwrap(), Some(key("a")));
        // After a change, the user accepts the new key by giving it.
        let moved = with_key("host", key("b"));
        assert_eq!(judged(&known, &moved, FAR, key("b"), false), Ok(Verdict::AsGiven));
        assert_eq!(judged(&known, &server("host"), FAR, key("b"), false), Ok(Verdict::Known));
    }

    #[test]
    fn a_broken_file_is_an_error_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::in_folder(folder.path());
        for broken in ["{\"host:4400\": \"abc\"}", "{", "[]"] {
            std::fs::write(known.path(), broken).unwrap();
            let result = judged(&known, &server("host"), NEAR, key("a"), true);
            assert!(matches!(result, Err(Unreached::Folder(_))), "{result:?}");
            assert_eq!(std::fs::read_to_string(known.path()).unwrap(), broken);
        }
    }

    #[test]
    fn the_file_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::in_folder(folder.path());
        judged(&known, &server("host"), NEAR, key("a"), true).unwrap();
        let mode = std::fs::metadata(known.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
