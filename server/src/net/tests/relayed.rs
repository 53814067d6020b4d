//! Relays between two connections.

use futures_lite::future::zip;

use super::*;
use crate::net::relay::{RelayRates, RelayTimeouts, Relays};

/// A TLS record with so many bytes of content.
fn record(bytes: usize) -> Vec<u8> {
    let length = u16::try_from(bytes).unwrap().to_be_bytes();
    [&[23, 3, 3], &length[..], &vec![7; bytes]].concat()
}

type Client = TlsStream<Async<TcpStream>>;

/// Returns two relayed connections: their server's ends, and their clients.
async fn relayed(executor: &Executor<'static>, relays: &Relays) -> [(Served, Client); 2] {
    let pair = [secured(executor, PATIENT).await, secured(executor, PATIENT).await];
    for ((served, _), end) in pair.iter().zip(relays.begin()) {
        served.outbox.send(b"250 relayed\r\n");
        served.outbox.relay(end);
    }
    let mut pair = pair;
    for (_, client) in &mut pair {
        let mut line = [0; 13];
        client.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"250 relayed\r\n");
    }
    pair
}

/// Returns relays that are as fast and patient as can be.
fn fast() -> Relays {
    limited(u64::MAX, u64::MAX, TOO_LONG)
}

fn limited(each: u64, all: u64, patience: Duration) -> Relays {
    Relays::new(RelayRates { each, all }, RelayTimeouts { idle: patience, stall: patience })
}

#[test]
fn records_go_both_ways_and_the_last_one_arrives() {
    run(async |executor| {
        let [(one, mut alice), (other, mut bob)] = relayed(executor, &fast()).await;
        let long = record(16_000).repeat(100);
        let there = async {
            alice.write_all(&long).await.unwrap();
            let mut back = vec![0; 8];
            alice.read_exact(&mut back).await.unwrap();
            assert_eq!(back, record(3));
            alice.close().await.unwrap();
        };
        let back = async {
            bob.write_all(&record(3)).await.unwrap();
            bob.flush().await.unwrap();
            let mut got = Vec::new();
            bob.read_to_end(&mut got).await.unwrap();
            assert!(got == long, "{} bytes of {}", got.len(), long.len());
        };
        zip(there, back).await;
        drop((alice, bob));
        assert_eq!(one.gone().await, LinkEnd::Ended);
        assert_eq!(other.gone().await, LinkEnd::Ended);
    });
}

#[test]
fn bytes_from_before_the_relay_go_to_the_other_side() {
    run(async |executor| {
        let mut pair = [secured(executor, PATIENT).await, secured(executor, PATIENT).await];
        pair[0].1.write_all(&record(5)).await.unwrap();
        pair[0].1.flush().await.unwrap();
        // The server has read them by then.
        async_io::Timer::after(Duration::from_millis(200)).await;
        for ((served, _), end) in pair.iter().zip(fast().begin()) {
            served.outbox.relay(end);
        }
        let mut got = vec![0; record(5).len()];
        pair[1].1.read_exact(&mut got).await.unwrap();
        assert_eq!(got, record(5));
    });
}

#[test]
fn what_is_no_record_ends_the_relay() {
    run(async |executor| {
        let [(one, mut alice), (_other, mut bob)] = relayed(executor, &fast()).await;
        alice.write_all(&[&record(5)[..], b"GET / HTTP/1.1\r\n\r\n"].concat()).await.unwrap();
        alice.flush().await.unwrap();
        assert_eq!(one.gone().await, LinkEnd::Failed);
        let mut got = Vec::new();
        // The end of the other side's connection is in order, or it is cut.
        let _ = bob.read_to_end(&mut got).await;
        assert!(got.is_empty() || got == record(5), "{got:?}");
    });
}

#[test]
fn reader_that_stalls_holds_little_and_is_cut() {
    run(async |executor| {
        let patience = Duration::from_secs(2);
        let relays = limited(u64::MAX, u64::MAX, patience);
        let [(_one, mut alice), (other, _bob)] = relayed(executor, &relays).await;
        let mut sent = 0;
        let sending = async {
            while alice.write_all(&record(16_000)).await.is_ok() && alice.flush().await.is_ok() {
                sent += 16_005;
            }
        };
        let cut = async { assert_eq!(other.gone().await, LinkEnd::NotReading) };
        cut.or(sending).await;
        // Most of it is in the kernel's buffers of two connections.
        assert!(sent < 16 << 20, "{sent} bytes are held");
    });
}

#[test]
fn relay_without_a_byte_ends() {
    run(async |executor| {
        let relays = limited(u64::MAX, u64::MAX, Duration::from_millis(300));
        let [(one, mut alice), _bob] = relayed(executor, &relays).await;
        let begun = std::time::Instant::now();
        async_io::Timer::after(Duration::from_millis(200)).await;
        alice.write_all(&record(1)).await.unwrap();
        alice.flush().await.unwrap();
        alice.read_to_end(&mut Vec::new()).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
        drop(alice);
        assert_eq!(one.gone().await, LinkEnd::Ended);
    });
}

/// Sends some 960 kB over a relay.
async fn send_some([(_one, mut alice), (_other, mut bob)]: [(Served, Client); 2]) {
    let long = record(16_000).repeat(60);
    let there = async {
        alice.write_all(&long).await.unwrap();
        alice.flush().await.unwrap();
    };
    let mut got = vec![0; long.len()];
    zip(there, async { bob.read_exact(&mut got).await.unwrap() }).await;
}

#[test]
fn relay_keeps_to_its_rate() {
    run(async |executor| {
        let pair = relayed(executor, &limited(1_000_000, u64::MAX, TOO_LONG)).await;
        let begun = std::time::Instant::now();
        send_some(pair).await;
        assert!(begun.elapsed() >= Duration::from_millis(700), "{:?}", begun.elapsed());
    });
}

#[test]
fn all_relays_together_keep_to_their_rate() {
    run(async |executor| {
        let relays = limited(u64::MAX, 1_000_000, TOO_LONG);
        let (one, other) = (relayed(executor, &relays).await, relayed(executor, &relays).await);
        let begun = std::time::Instant::now();
        zip(send_some(one), send_some(other)).await;
        assert!(begun.elapsed() >= Duration::from_millis(1_600), "{:?}", begun.elapsed());
    });
}

#[test]
fn hub_ends_a_relay() {
    run(async |executor| {
        let [(one, _alice), (other, mut bob)] = relayed(executor, &fast()).await;
        one.outbox.close();
        // The other end has nothing more to send.
        bob.read_to_end(&mut Vec::new()).await.unwrap();
        drop(bob);
        assert_eq!(other.gone().await, LinkEnd::Ended);
    });
}
