//! Passwords hashed by the library alone, with the server's parameters. It uses as many threads of
//! the same low priority, each with its own allocated memory.

use std::thread;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use letschat_server::store::password::{LANES, MEMORY_KIB, PASSES};
use letschat_server::store::service::HASHING_THREADS;
use rustix::process::{getpriority_process, setpriority_process};

use crate::programs::{BenchResult, Failed};

/// The niceness of the server's hashing threads.
const NICENESS: i32 = 10;

/// Returns the hashes per second.
pub(crate) fn rate(time: Duration) -> BenchResult<f64> {
    let parameters = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(failed)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    let begin = Instant::now();
    let until = begin + time;
    let counts = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..HASHING_THREADS).map(|_| scope.spawn(|| hash(&argon2, until))).collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap_or(Ok(0)));
        joined.collect::<Result<Vec<u32>, argon2::Error>>()
    });
    let count: u32 = counts.map_err(failed)?.into_iter().sum();
    Ok(f64::from(count) / begin.elapsed().as_secs_f64())
}

fn hash(argon2: &Argon2<'_>, until: Instant) -> Result<u32, argon2::Error> {
    let thread = Some(rustix::thread::gettid());
    // Without the lower priority, the rate on an idle machine is the same.
    let _ = getpriority_process(thread).and_then(|own| setpriority_process(thread, own + NICENESS));
    let mut memory = vec![Block::default(); argon2.params().block_count()];
    let (password, salt) = (b"correct horse battery", b"sixteen bytes ok");
    let mut count = 0;
    while Instant::now() < until {
        let mut output = [0; 32];
        argon2.hash_password_into_with_memory(password, salt, &mut output, &mut memory)?;
        std::hint::black_box(output);
        count += 1;
    }
    Ok(count)
}

fn failed(error: argon2::Error) -> Failed {
    Failed(format!("argon2 does not work here: {error}"))
}
