//! Servers that announce themselves on the local network, by DNS-SD (RFC 6763) over multicast DNS.
//!
//! Anybody on that network can announce anything, so everything here is bounded, and the names are
//! untrusted text.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use letschat_protocol::discovery::{SERVICE_TYPE, announced_key};
use mdns_sd::{Error, IfKind, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent};

use crate::address::ServerAddress;

/// The maximum number of servers that are found.
pub const MAX_SERVERS: usize = 16;

/// Stop the search after so many events. Each announced name has the machine send questions about
/// it.
const MAX_EVENTS: usize = 256;

/// A server that announces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundServer {
    /// The announced name: untrusted text of at most 255 bytes.
    pub name: String,
    /// The address, with the announced key.
    pub address: ServerAddress,
}

/// Asks the local network for servers, and returns those that answer within this time, by name. The
/// time is shorter if there are too many. A network that does not allow the question has none.
pub fn find_servers(patience: Duration) -> Vec<FoundServer> {
    let Ok(daemon) = ServiceDaemon::new() else { return Vec::new() };
    let findings = search(&daemon, Instant::now() + patience).unwrap_or_default();
    // Its thread ends soon. If it has ended already, this is an error.
    let _ = daemon.shutdown();
    findings.into_servers()
}

fn search(daemon: &ServiceDaemon, until: Instant) -> Result<Findings, Error> {
    daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
    let events = daemon.browse(SERVICE_TYPE)?;
    let mut findings = Findings::default();
    while !findings.are_enough()
        && let Ok(event) = events.recv_deadline(until)
    {
        findings.hear(event);
    }
    Ok(findings)
}

/// The servers found so far.
#[derive(Default)]
struct Findings {
    /// Each with the full name of its service.
    servers: Vec<(String, FoundServer)>,
    /// The number of events.
    heard: usize,
}

impl Findings {
    fn hear(&mut self, event: ServiceEvent) {
        self.heard += 1;
        match event {
            ServiceEvent::ServiceResolved(service) => {
                let name = service.fullname.to_lowercase();
                if let Some(server) = found(&service) {
                    self.forget(&name);
                    self.servers.push((name, server));
                }
            }
            ServiceEvent::ServiceRemoved(_, name) => self.forget(&name.to_lowercase()),
            _ => {}
        }
    }

    fn forget(&mut self, name: &str) {
        self.servers.retain(|(known, _)| known != name);
    }

    fn are_enough(&self) -> bool {
        self.servers.len() >= MAX_SERVERS || self.heard >= MAX_EVENTS
    }

    /// Returns the servers by name, each address with its key once.
    fn into_servers(self) -> Vec<FoundServer> {
        let mut servers: Vec<FoundServer> = Vec::new();
        for (_, server) in self.servers.into_iter().take(MAX_SERVERS) {
            if servers.iter().all(|other| other.address != server.address) {
                servers.push(server);
            }
        }
        servers
            .sort_by_cached_key(|server| (server.name.to_lowercase(), server.address.to_string()));
        servers
    }
}

/// Returns the announced server, if it has an address that this machine can reach.
fn found(service: &ResolvedService) -> Option<FoundServer> {
    let (_, host) = service.addresses.iter().filter_map(reachable_host).min()?;
    let fingerprint = announced_key(|name| service.get_property_val_str(name));
    let address = ServerAddress::new(&host, service.port).ok()?;
    let name = instance_name(&service.fullname).to_owned();
    Some(FoundServer { name, address: ServerAddress { fingerprint, ..address } })
}

fn instance_name(full_name: &str) -> &str {
    let end = full_name.len().saturating_sub(SERVICE_TYPE.len());
    match full_name.split_at_checked(end) {
        Some((name, service)) if service.eq_ignore_ascii_case(SERVICE_TYPE) => {
            name.strip_suffix('.').unwrap_or(name)
        }
        _ => full_name,
    }
}

fn reachable_host(ip: &ScopedIp) -> Option<(Reach, String)> {
    let scope = match ip {
        ScopedIp::V6(ip) => ip.scope_id().name.as_str(),
        _ => "",
    };
    host(ip.to_ip_addr(), scope)
}

/// The usefulness of an address, the best first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Ipv4,
    Ipv6,
    /// On one link only (RFC 3927; RFC 4291, section 2.5.6).
    LinkLocal,
}

