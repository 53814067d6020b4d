//! What becomes of what is sent and shown, by the filters of all plugins.

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

/// How much of its time each plugin has left for one message.
type Left = BTreeMap<String, Duration>;

impl Plugins {
    /// What is to be sent instead of this text; `None`: nothing.
    pub(super) async fn filter_text(&self, to: Option<&str>, text: &str) -> Option<String> {
        let message = json!({"text": text, "to": to});
        self.filter(FilterKind::Send, message).await
    }

    /// An event as it is to be shown; `None`: not at all.
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

    async fn filter(&self, kind: FilterKind, message: Value) -> Option<String> {
        let mut left = Left::new();
        let filtered = pass(&self.filters(kind), message, &mut left).await;
        self.note_times(&left);
        filtered
    }

    /// All filters of this kind, in their order.
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

    /// A plugin whose filters are late again and again costs every message its time: it ends.
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

/// Ends a plugin, unless it has ended.
fn end(plugin: &mut Loaded) -> bool {
    let Some(instance) = plugin.instance.take() else { return false };
    instance.end();
    true
}

/// Hands a message from filter to filter; `None`: one of them lets it through to nobody. Each plugin
/// has one piece of time for all its filters; once that is gone it is passed over.
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

/// What a filter decides; `None`: its plugin can't be asked, or has ended meanwhile.
async fn ask(instance: &Instance, id: u64, message: &Value, until: Instant) -> Option<Filtered> {
    let (answer, answered) = async_channel::bounded(1);
    let ask = Ask::Filter { id, message: message.clone(), until, answer };
    instance.asks.try_send(ask).ok()?;
    answered.recv().await.ok()
}
