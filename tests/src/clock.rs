//! A wall clock that tests set.

use std::fs;
use std::path::Path;
use std::process::Command;

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use crate::form::seed;

/// An hour in seconds.
pub const HOUR: i64 = 3_600;
/// A day in seconds.
pub const DAY: i64 = 24 * HOUR;

/// A wall clock for programs started through it. It runs at normal speed from any time that it was set to.
/// The monotonic clocks are the machine's.
pub struct WallClock {
    folder: TempDir,
    library: String,
    random: fastrand::Rng,
    /// The seconds by which it is ahead of the real one.
    pub ahead_seconds: i64,
    /// The number of times that it was set.
    pub times_set: u32,
}

impl WallClock {
    /// Returns a clock that shows the real time.
    ///
    /// # Panics
    ///
    /// Panics if `faketime` is missing.
    #[allow(clippy::new_without_default)]
    pub fn new() -> WallClock {
        let mut faketime = Command::new("faketime");
        let shown = faketime.args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"]).output();
        let shown = shown.expect("faketime is here: `make check-tools` installs it");
        let library = String::from_utf8(shown.stdout).unwrap().trim().to_owned();
        let (folder, random) = (tempfile::tempdir().unwrap(), fastrand::Rng::with_seed(seed()));
        let mut clock = WallClock { folder, library, random, ahead_seconds: 0, times_set: 0 };
        clock.set(0);
        clock
    }

    /// Returns the words that start a program with this clock.
    pub fn by(&self) -> Vec<String> {
        let file = self.folder.path().join("offset");
        vec![
            "env".into(),
            format!("LD_PRELOAD={}", self.library),
            format!("FAKETIME_TIMESTAMP_FILE={}", file.display()),
            "FAKETIME_NO_CACHE=1".into(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".into(),
            "NO_FAKE_STAT=1".into(),
        ]
    }

    /// Sets the clock this far ahead of the real one.
    pub fn set(&mut self, ahead_seconds: i64) {
        let (new, file) = (self.folder.path().join("new"), self.folder.path().join("offset"));
        fs::write(&new, format!("{ahead_seconds:+}\n")).unwrap();
        fs::rename(new, file).unwrap();
        self.ahead_seconds = ahead_seconds;
        self.times_set += 1;
    }

    /// Sets the clock by an hour or a day in either direction.
    pub fn jump(&mut self) {
        let others = [0, HOUR, -HOUR, DAY, -DAY].into_iter().filter(|at| *at != self.ahead_seconds);
        let others: Vec<i64> = others.collect();
        let to = others[self.random.usize(..others.len())];
        self.set(to);
    }

    /// Returns true if the clock shows about this time.
    pub fn shows(&self, time: DateTime<Utc>) -> bool {
        let now = Utc::now() + TimeDelta::seconds(self.ahead_seconds);
        (now - time).abs() < TimeDelta::minutes(10)
    }
}

impl Drop for WallClock {
    /// Removes the shared memory that faketime leaves behind when its program is killed.
    fn drop(&mut self) {
        let Ok(shared) = fs::read_dir("/dev/shm") else { return };
        for path in shared.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let pid = name.strip_prefix("faketime_shm_");
            let pid = pid.or_else(|| name.strip_prefix("sem.faketime_sem_"));
            if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                let _ = fs::remove_file(path);
            }
        }
    }
}
