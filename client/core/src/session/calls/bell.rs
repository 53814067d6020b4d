//! A limit on the rings of one caller: two at once, then ever fewer, until a while has passed.

use letschat_protocol::username::Username;

use crate::session::backoff::{AT_ONCE, Backoff, STABLE_MS};
use crate::session::{Now, Session};

/// Callers who are remembered at most. Beyond that the one who may ring soonest is forgotten.
const MAX_BELLS: usize = 256;

/// The calls of one caller who was not let in.
#[derive(Debug, Default)]
pub(in crate::session) struct Bell {
    row: Backoff,
    silent_until_ms: u64,
}

impl Session {
    /// Returns true if a caller may ring now. A call that comes too soon does not count.
    pub(super) fn may_ring(&mut self, now: Now, who: &Username) -> bool {
        let is_recent = |bell: &Bell| now.boot_ms < bell.silent_until_ms.saturating_add(STABLE_MS);
        self.bells.retain(|_, bell| is_recent(bell));
        let mut bell = self.bells.remove(who).unwrap_or_default();
        let may_ring = now.boot_ms >= bell.silent_until_ms;
        if may_ring {
            // Each client waits for its own callers, so no jitter is needed.
            let wait_ms = bell.row.fail(now.boot_ms, &AT_ONCE, 0.5).unwrap_or_default();
            bell.silent_until_ms = now.boot_ms + wait_ms;
        }
        if self.bells.len() >= MAX_BELLS {
            let soonest = self.bells.iter().min_by_key(|(_, bell)| bell.silent_until_ms);
            if let Some(soonest) = soonest.map(|(who, _)| who.clone()) {
                self.bells.remove(&soonest);
            }
        }
        self.bells.insert(who.clone(), bell);
        may_ring
    }
}