/// Returns the host part of an address, with the interface `scope` if it needs one. Loopback,
/// multicast and the like are no address of another machine.
fn host(ip: IpAddr, scope: &str) -> Option<(Reach, String)> {
    match ip.to_canonical() {
        ip if ip.is_loopback() || ip.is_multicast() || ip.is_unspecified() => None,
        IpAddr::V4(ip) if ip.is_broadcast() => None,
        IpAddr::V4(ip) if ip.is_link_local() => Some((Reach::LinkLocal, ip.to_string())),
        IpAddr::V4(ip) => Some((Reach::Ipv4, ip.to_string())),
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            (!scope.is_empty()).then(|| (Reach::LinkLocal, format!("{ip}%{scope}")))
        }
        IpAddr::V6(ip) => Some((Reach::Ipv6, ip.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_protocol::discovery::properties;
    use letschat_protocol::identity::Fingerprint;
    use mdns_sd::ServiceInfo;

    fn resolved(name: &str, ips: &str, port: u16, properties: &[(&str, &str)]) -> ServiceEvent {
        let service = ServiceInfo::new(SERVICE_TYPE, name, "a.local.", ips, port, properties);
        ServiceEvent::ServiceResolved(Box::new(service.unwrap().as_resolved_service()))
    }

    fn servers(events: impl IntoIterator<Item = ServiceEvent>) -> Vec<String> {
        let mut findings = Findings::default();
        events.into_iter().for_each(|event| findings.hear(event));
        let servers = findings.into_servers().into_iter();
        servers.map(|server| format!("{} {}", server.name, server.address)).collect()
    }

    #[test]
    fn found_server_has_name_address_and_key() {
        let key = Fingerprint::of_spki(b"key");
        let properties = properties(&key);
        let properties: Vec<(&str, &str)> =
            properties.iter().map(|(name, text)| (*name, &**text)).collect();
        let mut findings = Findings::default();
        findings.hear(resolved("alpha", "10.0.0.1", 4400, &properties));
        let address = format!("10.0.0.1:4400#{key}").parse().unwrap();
        let server = FoundServer { name: "alpha".into(), address };
        assert_eq!(findings.into_servers(), [server]);
    }

    #[test]
    fn server_with_a_malformed_key_is_found_without_one() {
        for properties in [&[][..], &[("v", "1"), ("key", "zz")], &[("v", "1"), ("key", "")]] {
            let mut findings = Findings::default();
            findings.hear(resolved("alpha", "10.0.0.1", 4400, properties));
            let servers = findings.into_servers();
            assert_eq!(servers.len(), 1, "{properties:?}");
            assert_eq!(servers[0].address.fingerprint, None, "{properties:?}");
        }
    }

    #[test]
    fn servers_are_sorted_by_name_and_shown_once() {
        let found = servers([
            resolved("beta", "10.0.0.2", 4400, &[]),
            resolved("alpha", "10.0.0.1", 4400, &[]),
            resolved("BETA", "10.0.0.3", 4400, &[]),
            resolved("gamma", "10.0.0.1", 4400, &[]),
            resolved("delta", "10.0.0.4", 4400, &[]),
            ServiceEvent::ServiceRemoved(SERVICE_TYPE.into(), format!("delta.{SERVICE_TYPE}")),
        ]);
        assert_eq!(found, ["alpha 10.0.0.1:4400", "BETA 10.0.0.3:4400"]);
    }

    #[test]
    fn useless_addresses_and_ports_are_no_servers() {
        for ips in ["127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.251", "255.255.255.255"] {
            assert!(servers([resolved("alpha", ips, 4400, &[])]).is_empty(), "{ips}");
        }
        assert!(servers([resolved("alpha", "fe80::1,::ffff:127.0.0.1", 4400, &[])]).is_empty());
        assert!(servers([resolved("alpha", "10.0.0.1", 0, &[])]).is_empty());
        assert!(servers([resolved("alpha", "", 4400, &[])]).is_empty());
    }

    #[test]
    fn best_address_of_a_server_is_taken() {
        for (ips, best) in [
            ("2001:db8::1,10.0.0.1,169.254.0.1", "alpha 10.0.0.1:1"),
            ("10.0.0.2,10.0.0.1", "alpha 10.0.0.1:1"),
            ("169.254.0.1,2001:db8::1", "alpha [2001:db8::1]:1"),
            ("127.0.0.1,169.254.0.1", "alpha 169.254.0.1:1"),
        ] {
            assert_eq!(servers([resolved("alpha", ips, 1, &[])]), [best], "{ips}");
        }
    }

    #[test]
    fn address_of_one_link_has_its_interface() {
        let ip = "fe80::1".parse().unwrap();
        assert_eq!(host(ip, "eth0"), Some((Reach::LinkLocal, "fe80::1%eth0".into())));
        assert_eq!(host(ip, ""), None);
        let address = ServerAddress::new("fe80::1%eth0", 4400).unwrap();
        assert_eq!(address.to_string(), "[fe80::1%eth0]:4400");
    }

    #[test]
    fn search_ends_at_so_many_servers_or_names() {
        let mut findings = Findings::default();
        for number in 0..MAX_SERVERS {
            assert!(!findings.are_enough());
            let ip = format!("10.0.0.{number}");
            findings.hear(resolved(&format!("a{number}"), &ip, 4400, &[]));
        }
        assert!(findings.are_enough());
        assert_eq!(findings.into_servers().len(), MAX_SERVERS);

        let mut findings = Findings::default();
        for number in 0..MAX_EVENTS {
            assert!(!findings.are_enough());
            findings.hear(ServiceEvent::ServiceFound(SERVICE_TYPE.into(), number.to_string()));
        }
        assert!(findings.are_enough());
    }

    #[test]
    fn name_is_the_part_before_the_service() {
        for (full_name, name) in [
            ("alpha._letschat._tcp.local.", "alpha"),
            ("a.b c._LetsChat._tcp.local.", "a.b c"),
            ("_letschat._tcp.local.", ""),
            ("other", "other"),
            ("€€€€€€€€", "€€€€€€€€"),
            ("", ""),
        ] {
            assert_eq!(instance_name(full_name), name);
        }
    }
}
