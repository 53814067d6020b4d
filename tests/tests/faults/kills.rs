//! SIGKILL at any moment while people broadcast and chat.

use std::time::{Duration, Instant};

use letschat_tests::client::TestClient;
use letschat_tests::form::{is_full, quantile, seed, short_or_full, tell};
use letschat_tests::server::TestServer;
use serde_json::{Value, json};

use crate::crowd::{AT_ONCE, Crowd};
use crate::disk_full::is_sound;

/// The time limits from the server's listening until nearly all clients are back, and until all are.
const MOST_WITHIN: Duration = Duration::from_secs(5);
const ALL_WITHIN: Duration = Duration::from_secs(15);

#[test]
fn server_killed_at_any_moment_loses_nothing_acknowledged() {
    let (clients, kills) = short_or_full((8, 20), (16, 200));
    let mut random = fastrand::Rng::with_seed(seed());
    let mut server = TestServer::start(&["--broadcast-burst", "1000000"]);
    let name = |n| format!("person{n}");
    let people = (0..clients).map(|n| TestClient::join(&server, &name(n))).collect();
    let mut crowd = Crowd::of(people);
    let mut returns: Vec<Duration> = Vec::new();
    for round in 0..kills {
        crowd.chat(round, "before");
        let told = crowd.broadcast(round);
        let moment = Duration::from_micros(random.u64(..30_000));
        crowd.people[0].wait_within(moment, |_| false);
        server.kill();
        crowd.note_acknowledged(told);
        crowd.chat(round, "without a server");
        server.start_again();
        let listening = Instant::now();
        returns
            .extend(come_back(&mut crowd, round).map(|at| at.saturating_duration_since(listening)));
    }
    crowd.people[0].ok("broadcast", json!({"text": "end"}));
    let acknowledged = crowd.check_broadcasts();
    crowd.check_chat();
    let told = kills * AT_ONCE;
    assert!((1..told).contains(&acknowledged), "{acknowledged} of {told}: no kill came between");
    server.kill();
    is_sound(&server.data.path().join("letschat.sqlite"));

    let (most, all) = (quantile(&returns, 0.95), quantile(&returns, 1.0));
    assert!(all <= ALL_WITHIN, "it took {all:?} until all were back");
    assert!(most <= MOST_WITHIN || !is_full(), "it took {most:?} until 95 % were back");
    tell(
        "the server killed at any moment",
        &format!("{kills} times, {clients} clients"),
        &format!(
            "{acknowledged} acknowledged broadcasts kept, no number twice, database sound, the chat \
             went on; 95 % back after {most:.1?}, all after {all:.1?}"
        ),
    );
}

/// Returns the times at which each user was logged in again after `kills` kills and one more. Each then
/// logs in anew: a user's request resets the backoff that short links cause.
fn come_back(crowd: &mut Crowd, kills: usize) -> impl Iterator<Item = Instant> {
    crowd.people.iter_mut().map(move |person| {
        let is_back = |line: &Value| line["event"] == "logged_in";
        // One for the first login, and two for each earlier kill.
        let wanted = 2 * kills + 2;
        let times = loop {
            let times = person.all_with_times(is_back);
            if times.len() >= wanted {
                break times;
            }
            person.wait_event("logged_in");
        };
        person.ok("detach", json!({}));
        person.ok("login", json!({}));
        times[wanted - 1].0
    })
}
