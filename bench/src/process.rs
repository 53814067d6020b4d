//! What the kernel says of a process, from Linux's `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

/// The processor time of all the threads that the process has now, to the nanosecond. Those that
/// have ended are left out, and the server's live as long as it does.
pub(crate) fn cpu_time(pid: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let spent = text.split(' ').next().and_then(|spent| spent.parse::<u64>().ok());
        nanoseconds += spent.ok_or_else(unreadable)?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Its memory in bytes, where pages that it shares count by its share (PSS).
pub(crate) fn memory(pid: u32) -> io::Result<u64> {
    field(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

/// The memory that it has resident, in bytes.
pub(crate) fn resident(pid: u32) -> io::Result<u64> {
    field(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// The most memory that it had resident since [`forget_peak`], in bytes.
pub(crate) fn peak_resident(pid: u32) -> io::Result<u64> {
    field(&format!("/proc/{pid}/status"), "VmHWM:")
}

/// Lets [`peak_resident`] begin anew.
pub(crate) fn forget_peak(pid: u32) -> io::Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5")
}

/// A line `NAME    123 kB`, in bytes.
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
        // Less than the time that passed, if others had the processor meanwhile; but not nothing.
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
