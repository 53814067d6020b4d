//! Relays between two connections.

use futures_lite::future::zip;

use super::*;
use crate::net::relay::{RelayRates, Relays};

/// A TLS record with so many bytes of content.
fn record(bytes: usize) -> Vec<u8> {
    let length = u16::try_from(bytes).unwrap().to_be_bytes();
    [&[23, 3, 3], &length[..], &vec![7; bytes]].concat()
}

type Client = TlsStream<Async<TcpStream>>;

/// Returns two relayed connections: their server's ends, and their clients.
async fn relayed(executor: &Executor<'static>, rates: RelayRates) -> [(Served, Client); 2] {
    let pair = [secured(executor, PATIENT).await, secured(executor, PATIENT).await];
    for ((served, _), end) in pair.iter().zip(Relays::new(rates).begin()) {
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

fn fast() -> RelayRates {
    RelayRates { each: u64::MAX, all: u64::MAX }
}

#[test]
fn records_go_both_ways_and_the_last_one_arrives() {
    run(async |executor| {
        let [(one, mut alice), (other, mut bob)] = relayed(executor, fast()).await;
        let long = record(16_000).repeat(100);
        let there = async {
            alice.write_all(&long).await.unwrap();
            alice.close().await.unwrap();
            let mut back = vec![0; 8];
            alice.read_exact(&mut back).await.unwrap();
            assert_eq!(back, record(3));
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
fn what_is_no_record_ends_the_relay() {
    run(async |executor| {
        let [(one, mut alice), (_other, mut bob)] = relayed(executor, fast()).await;
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
fn reader_that_stalls_holds_little() {
    run(async |executor| {
        let [(_one, mut alice), _bob] = relayed(executor, fast()).await;
        let mut sent = 0;
        loop {
            let piece = record(16_000);
            let stalled = async {
                async_io::Timer::after(Duration::from_secs(1)).await;
                false
            };
            let writing = async {
                alice.write_all(&piece).await.unwrap();
                alice.flush().await.unwrap();
                true
            };
            if !writing.or(stalled).await {
                break;
            }
            sent += piece.len();
            assert!(sent < 64 << 20, "nothing holds the sender back");
        }
    });
}

#[test]
fn relay_keeps_to_its_rate() {
    run(async |executor| {
        let rates = RelayRates { each: 1_000_000, all: u64::MAX };
        let [(_one, mut alice), (_other, mut bob)] = relayed(executor, rates).await;
        let begun = std::time::Instant::now();
        let long = record(16_000).repeat(60);
        let there = async {
            alice.write_all(&long).await.unwrap();
            alice.flush().await.unwrap();
        };
        let mut got = vec![0; long.len()];
        zip(there, async { bob.read_exact(&mut got).await.unwrap() }).await;
        let time = begun.elapsed();
        assert!(time >= Duration::from_millis(700), "{time:?}");
    });
}

#[test]
fn hub_ends_a_relay() {
    run(async |executor| {
        let [(one, _alice), (other, mut bob)] = relayed(executor, fast()).await;
        one.outbox.close();
        // The other end has nothing more to send.
        bob.read_to_end(&mut Vec::new()).await.unwrap();
        drop(bob);
        assert_eq!(other.gone().await, LinkEnd::Ended);
    });
}
