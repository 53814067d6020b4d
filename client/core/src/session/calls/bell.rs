//! A limit on the rings of one caller: two at once, then ever fewer, until a while has passed.

use std::collections::BTreeMap;

use letschat_protocol::username::Username;

use crate::session::backoff::{AT_ONCE, Backoff, STABLE_MS};

/// The most callers that are remembered. Beyond that the one who may ring soonest is evicted.
const MAX_BELLS: usize = 256;

/// The recent calls of others.
#[derive(Debug, Default)]
pub(super) struct Bells {
    bells: BTreeMap<Username, Bell>,
}

/// The recent calls of one caller who was not let in.
#[derive(Debug, Default)]
struct Bell {
    row: Backoff,
    silent_until_ms: u64,
}

impl Bells {
    /// Returns true if a caller may ring now. A call that comes too soon does not count.
    pub(super) fn may_ring(&mut self, now_ms: u64, who: &Username) -> bool {
        let is_recent = |bell: &Bell| now_ms < bell.silent_until_ms.saturating_add(STABLE_MS);
        self.bells.retain(|_, bell| is_recent(bell));
        let mut bell = self.bells.remove(who).unwrap_or_default();
        let may_ring = now_ms >= bell.silent_until_ms;
        if may_ring {
            // Each client waits for its own callers, so no jitter is needed.
            let wait_ms = bell.row.fail(now_ms, &AT_ONCE, 0.5).unwrap_or_default();
            bell.silent_until_ms = now_ms + wait_ms;
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

    /// Forgets a caller's earlier rings.
    pub(super) fn forget(&mut self, who: &Username) {
        self.bells.remove(who);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.bells.len()
    }
}
