//! From a client's events to a script or plugin, which may be busy with something else.

use std::rc::Rc;

use async_channel::Receiver;
use futures_lite::future::yield_now;
use serde_json::Value;

use super::limits::MAX_EVENTS;
use super::script_client::ScriptClient;
use letschat_commands::text::WithMessage;
use letschat_core::event::Event;
use letschat_engine::events::{Events, Told};

/// Hands the events of a client to a script, to their end. The script's handlers have each of them
/// before the next one is taken: a script that is too slow for its client's peers slows them down.
pub(super) fn pump(script_client: &Rc<ScriptClient>, events: Events) {
    let (executor, script_client) = (script_client.host.executor.clone(), script_client.clone());
    let pump = async move {
        while let Ok(Told { event, receipt }) = events.recv().await {
            if !event.is_for_views() {
                script_client.deliver(to_value(&event)).await;
            }
            receipt.confirm();
            // The script has its turn, however fast events come.
            yield_now().await;
        }
        script_client.end();
    };
    // It ends with the client's events, and is dropped with the VM.
    executor.spawn(pump).detach();
}

/// Hands waiting events to a script_client, to their end.
pub(super) async fn deliver(script_client: &ScriptClient, events: Receiver<Value>) {
    while let Ok(event) = events.recv().await {
        script_client.deliver(event).await;
        yield_now().await;
    }
    script_client.end();
}

/// An event as in `--json`.
pub(super) fn to_value(event: &Event) -> Value {
    serde_json::to_value(WithMessage::from(event)).unwrap_or_default()
}

/// What is said, once, when events are lost.
pub(super) fn too_slow() -> String {
    format!("More than {MAX_EVENTS} events wait for the plugin; the oldest are let go.")
}
