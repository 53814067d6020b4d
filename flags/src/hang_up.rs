//! Detection of a program that was started to outlive its terminal, as by nohup(1).

use std::fs;

/// Returns true if SIGHUP was ignored when the program started, as nohup(1) arranges. Reads the
/// signal's bit in the mask that the system shows (proc_pid_status(5)).
pub fn is_ignored() -> bool {
    const HANG_UP: u64 = 1;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & HANG_UP != 0)
}
