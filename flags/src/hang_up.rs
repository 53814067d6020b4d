//! Whether a program outlives the terminal that it was started from.

use std::fs;

/// Whether the program was started so as to outlive a hang-up, as nohup(1) does: SIGHUP is ignored then,
/// which the system tells by its bit in a mask (proc_pid_status(5)).
pub fn is_ignored() -> bool {
    const HANG_UP: u64 = 1;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & HANG_UP != 0)
}
