//! Offers the server on the local network, as a service of DNS-SD.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use letschat_protocol::discovery::{SERVICE_TYPE, properties};
use letschat_protocol::identity::Fingerprint;
use letschat_protocol::printable::Printable;
use letschat_server::Server;
use mdns_sd::{DaemonEvent, Error, IfKind, Receiver, ServiceDaemon, ServiceInfo};
use rustix::system::uname;

/// The maximum wait for the withdrawal. Announcements that are not withdrawn expire in two minutes.
const WITHDRAWAL: Duration = Duration::from_millis(500);

/// The maximum length of the announced name. A label of the DNS has 63 bytes (RFC 1035, section
/// 2.3.4), and a number follows the name if another server has the same.
const MAX_NAME_BYTES: usize = 56;

/// The announced name on a machine without a name.
const NAMELESS: &str = "letschat-server";

/// The announcement of a server. It is withdrawn when this is dropped.
pub(crate) struct Announcement(Option<ServiceDaemon>);

impl Announcement {
    /// Announces the server. A network that does not allow it is reported in the log: people can
    /// still name the server.
    pub(crate) fn start(server: &Server) -> Announcement {
        let announced = start_daemon(server.address(), server.fingerprint());
        Announcement(announced.inspect_err(log_failure).ok())
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // The thread withdraws the announcement before it ends. If it has ended already, there is
        // nothing to wait for.
        if let Some(ended) = self.0.take().and_then(|daemon| daemon.shutdown().ok()) {
            let _ = ended.recv_timeout(WITHDRAWAL);
        }
    }
}

fn start_daemon(address: SocketAddr, key: Fingerprint) -> Result<ServiceDaemon, Error> {
    let node = uname().nodename().to_string_lossy().into_owned();
    let service = service(instance_name(&node), address, &key)?;
    let daemon = ServiceDaemon::new()?;
    let registered = register(&daemon, address, service);
    if registered.is_err() {
        // Its thread would run on. If it has ended, this is an error, too.
        let _ = daemon.shutdown();
    }
    registered.map(|()| daemon)
}

fn register(
    daemon: &ServiceDaemon,
    address: SocketAddr,
    service: ServiceInfo,
) -> Result<(), Error> {
    let events = daemon.monitor()?;
    if address.ip().is_unspecified() {
        daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
        if address.is_ipv4() {
            daemon.disable_interface(IfKind::IPv6)?;
        }
    } else {
        daemon.disable_interface(IfKind::All)?;
        daemon.enable_interface(address.ip().to_canonical())?;
    }
    daemon.register(service)?;
    let report = thread::Builder::new().name("announcement".into());
    let reporting = report.spawn(move || log_events(&events));
    reporting.map(drop).map_err(|error| Error::Msg(error.to_string()))
}

/// Returns the service. Its host has a name of its own, so that it never conflicts with the name for
/// which the machine's own responder answers.
fn service(name: &str, address: SocketAddr, key: &Fingerprint) -> Result<ServiceInfo, Error> {
    let host = format!("letschat-{}.local.", &key.to_string()[..12]);
    let properties = properties(key);
    let ip = address.ip().to_canonical();
    let at =
        |ip: &str| ServiceInfo::new(SERVICE_TYPE, name, &host, ip, address.port(), &properties[..]);
    if ip.is_unspecified() { Ok(at("")?.enable_addr_auto()) } else { at(&ip.to_string()) }
}

/// Returns the name for people: the machine's, without its domain.
fn instance_name(node: &str) -> &str {
    let name = node.split('.').next().unwrap_or_default();
    match &name[..name.floor_char_boundary(MAX_NAME_BYTES)] {
        "" | "localhost" | "(none)" => NAMELESS,
        name => name,
    }
}

/// Logs each name under which the server is announced, and the first failure.
fn log_events(events: &Receiver<DaemonEvent>) {
    let (mut announced, mut has_failed) = (String::new(), false);
    for event in events {
        match event {
            // Each announcement is sent on each interface and repeated.
            DaemonEvent::Announce(full_name, _) if full_name != announced => {
                let name = full_name.trim_end_matches(SERVICE_TYPE).trim_end_matches('.');
                tracing::info!("announced on the local network as {}", Printable(name));
                announced = full_name;
            }
            DaemonEvent::Error(error) if !has_failed => {
                has_failed = true;
                log_failure(&error);
            }
            _ => {}
        }
    }
}

fn log_failure(error: &Error) {
    tracing::warn!("can't announce the server on the local network: {error}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_has_the_name_of_the_machine() {
        for (node, name) in [
            ("alpha", "alpha"),
            ("alpha.example.org", "alpha"),
            ("", NAMELESS),
            (".", NAMELESS),
            ("localhost", NAMELESS),
            ("localhost.localdomain", NAMELESS),
        ] {
            assert_eq!(instance_name(node), name, "{node:?}");
        }
        assert_eq!(instance_name(&"a".repeat(64)), "a".repeat(MAX_NAME_BYTES));
        assert_eq!(instance_name(&"€".repeat(21)), "€".repeat(MAX_NAME_BYTES / 3));
    }

    #[test]
    fn announcement_has_port_key_and_listen_address() {
        let key = Fingerprint::of_spki(b"key");
        let announced = |at: &str| service("alpha", at.parse().unwrap(), &key).unwrap();
        let service = announced("10.0.0.1:4400");
        assert_eq!(service.get_fullname(), "alpha._letschat._tcp.local.");
        assert_eq!(service.get_port(), 4400);
        assert_eq!(service.get_property_val_str("key"), Some(&*key.to_string()));
        assert_eq!(service.get_addresses().iter().next().unwrap().to_string(), "10.0.0.1");
        assert!(!service.is_addr_auto());
        for everywhere in ["[::]:4400", "0.0.0.0:4400"] {
            let service = announced(everywhere);
            assert!(service.is_addr_auto() && service.get_addresses().is_empty());
        }
    }
}
