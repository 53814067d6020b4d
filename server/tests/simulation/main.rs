//! A whole network as a value: one hub, many sessions, time that a test turns.
//!
//! Each seed makes a network of its own: how much it delays, loses, doubles and reorders, when
//! links break, when the server dies, how slow the store is and what people do. At the end the
//! faults stop, everything settles, and the promises are checked. A seed that fails is printed
//! with its last events; `SIMULATION_SEED=n cargo test -p letschat-server --test simulation`
//! plays it again, and it belongs into `KEPT`.
//!
//! * [`world`] – the event queue, the hub's and the sessions' surroundings
//! * [`server`] – the simulated server process: connections, store, crashes
//! * [`people`] – the clients and what their users do
//! * [`peers`] – links between clients
//! * [`promises`] – what must hold

#![allow(clippy::unwrap_used)]

mod peers;
mod people;
mod promises;
mod server;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use world::{Plan, World};

/// How many seeds one run plays.
const SEEDS: u64 = 200;

/// Seeds that failed once.
const KEPT: &[u64] = &[];

fn play(seed: u64, plan: Plan) -> World {
    let mut world = World::new(seed, plan);
    let played = catch_unwind(AssertUnwindSafe(|| {
        world.run();
        promises::check(&world);
    }));
    if played.is_err() {
        eprintln!("seed {seed} failed ({plan:?}); its last events:");
        for line in world.last_events() {
            eprintln!("  {line}");
        }
        panic!("seed {seed} breaks a promise");
    }
    world
}

fn seeds() -> Vec<u64> {
    match std::env::var("SIMULATION_SEED") {
        Ok(seed) => vec![seed.parse().expect("SIMULATION_SEED is a number")],
        Err(_) => KEPT.iter().copied().chain(0..SEEDS).collect(),
    }
}

#[test]
fn every_promise_holds_on_a_bad_network_with_a_server_that_dies() {
    let mut sums = promises::Seen::default();
    for seed in seeds() {
        sums.add(&play(seed, Plan::Everything));
    }
    if std::env::var("SIMULATION_SEED").is_err() {
        sums.assert_that_the_run_was_worth_it();
    }
}

#[test]
fn nobody_is_over_the_limit_when_there_are_fewer_places_than_people() {
    for seed in 0..20 {
        play(seed, Plan::FewPlaces);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_twice() {
    for seed in 0..3 {
        let (one, other) = (play(seed, Plan::Everything), play(seed, Plan::Everything));
        assert_eq!(one.trace_hash(), other.trace_hash(), "seed {seed}");
    }
}
