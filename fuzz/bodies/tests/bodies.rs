//! Runs the fuzzing bodies on the corpora and on random input.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use letschat_fuzz_bodies::{TARGETS, Target};

/// The number of random inputs for each target.
const ROUNDS: u64 = 3_000;

fn corpus(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(target.name)
}

/// Returns a random input. Most bytes are small, since small ones select choices.
fn input(random: &mut fastrand::Rng) -> Vec<u8> {
    let length = random.usize(0..1_500);
    let wild = random.u8(..);
    (0..length)
        .map(|_| if random.u8(..) < wild { random.u8(..) } else { random.u8(0..32) })
        .collect()
}

fn run(target: &Target, input: &[u8], what: &str) {
    if catch_unwind(AssertUnwindSafe(|| (target.body)(input))).is_err() {
        panic!("{} fails on {what}", target.name);
    }
}

#[test]
fn every_body_holds_on_its_corpus() {
    for target in TARGETS {
        let files = fs::read_dir(corpus(target)).unwrap_or_else(|_| panic!("{}", target.name));
        let mut count = 0;
        for file in files {
            let path = file.unwrap().path();
            run(target, &fs::read(&path).unwrap(), &path.display().to_string());
            count += 1;
        }
        assert!(count > 0, "{} has an empty corpus", target.name);
    }
}

#[test]
fn every_body_holds_on_random_input() {
    for target in TARGETS {
        for seed in 0..ROUNDS {
            let input = input(&mut fastrand::Rng::with_seed(seed));
            run(target, &input, &format!("the random input of seed {seed}"));
        }
    }
}

#[test]
fn every_body_has_a_fuzzer_and_every_corpus_a_body() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for Target { name, .. } in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is in no manifest");
        let source = fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(source.contains("fuzz_target!"), "{name} fuzzes nothing");
    }
    for folder in fs::read_dir(fuzz.join("corpus")).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        assert!(TARGETS.iter().any(|target| target.name == name), "{name} has no body");
    }
}
