//! Notifications as the desktop shows them.

use adw::gio;
use adw::prelude::*;
use letschat_core::conversation::ConversationId;
use letschat_protocol::printable::Printable;
use letschat_settings::notify::Notification;

/// The longest text, in characters.
const MAX_CHARS: usize = 200;

/// Returns a notification for the desktop, and its id. A later one of the same conversation, or of the same person's
/// requests, replaces it.
pub(crate) fn for_desktop(
    notification: &Notification,
    conversation: Option<&ConversationId>,
) -> (String, gio::Notification) {
    let shown = gio::Notification::new(notification.from.as_str());
    let body = notification.text.as_deref().filter(|text| !text.is_empty());
    let body = body.unwrap_or("There is something new for you.");
    shown.set_body(Some(&without_markup(body)));
    let target = conversation.map(ToString::to_string).unwrap_or_default();
    shown.set_default_action_and_target_value("app.show", Some(&target.to_variant()));
    let id = conversation.map_or_else(|| format!("request {}", notification.from), |_| target);
    (id, shown)
}

/// Returns a text for a notification. Its `<`, `>` and `&` are replaced by similar signs: some desktops parse markup in it, and
/// others show what is escaped for those.
fn without_markup(text: &str) -> String {
    let text = Printable(text).to_string();
    let similar = text.chars().take(MAX_CHARS).map(|c| match c {
        '<' => '‹',
        '>' => '›',
        '&' => '＆',
        c => c,
    });
    similar.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notification_has_no_markup() {
        let text = without_markup("<a href='x'>tea</a> & cake\nmore");
        assert_eq!(text, "‹a href='x'›tea‹/a› ＆ cake\\nmore");
        assert_eq!(without_markup(&"x".repeat(300)).len(), MAX_CHARS);
    }
}
