//! Envelopes that are sealed before the clock runs.

use std::sync::Arc;

use letschat_flags::clock::now;
use letschat_protocol::body::{Body, Content, DeviceListRef, Place};
use letschat_protocol::envelope::{EnvelopeId, Recipient};
use letschat_protocol::identity::Fingerprint;
use letschat_protocol::prekey::Suite;
use letschat_protocol::sealing;
use letschat_protocol::username::Username;

use crate::accounts::Member;
use crate::programs::BenchResult;

/// The length of every text.
pub(crate) const TEXT_BYTES: usize = 200;

/// An odd number with many bits, so that products with it are distinct and spread (Weyl).
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// A sealed envelope under an id.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) id: EnvelopeId,
    pub(crate) envelope: Arc<[u8]>,
}

/// Returns the id of the n-th envelope. The ids of real envelopes are hashes, so these are spread as well.
pub(crate) fn id(number: u64) -> EnvelopeId {
    EnvelopeId(u128::from(number).wrapping_mul(SPREAD))
}

/// Returns the text of every message.
pub(crate) fn text() -> String {
    "x".repeat(TEXT_BYTES)
}

/// Returns the body of a message with this number in its conversation.
pub(crate) fn body(from: &Member, to: &Username, sequence: u64) -> Body {
    Body {
        suite: Suite::X25519,
        sender: from.username.clone(),
        device: from.identity.public_key(),
        list: DeviceListRef::default(),
        recipients: vec![to.clone()],
        conversation: to.to_string(),
        place: Place::Sequence(sequence),
        time_ms: now().wall_ms,
        content: Content::Text(text()),
    }
}

/// Seals the message with this number in its conversation.
pub(crate) fn seal(
    from: &Member,
    to: &Recipient,
    server: &Fingerprint,
    sequence: u64,
) -> BenchResult<Arc<[u8]>> {
    let body = body(from, &to.username, sequence);
    let envelope = sealing::seal(&body, &from.identity, server, std::slice::from_ref(to))?;
    Ok(envelope.to_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_distinct() {
        let ids: HashSet<EnvelopeId> = (0..10_000).map(id).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
