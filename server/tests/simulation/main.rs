//! A whole network as a value: one hub, many sessions, and time that the test advances.
//!
//! Accounts have up to three devices. Each seed makes its own network: its delays, losses, duplicates and reordering, broken links and
//! crashes, the store's speed, and people's actions. At the end the faults stop, everything
//! settles, and the promises are checked. A failing seed is run once more and printed with its last
//! events. `SIMULATION_SEED=n cargo test -p letschat-server --test simulation` runs it again, and
//! it should be added to `KEPT`. `SIMULATION_SEEDS=n` runs that many.
//!
//! * [`world`] – the event queue, and the environment of the hub and the sessions
//! * [`faults`] – the faults, and how often each took effect
//! * [`server`] – the simulated server process: connections, crashes
//! * [`store`] – the persistent data
//! * [`tables`] – what the servers of a cluster share in the database
//! * [`cluster`] – the servers of a cluster, what cuts them off, and the look at all sessions
//! * [`mailbox`] – the mailboxes of the store
//! * [`people`] – the clients and the actions of their users
//! * [`reactions`] – what they do about answers and events
//! * [`classroom`] – a class, whose lines go to everyone with and without the server
//! * [`groups`] – people in a group, whose owner changes it with two devices at once
//! * [`group_promises`] – what they saw, and the properties that must hold
//! * [`history`] – the observations and actions of each person
//! * [`disk`] – a client's file, and the sealing of envelopes
//! * [`peers`] – links between clients
//! * [`promises`] – the properties that must hold
//! * [`ages`] – checks of expiry

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test says what it has seen")]
#![allow(clippy::unwrap_used)]

mod ages;
mod classroom;
mod cluster;
mod disk;
mod faults;
mod group_promises;
mod groups;
mod history;
mod mailbox;
mod peers;
mod people;
mod promises;
mod reactions;
mod server;
mod store;
mod tables;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use faults::Hit;
use promises::Seen;
use world::{Plan, World};

/// The number of seeds in one run. Each test has two minutes, on a slow machine too and beside the others.
const SEEDS: u64 = 1_000;

/// The number of seeds of long worlds, which simulate an hour and a quarter and are slow.
const LONG_SEEDS: u64 = 60;

/// The number of seeds of classrooms.
const CLASS_SEEDS: u64 = 200;

/// The number of seeds of groups.
const GROUP_SEEDS: u64 = 500;

/// The number of seeds of clusters.
const CLUSTER_SEEDS: u64 = 500;

/// Seeds that failed once.
const KEPT: &[u64] = &[132, 176, 233, 381, 604];

fn play(seed: u64, plan: Plan) -> World {
    let mut world = World::new(seed, plan);
    if run(&mut world).is_err() {
        let mut again = World::new(seed, plan).watched();
        let _ = run(&mut again);
        eprintln!("seed {seed} failed ({plan:?}); its last events:");
        for line in again.last_events() {
            eprintln!("  {line}");
        }
        panic!("seed {seed} breaks a promise");
    }
    world
}

fn run(world: &mut World) -> thread::Result<()> {
    catch_unwind(AssertUnwindSafe(|| {
        world.run();
        promises::check(world);
    }))
}

/// Runs the seeds on all cores.
fn play_all(seeds: &[u64], plan: Plan) -> Seen {
    let next = AtomicUsize::new(0);
    let play_some = || {
        let mut seen = Seen::default();
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            seen.add(&play(*seed, plan));
        }
        seen
    };
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let players: Vec<_> = (0..cores).map(|_| scope.spawn(play_some)).collect();
        let mut all = Seen::default();
        for player in players {
            match player.join() {
                Ok(seen) => all.join(seen),
                Err(panic) => resume_unwind(panic),
            }
        }
        all
    })
}

/// Returns the seeds to run, or the single one that was asked for.
fn seeds(count: u64) -> Vec<u64> {
    let wanted = |name| {
        let number: Option<String> = std::env::var(name).ok();
        number.map(|number| number.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    match wanted("SIMULATION_SEED") {
        Some(seed) => vec![seed],
        None => {
            let count = wanted("SIMULATION_SEEDS").unwrap_or(count);
            KEPT.iter().copied().chain(0..count).collect()
        }
    }
}

#[test]
fn every_promise_holds_on_a_bad_network_with_a_server_that_dies() {
    let seeds = seeds(SEEDS);
    let seen = play_all(&seeds, Plan::Everything);
    println!("{seen}");
    if seeds.len() > 1 {
        seen.assert_that_the_runs_were_worth_it();
    }
}

#[test]
fn everything_expires_in_time_under_a_jumping_wall_clock() {
    let seeds = seeds(LONG_SEEDS);
    let seen = play_all(&seeds, Plan::LongAfter);
    println!("{seen}");
    if seeds.len() > 1 {
        seen.assert_that_things_expired();
    }
}

#[test]
fn class_hears_every_line_once_with_and_without_its_server() {
    let seeds = seeds(CLASS_SEEDS);
    let seen = play_all(&seeds, Plan::Classroom);
    println!("{seen}");
    if seeds.len() > 1 {
        seen.assert_that_the_class_was_worth_it();
    }
}

#[test]
fn members_of_a_group_agree_whoever_changes_it() {
    let seeds = seeds(GROUP_SEEDS);
    let seen = play_all(&seeds, Plan::Groups);
    println!("{seen}");
    if seeds.len() > 1 {
        seen.assert_that_the_groups_were_worth_it();
    }
}

#[test]
fn two_servers_are_one_service_whatever_they_are_cut_off_from() {
    let seeds = seeds(CLUSTER_SEEDS);
    let seen = play_all(&seeds, Plan::Cluster);
    println!("{seen}");
    if seeds.len() > 1 {
        seen.assert_that_the_cluster_was_worth_it();
    }
}

#[test]
fn jumping_wall_clock_changes_only_the_times_shown() {
    for seed in seeds(40) {
        let jumps = play(seed, Plan::Everything);
        let mut steady = World::new(seed, Plan::Everything).under_a_steady_clock();
        steady.run();
        assert!(jumps.hits.contains_key(&Hit::ClockWentBackADay), "seed {seed} has no jump");
        assert!(!steady.hits.contains_key(&Hit::ClockWentBackADay));
        assert_eq!(jumps.outline_hash(), steady.outline_hash(), "seed {seed}");
        promises::check_that_the_same_was_seen(&jumps, &steady);
    }
}

#[test]
fn fewer_places_than_people_are_never_exceeded() {
    play_all(&seeds(20), Plan::FewPlaces);
}

#[test]
fn the_same_seed_gives_the_same_trace_twice() {
    let played = |seed| {
        let mut world = World::new(seed, Plan::Everything).watched();
        world.run();
        world.trace_hash()
    };
    assert_ne!(played(0), played(1));
    for seed in 0..3 {
        assert_eq!(played(seed), played(seed), "seed {seed}");
    }
}
