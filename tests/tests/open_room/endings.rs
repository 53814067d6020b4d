//! The start and the end of the room.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};

use letschat_tests::ports::free_port;
use letschat_tests::programs::Running;
use letschat_tests::room::TestRoom;

#[test]
fn signal_ends_the_room_in_order() {
    for signal in ["INT", "TERM", "HUP"] {
        // The tests may run with SIGHUP ignored.
        let by = ["env", "--default-signal=HUP"].map(str::to_owned);
        let mut room = TestRoom::start_by(&by, free_port());
        let alice = room.visitor();
        alice.says("hi");
        alice.hears_next(alice.address(), "hi");
        room.process.signal(signal);
        assert_eq!(room.process.exit_code(), 0, "{}", room.process.transcript());
        assert_eq!(room.process.heard, ["Server Initialized..."]);
    }
}

#[test]
fn room_serves_udp_alone_and_keeps_no_files() {
    let mut room = TestRoom::start();
    assert!(TcpStream::connect(room.at(Ipv4Addr::LOCALHOST)).is_err());
    room.process.signal("TERM");
    assert_eq!(room.process.exit_code(), 0);
    assert_eq!(fs::read_dir(room.home.path()).unwrap().count(), 0);
}

#[test]
fn room_on_a_taken_port_says_so() {
    let room = TestRoom::start();
    let mut second = Running::start(&mut TestRoom::command(&[], room.port, &room.home));
    assert_eq!(second.exit_code(), 1);
    assert_eq!(second.heard, [""; 0]);
    let told = format!("UDP port {} is taken by another program", room.port);
    assert!(second.errors().contains(&told), "{}", second.errors());
}
