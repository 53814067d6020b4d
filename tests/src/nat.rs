//! Networks with NATs and firewalls, in network namespaces that a test makes for itself.

use std::process::Command;

use crate::form::tell_not_played;
use crate::namespace::Namespace;

/// Makes the machines, prints their process ids, and holds them until its input ends. `$1` and `$2` say what is
/// between each client and the network of the server.
///
/// A NAT drops what nobody has asked for, as routers do at home. One that answers with RST instead is behind a delay, as
/// in real networks: without one, the RST is there before the other side's NAT has a mapping.
const SCRIPT: &str = r#"
    set -e
    line=$3
    ours=$(readlink /proc/self/ns/net)
    start() {
        unshare --net sleep infinity &
        last=$!
        pids="$pids $last"
        trap "kill $pids" EXIT
        until [ "$(readlink /proc/$last/ns/net)" != "$ours" ]; do sleep 0.01; done
        on $last ip link set lo up
    }
    on() {
        pid=$1
        shift
        nsenter --net --target "$pid" "$@"
    }
    plug() {
        ports=$((ports + 1))
        ip link add port$ports type veth peer name "$2" netns "$1"
        ip link set port$ports master "$3" up
        on "$1" ip link set "$2" up
        on "$1" ip address add "$4" dev "$2"
        on "$1" ip -6 address add "$5" dev "$2" nodad
    }
    for bridge in world lan1 lan2; do
        ip link add $bridge type bridge
        ip link set $bridge up
    done

    start
    server=$last
    plug $server eth0 world 10.78.0.1/24 fd78::1/64

    client() {
        start
        if [ "$1" = none ]; then
            plug $last eth0 world 10.78.0.$((100 + $2))/24 fd78::10$2/64
        else
            lan=$2
            [ "$1" != shared ] || lan=1
            plug $last eth0 lan$lan 192.168.$lan.$((10 + $2))/24 fd0$lan::1$2/64
            on $last ip route add default via 192.168.$lan.1
            on $last ip -6 route add default via fd0$lan::1
        fi
        client=$last
        [ "$1" = none ] || [ "$1" = shared ] || nat "$1" "$2" $client
    }
    nat() {
        start
        street=world
        if [ "$1" = resetting ]; then
            street=street$2
            ip link add $street type bridge
            ip link set $street up
            python3 -c "$line" near$2 far$2 0.02 &
            pids="$pids $!"
            trap "kill $pids" EXIT
            until ip link show far$2 >/dev/null 2>&1; do
                kill -0 $!
                sleep 0.01
            done
            ip link set near$2 master world up
            ip link set far$2 master $street up
        fi
        plug $last wan $street 10.78.0.$((10 + $2))/24 fd78::1$2/64
        plug $last lan lan$2 192.168.$2.1/24 fd0$2::1/64
        on $server ip -6 route add fd0$2::/64 via fd78::1$2
        on $last sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
        masquerade=masquerade
        refuse=drop
        mapped=
        case $1 in
            symmetric) masquerade='masquerade fully-random' ;;
            cone) mapped="iifname wan tcp dport 32768-60999 dnat to 192.168.$2.$((10 + $2))" ;;
            resetting) refuse='reject with tcp reset' ;;
        esac
        eval "nat$2=$last"
        rules="ct state established,related accept; ct status dnat accept; iifname wan meta l4proto tcp $refuse"
        on $last nft -f - <<END
            table ip nat {
                chain pre { type nat hook prerouting priority -100; $mapped; }
                chain post { type nat hook postrouting priority 100; oifname wan $masquerade; }
            }
            table inet walls {
                chain input { type filter hook input priority 0; $rules; }
                chain forward { type filter hook forward priority 0; $rules; }
            }
END
    }
    client "$1" 1
    one=$client
    client "$2" 2
    if [ -n "$nat1" ] && [ -n "$nat2" ]; then
        on $nat1 ip -6 route add fd02::/64 via fd78::12
        on $nat2 ip -6 route add fd01::/64 via fd78::11
    fi
    echo ready $server $one $client $nat1
    cat >/dev/null
