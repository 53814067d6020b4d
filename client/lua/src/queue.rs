//! Delivery of a client's events to a script or plugin.

use std::rc::Rc;

use async_channel::Receiver;
use futures_lite::future::yield_now;
use serde_json::Value;

use super::limits::MAX_EVENTS;
use super::script_client::ScriptClient;
use letschat_commands::text::WithMessage;
use letschat_core::event::Event;
use letschat_engine::events::{Events, Told};

/// Delivers a client's events to a script until they end. The handlers of an event start before the next
/// event is taken, so a slow script causes backpressure.
pub(super) fn pump(script_client: &Rc<ScriptClient>, events: Events) {
    let (executor, script_client) = (script_client.host.executor.clone(), script_client.clone());
    let pump = async move {
        while let Ok(Told { event, receipt }) = events.recv().await {
            if !event.is_for_views() {
                script_client.deliver(to_value(&event)).await;
            }
            receipt.confirm();
            // Fast events must not starve the script.
            yield_now().await;
        }
        script_client.end();
    };
    // The task ends with the client's events, or is dropped with the VM.
    executor.spawn(pump).detach();
}

/// Delivers queued events to a `script_client` until they end.
pub(super) async fn deliver(script_client: &ScriptClient, events: Receiver<Value>) {
    while let Ok(event) = events.recv().await {
        script_client.deliver(event).await;
        yield_now().await;
    }
    script_client.end();
}

/// Converts an event to the form of `--json`.
pub(super) fn to_value(event: &Event) -> Value {
    serde_json::to_value(WithMessage::from(event)).unwrap_or_default()
}

/// Returns the warning for lost events, which is shown once.
pub(super) fn too_slow() -> String {
    format!("More than {MAX_EVENTS} events wait for the plugin; the oldest are let go.")
}
