//! A process's processor time and memory, from Linux's `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

/// Returns the processor time of the process's current threads, in nanoseconds' precision. Threads
/// that have ended are not counted, but the server's live as long as it does.
pub(crate) fn cpu_time(pid: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // One that ends meanwhile is not there any more.
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        let spent = text.split(' ').next().and_then(|spent| spent.parse::<u64>().ok());
        nanoseconds += spent.ok_or_else(unreadable)?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Returns the process's memory in bytes, with a proportional share of shared pages (PSS).
pub(crate) fn memory(pid: u32) -> io::Result<u64> {
    field(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

/// Returns the resident memory, in bytes.
pub(crate) fn resident(pid: u32) -> io::Result<u64> {
    field(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// Returns the peak of resident memory since [`forget_peak`], in bytes.
pub(crate) fn peak_resident(pid: u32) -> io::Result<u64> {
    field(&format!("/proc/{pid}/status"), "VmHWM:")
}

/// Resets [`peak_resident`].
pub(crate) fn forget_peak(pid: u32) -> io::Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5")
}

/// Reads a line `NAME    123 kB`, in bytes.
pub(crate) fn field(path: &str, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(path)?;
    let kibibytes = text.lines().find_map(|line| {
        line.strip_prefix(name)?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    Ok(kibibytes.ok_or_else(unreadable)? * 1_024)
}

fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "/proc does not say what Linux says there")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;
    use std::time::Instant;

    #[test]
    fn work_shows_as_processor_time() {
        let pid = std::process::id();
        let before = cpu_time(pid).expect("Linux says it");
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(50) {
            black_box(begin);
        }
        // Other programs may have used the processor meanwhile, but not all of the time.
        assert!(cpu_time(pid).expect("Linux says it") > before);
    }

    #[test]
    fn memory_shows_and_its_peak_too() {
        let pid = std::process::id();
        forget_peak(pid).expect("one's own");
        let before = resident(pid).expect("Linux says it");
        drop(black_box(vec![1_u8; 64 << 20]));
        assert!(peak_resident(pid).expect("Linux says it") >= before + (60 << 20));
        assert!(memory(pid).expect("Linux says it") > 0);
    }
}
