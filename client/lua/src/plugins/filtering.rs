//! The filters of all plugins, applied to sent and shown text.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::declared::{FilterKind, PluginFilter};
use super::instance::{Ask, Filtered, Instance};
use super::{Loaded, Plugins, lock, within};
use crate::limits::{FILTER_TIME, MAX_LATE};
use crate::output::Said;
use crate::queue;
use letschat_core::event::Event;

/// The remaining filter time of each plugin for one message.
type Left = BTreeMap<String, Duration>;

impl Plugins {
    /// Returns the text to send in place of this one, or `None` to send nothing.
    pub(super) async fn filter_text(&self, to: Option<&str>, text: &str) -> Option<String> {
        let message = json!({"text": text, "to": to});
        self.filter(FilterKind::Send, message).await
    }

    /// Returns the event to show, or `None` to hide it.
    pub async fn filter_shown(&self, event: &Event) -> Option<Event> {
        let is_shown = matches!(event, Event::Message { .. } | Event::Broadcast { .. });
        if !is_shown || event.is_own_message() {
            return Some(event.clone());
        }
        let shown = self.filter(FilterKind::Show, queue::to_value(event)).await?;
        let mut event = event.clone();
        if let Event::Message { text, .. } | Event::Broadcast { text, .. } = &mut event {
            *text = shown;
        }
        Some(event)
    }

    /// Returns true if a plugin filters what is shown.
    pub fn filters_shown(&self) -> bool {
        let is_meant = |filter: &PluginFilter| filter.kind == FilterKind::Show;
        let mut instances = self.instances().into_iter();
        instances.any(|(_, one)| lock(&one.registrations).filters.iter().any(is_meant))
    }

    async fn filter(&self, kind: FilterKind, message: Value) -> Option<String> {
        let mut left = Left::new();
        let filtered = pass(&self.filters(kind), message, &mut left).await;
        self.note_times(&left);
        filtered
    }

    /// Returns all filters of this kind in the order in which they run.
    fn filters(&self, kind: FilterKind) -> Vec<(PluginFilter, Arc<Instance>)> {
        let mut filters = Vec::new();
        for (_, instance) in self.instances() {
            let registered = lock(&instance.registrations).filters.clone();
            let meant = registered.into_iter().filter(|filter| filter.kind == kind);
            filters.extend(meant.map(|filter| (filter, instance.clone())));
        }
        filters.sort_by(|(one, _): &(PluginFilter, _), (other, _)| one.order(other));
        filters
    }

    /// Ends a plugin whose filters missed the deadline too many times in a row: each miss delays a message.
    fn note_times(&self, left: &Left) {
        let mut plugins = self.lock();
        for (name, left) in left {
            let Some(plugin) = plugins.get_mut(name) else { continue };
            plugin.late = if left.is_zero() { plugin.late + 1 } else { 0 };
            if plugin.late >= MAX_LATE && end(plugin) {
                let ms = FILTER_TIME.as_millis();
                let why = format!("{MAX_LATE} times its filters took more than {ms} ms: the end.");
                let _ = self.inner.heard.try_send((name.clone(), Said::Error(why)));
            }
        }
    }
}

/// Ends a plugin. Returns false if it has already ended.
fn end(plugin: &mut Loaded) -> bool {
    let Some(instance) = plugin.instance.take() else { return false };
    instance.end();
    true
}

/// Passes a message through the filters; `None` if one drops it. All filters of a plugin share one
/// deadline, and a plugin that misses it is skipped.
async fn pass(
    filters: &[(PluginFilter, Arc<Instance>)],
    mut message: Value,
    left: &mut Left,
) -> Option<String> {
    for (filter, instance) in filters {
        let left = left.entry(filter.plugin.clone()).or_insert(FILTER_TIME);
        if left.is_zero() || instance.has_ended() {
            continue;
        }
        let began = Instant::now();
        let answer = ask(instance, filter.id, &message, began + *left);
        let answer = within(*left, answer).await;
        *left = left.saturating_sub(began.elapsed());
        match answer {
            Some(Some(Filtered::Dropped)) => return None,
            Some(Some(Filtered::Replaced(text))) => message["text"] = text.into(),
            Some(Some(Filtered::Kept) | None) => {}
            None => *left = Duration::ZERO,
        }
    }
    message["text"].as_str().map(str::to_owned)
}

/// Asks one filter for its decision; `None` if its plugin can't be asked or has ended.
async fn ask(instance: &Instance, id: u64, message: &Value, until: Instant) -> Option<Filtered> {
    let (answer, answered) = async_channel::bounded(1);
    let ask = Ask::Filter { id, message: message.clone(), until, answer };
    instance.asks.try_send(ask).ok()?;
    answered.recv().await.ok()
}
