//! A network of its own: a bridge and a network namespace for each machine on it.

use std::process::Command;

use crate::form::tell_not_played;
use crate::namespace::Namespace;

/// Makes the bridge and the machines, prints their process ids, and holds them until its input ends. `$1` is their number.
const SCRIPT: &str = "
    set -e
    ip link add bridge type bridge && ip link set bridge up
    for n in $(seq $1); do
        unshare --net sleep infinity &
        pids=\"$pids $!\"
    done
    trap 'kill $pids' EXIT
    n=0
    for pid in $pids; do
        n=$((n + 1))
        until [ \"$(readlink /proc/$pid/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.01; done
        ip link add port$n type veth peer name eth0 netns $pid
        ip link set port$n master bridge up
        for command in 'link set lo up' \"addr add 10.77.0.$n/24 dev eth0\" 'link set eth0 up'; do
            nsenter --net --target $pid ip $command
        done
    done
    echo ready$pids
    cat >/dev/null
";

/// Machines on one network. It ends with this value.
pub struct Network {
    namespace: Namespace,
    /// A process on each.
    machines: Vec<String>,
}

impl Network {
    /// Makes a network of so many machines. `None` if this machine does not allow it, which is reported.
    pub fn of(count: usize, test: &str) -> Option<Network> {
        let network = Network::if_allowed(count);
        if network.is_none() {
            tell_not_played(test, "nobody may make a network of their own here");
        }
        network
    }

    /// Makes a machine that nobody else hears, and returns the program that runs others on it. Where that is not
    /// allowed they run on this machine.
    pub fn alone() -> (Option<Network>, Vec<String>) {
        let network = Network::if_allowed(1);
        let by = network.as_ref().map_or_else(|| vec!["env".to_owned()], |network| network.by(1));
        (network, by)
    }

    fn if_allowed(count: usize) -> Option<Network> {
        let (namespace, machines) = Namespace::make("--net", SCRIPT, &[&count.to_string()])?;
        let machines = machines.split(' ').map(str::to_owned).collect();
        Some(Network { namespace, machines })
    }

    /// Returns the program that runs others on the n-th machine, from 1.
    pub fn by(&self, n: usize) -> Vec<String> {
        self.namespace.by(&self.machines[n - 1])
    }

    /// Returns the number of IPv4 multicasts that the n-th machine has sent, from 1.
    pub fn multicasts_from(&self, n: usize) -> u64 {
        let counters = self.run(n, &["cat", "/proc/net/netstat"]);
        // A line of names is followed by a line of their values.
        let mut lines = counters.lines().filter(|line| line.starts_with("IpExt:"));
        let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
        let mut counters = names.split(' ').zip(values.split(' '));
        let (_, sent) = counters.find(|(name, _)| *name == "OutMcastPkts").unwrap();
        sent.parse().unwrap()
    }

    /// Takes the n-th machine off the network, from 1.
    pub fn cut_off(&self, n: usize) {
        self.run(n, &["ip", "link", "set", "eth0", "down"]);
    }

    /// Runs a program on the n-th machine, and returns its output.
    fn run(&self, n: usize, program: &[&str]) -> String {
        let by = self.by(n);
        let output = Command::new(&by[0]).args(&by[1..]).args(program).output().unwrap();
        assert!(output.status.success(), "{program:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Returns the address of the n-th machine, from 1.
    pub fn address(n: usize) -> String {
        format!("10.77.0.{n}")
    }
}