"#;

/// A program that passes frames on between two network interfaces that it makes, after a delay. Its arguments are the
/// interfaces' names and the delay in seconds.
const DELAY_LINE: &str = r#"
import collections, fcntl, os, select, struct, sys, time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000

def interface(name):
    file = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return file

files, delay = [interface(name) for name in sys.argv[1:3]], float(sys.argv[3])
line = collections.deque()
while True:
    wait = max(0, line[0][0] - time.monotonic()) if line else None
    for file in select.select(files, [], [], wait)[0]:
        line.append((time.monotonic() + delay, file, os.read(file, 2048)))
    while line and line[0][0] <= time.monotonic():
        _, file, frame = line.popleft()
        try:
            os.write(files[1 - files.index(file)], frame)
        except OSError:
            pass  # The interface is not up yet.
"#;

/// A NAT, or none, between a client and the network of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
    /// Nothing.
    None,
    /// A full-cone NAT: whoever sends something to a mapped port reaches the client.
    Cone,
    /// A port-restricted cone NAT: so does whoever the client has sent something to.
    Restricted,
    /// A symmetric NAT: each address that the client sends something to sees another port.
    Symmetric,
    /// A port-restricted NAT that answers with RST what it does not let through, 20 ms away.
    Resetting,
    /// The NAT of the first client, in whose local network this one is.
    Shared,
}

impl Between {
    fn word(self) -> &'static str {
        match self {
            Between::None => "none",
            Between::Cone => "cone",
            Between::Restricted => "restricted",
            Between::Symmetric => "symmetric",
            Between::Resetting => "resetting",
            Between::Shared => "shared",
        }
    }
}

/// A server and two clients, with NATs between.
pub struct Nats {
    namespace: Namespace,
    /// A process on the server's machine, on each client's, and on the first client's NAT if there is one.
    machines: Vec<String>,
}

impl Nats {
    /// The server's IPv4 address.
    pub const SERVER: &str = "10.78.0.1";
    /// The server's IPv6 address.
    pub const SERVER_IPV6: &str = "fd78::1";

    /// Makes the networks. `None` if this machine does not allow it, which is reported.
    pub fn between(kinds: [Between; 2], test: &str) -> Option<Nats> {
        let words = kinds.map(Between::word);
        let made = Namespace::make("--net", SCRIPT, &[words[0], words[1], DELAY_LINE]);
        if made.is_none() {
            tell_not_played(test, "nobody may make a network of their own here");
        }
        let (namespace, machines) = made?;
        let machines = machines.split(' ').map(str::to_owned).collect();
        Some(Nats { namespace, machines })
    }

    /// Returns the program that runs others on the server's machine.
    pub fn server(&self) -> Vec<String> {
        self.namespace.by(&self.machines[0])
    }

    /// Makes the first client's NAT refuse what goes to the second client's, and break what goes there already.
    pub fn forbid_direct_links(&self) {
        self.nft(
            "add table inet cut; add chain inet cut forward { type filter hook forward priority -1; }; \
             add rule inet cut forward ip daddr 10.78.0.12 meta l4proto tcp reject with tcp reset",
        );
    }

    /// Allows again what [`forbid_direct_links`](Self::forbid_direct_links) forbids.
    pub fn allow_direct_links(&self) {
        self.nft("delete table inet cut");
    }

    /// Changes the rules of the first client's NAT.
    fn nft(&self, commands: &str) {
        let by = self.namespace.by(&self.machines[3]);
        let done = Command::new(&by[0]).args(&by[1..]).args(["nft", commands]).status().unwrap();
        assert!(done.success());
    }

    /// Returns the program that runs others on the machine of the first or second client.
    pub fn client(&self, n: usize) -> Vec<String> {
        self.namespace.by(&self.machines[n])
    }
}
