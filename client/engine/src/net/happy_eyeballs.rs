//! Attempts at several addresses of one name, as in RFC 8305 ("Happy Eyeballs"). They start one
//! after the other at short intervals and run side by side, and the first success wins.

use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use async_io::Timer;
use futures_lite::FutureExt as _;

/// The delay until the next attempt (RFC 8305, section 5), unless the last one fails earlier.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// An attempt under way.
type Attempt<'a, R> = Pin<Box<dyn Future<Output = R> + 'a>>;

/// Orders addresses so that IPv6 and IPv4 alternate (RFC 8305, section 4). The first one stays the
/// first, and each family keeps its order.
pub(super) fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_ipv6);
    let (mut first, mut other) = (first.into_iter(), other.into_iter());
    let mut ordered = Vec::new();
    loop {
        let before = ordered.len();
        ordered.extend(first.next().into_iter().chain(other.next()));
        if ordered.len() == before {
            return ordered;
        }
    }
}

/// Attempts each address or way in order, and returns the first success. The other attempts are dropped.
/// If none succeeds, returns all failures.
pub(super) async fn first_success<W: Copy, T, E>(
    ways: &[W],
    attempt: impl AsyncFn(W) -> Result<T, E>,
) -> Result<T, Vec<E>> {
    let mut waiting = ways.iter();
    let mut running: Vec<Attempt<'_, Result<T, E>>> = Vec::new();
    let mut failures = Vec::new();
    loop {
        if let Some(way) = waiting.next() {
            running.push(Box::pin(attempt(*way)));
        } else if running.is_empty() {
            return Err(failures);
        }
        let is_last = waiting.len() == 0;
        let next_is_due = async {
            if is_last {
                pending::<()>().await;
            }
            Timer::after(ATTEMPT_DELAY).await;
            None
        };
        let ended = async { Some(next_end(&mut running).await) };
        match ended.or(next_is_due).await {
            Some(Ok(success)) => return Ok(success),
            Some(Err(failure)) => failures.push(failure),
            None => {}
        }
    }
}

/// Waits for an attempt to end, and removes it.
async fn next_end<R>(running: &mut Vec<Attempt<'_, R>>) -> R {
    poll_fn(|context| {
        for index in 0..running.len() {
            if let Poll::Ready(result) = running[index].as_mut().poll(context) {
                drop(running.remove(index));
                return Poll::Ready(result);
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::block_on;
    use std::cell::RefCell;
    use std::time::Instant;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_alternate_and_the_first_stays_first() {
        let given = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1", "10.0.0.2:1"]);
        let wanted = addresses(&["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1", "[::3]:1"]);
        assert_eq!(interleaved(given), wanted);
        let given = addresses(&["10.0.0.1:1", "10.0.0.2:1", "[::1]:1"]);
        let wanted = addresses(&["10.0.0.1:1", "[::1]:1", "10.0.0.2:1"]);
        assert_eq!(interleaved(given), wanted);
        assert_eq!(interleaved(Vec::new()), []);
    }

    #[test]
    fn silent_addresses_hold_the_next_up_for_a_moment_only() {
        let all = addresses(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"]);
        let begin = Instant::now();
        let reached = first_success(&all, async |address| {
            if address != all[3] {
                pending::<()>().await;
            }
            Ok::<_, ()>(address)
        });
        assert_eq!(block_on(reached), Ok(all[3]));
        assert!(begin.elapsed() >= 3 * ATTEMPT_DELAY, "they were tried all at once");
    }

    #[test]
    fn failure_starts_the_next_attempt_at_once() {
        let all: Vec<SocketAddr> =
            (0..100).map(|port| SocketAddr::from(([10, 0, 0, 1], port))).collect();
        let (tried, begin) = (RefCell::new(Vec::new()), Instant::now());
        let reached = first_success(&all, async |address| {
            tried.borrow_mut().push(address);
            Err::<(), _>(address)
        });
        assert_eq!(block_on(reached).unwrap_err(), all);
        assert_eq!(tried.into_inner(), all);
        assert!(begin.elapsed() < 20 * ATTEMPT_DELAY, "each waited for its turn");
    }

    #[test]
    fn earlier_attempt_may_still_win() {
        let all = addresses(&["10.0.0.1:1", "10.0.0.2:1"]);
        let reached = first_success(&all, async |address| {
            if address == all[1] {
                return Err("refused");
            }
            Timer::after(2 * ATTEMPT_DELAY).await;
            Ok(address)
        });
        assert_eq!(block_on(reached), Ok(all[0]));
    }
}
