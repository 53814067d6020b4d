//! From a client's events to a script, which may be busy with something else.

use std::rc::Rc;

use async_channel::Receiver;
use serde_json::Value;

use super::limits::MAX_EVENTS;
use super::party::Party;
use super::voice::Said;
use crate::event::Event;

/// Hands the events of a client to a party, to their end. A client's own queue is always emptied;
/// what a script is too slow for waits in a queue from which the oldest goes when it is full.
pub(super) fn pump(party: &Rc<Party>, events: Receiver<Event>) {
    let (waiting, taken) = async_channel::bounded(MAX_EVENTS);
    let (executor, told) = (party.host.executor.clone(), party.clone());
    let take_in = async move {
        let mut is_loss_told = false;
        while let Ok(event) = events.recv().await {
            let lost = waiting.force_send(to_value(&event)).ok().flatten();
            if lost.is_some() && !is_loss_told {
                is_loss_told = true;
                told.host.say(Said::Log("warn", too_slow()));
            }
        }
    };
    // Both end with the client's events, and are dropped with the VM.
    executor.spawn(take_in).detach();
    let party = party.clone();
    executor.spawn(async move { deliver(&party, taken).await }).detach();
}

/// Hands waiting events to a party, to their end.
pub(super) async fn deliver(party: &Party, events: Receiver<Value>) {
    while let Ok(event) = events.recv().await {
        party.deliver(event).await;
    }
    party.end();
}

/// An event as in `--json`.
pub(super) fn to_value(event: &Event) -> Value {
    serde_json::to_value(event).unwrap_or_default()
}

/// What is said, once, when events are lost.
pub(super) fn too_slow() -> String {
    format!("More than {MAX_EVENTS} events wait for the script; the oldest are let go.")
}
