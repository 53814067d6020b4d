//! Rate-limited output of a plugin.

use std::cell::RefCell;
use std::time::Instant;

use async_channel::Sender;
use letschat_flags::output::OutputError;

use crate::limits::{LINES_AT_ONCE, LINES_PER_SECOND};
use crate::output::{OutputSink, Said};

/// The rate-limited output of one plugin.
pub(super) struct Measured {
    plugin: String,
    heard: Sender<(String, Said)>,
    allowance: RefCell<Allowance>,
}

/// The lines that a plugin may still print: a token bucket.
struct Allowance {
    lines: f64,
    at: Instant,
    left_out: u64,
}

impl Measured {
    pub(super) fn new(plugin: String, heard: Sender<(String, Said)>) -> Measured {
        let lines = f64::from(LINES_AT_ONCE);
        let allowance = Allowance { lines, at: Instant::now(), left_out: 0 };
        Measured { plugin, heard, allowance: RefCell::new(allowance) }
    }

    fn tell(&self, said: Said) {
        // A line that finds the queue full is dropped.
        let _ = self.heard.try_send((self.plugin.clone(), said));
    }
}

impl OutputSink for Measured {
    /// Queues a line, or drops it. Never fails.
    fn say(&self, said: Said) -> Result<(), OutputError> {
        let mut allowance = self.allowance.borrow_mut();
        let earned = allowance.at.elapsed().as_secs_f64() * f64::from(LINES_PER_SECOND);
        allowance.lines = (allowance.lines + earned).min(f64::from(LINES_AT_ONCE));
        allowance.at = Instant::now();
        if allowance.lines < 1.0 {
            allowance.left_out += 1;
            return Ok(());
        }
        allowance.lines -= 1.0;
        if allowance.left_out > 0 {
            let message = format!("{} lines were left out.", allowance.left_out);
            allowance.left_out = 0;
            self.tell(Said::Log("warn", message));
        }
        self.tell(said);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn flood_is_cut_off_and_counted_and_later_lines_are_heard() {
        let (heard, hearing) = async_channel::unbounded();
        let output = Measured::new("loud".into(), heard);
        let at_once = usize::try_from(LINES_AT_ONCE).unwrap();
        for number in 0..at_once + 1_000 {
            output.say(Said::Text(number.to_string())).unwrap();
        }
        // A slow machine earns some lines during the loop.
        let said = hearing.len();
        assert!((at_once..at_once + 100).contains(&said), "{said}");
        while hearing.try_recv().is_ok() {}

        output.allowance.borrow_mut().at -= Duration::from_secs(1);
        output.say(Said::Bell).unwrap();
        let (plugin, warning) = hearing.try_recv().unwrap();
        assert_eq!(plugin, "loud");
        assert!(matches!(warning, Said::Log("warn", text) if text.ends_with("were left out.")));
        assert_eq!(hearing.try_recv().unwrap().1, Said::Bell);
    }
}
