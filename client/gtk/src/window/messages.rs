//! The messages of a conversation, as a list that draws only what is on the screen.
//!
//! Remote text is never markup, and a link is a button that shows its full address.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use adw::glib::{self, BoxedAnyObject};
use adw::prelude::*;
use gtk::{Align, SignalListItemFactory};
use letschat_commands::appearance::{Kind, person_colour};
use letschat_commands::render;
use letschat_commands::text::{self, files};
use letschat_core::conversation::ConversationId;
use letschat_core::files::FileState;
use letschat_core::view::RecentMessage;
use letschat_protocol::printable::Printable;
use letschat_settings::notify::Notify;

use crate::live::Live;
use crate::timeline::{Body, Entry, Timeline};

/// The most links of a message that get a button.
const MAX_LINKS: usize = 8;

/// The distance to the end, in pixels, within which the list follows new messages.
const AT_THE_END: f64 = 40.0;

/// The time for which a message that was searched for is marked.
const FOUND: Duration = Duration::from_secs(3);

/// The time after which a list has scrolled.
const SCROLLED: Duration = Duration::from_millis(200);

/// More entries than the usual window shows.
const A_SCREEN: usize = 50;

/// The list of messages.
pub(crate) struct Messages {
    list: gtk::ListView,
    scroll: gtk::ScrolledWindow,
    /// True while the list follows new messages.
    follows: Rc<Cell<bool>>,
}

impl Messages {
    pub(crate) fn new(
        builder: &gtk::Builder,
        live: &Rc<Live>,
        notify: Rc<RefCell<Notify>>,
    ) -> Messages {
        let list: gtk::ListView = super::part(builder, "messages");
        let scroll: gtk::ScrolledWindow = super::part(builder, "scroll");
        let to_end: gtk::Button = super::part(builder, "to_end");
        list.set_factory(Some(&factory(live, notify)));
        let follows = Rc::new(Cell::new(true));
        follow_the_end(&list, &follows, &to_end, live);
        to_end.connect_clicked({
            let (list, follows) = (list.clone(), follows.clone());
            move |_| go_to_end(&list, &follows)
        });
        Messages { list, scroll, follows }
    }

    /// Shows the entries of a conversation, from its end.
    pub(crate) fn show(&self, live: &Rc<Live>, conversation: Option<&ConversationId>) {
        let timeline = live.timeline(conversation.cloned());
        self.list.set_model(Some(&gtk::NoSelection::new(Some(timeline.list().clone()))));
        go_to_end(&self.list, &self.follows);
        // A list that fits on the screen has no end to scroll to.
        if let Some(with) = conversation.filter(|_| timeline.len() < A_SCREEN) {
            let (live, with) = (live.clone(), with.clone());
            let (list, follows) = (self.list.clone(), self.follows.clone());
            glib::spawn_future_local(async move {
                live.load_older(&with, None).await;
                if follows.get() {
                    go_to_end(&list, &follows);
                }
            });
        }
    }

    /// Goes to the end if the end was on the screen.
    pub(crate) fn follow(&self) {
        if self.follows.get() {
            go_to_end(&self.list, &self.follows);
        }
    }

    /// Goes to a message, and marks it for a moment.
    pub(crate) fn go_to(&self, timeline: &Timeline, place: u32) {
        self.follows.set(false);
        scroll_to(&self.list, place);
        let Some(id) = timeline.set_found(place, true) else { return };
        // It may have moved meanwhile.
        let timeline = timeline.clone();
        glib::timeout_add_local_once(FOUND, move || {
            if let Some(place) = timeline.place_of(id) {
                timeline.set_found(place, false);
            }
        });
    }

    /// Goes to the last entry.
    pub(crate) fn go_to_last(&self) {
        go_to_end(&self.list, &self.follows);
    }

    /// Goes to the first entry.
    pub(crate) fn go_to_start(&self) {
        let adjustment = self.scroll.vadjustment();
        adjustment.set_value(adjustment.lower());
    }

    /// Scrolls by pages, as the keys of the composer ask.
    pub(crate) fn page(&self, is_up: bool) {
        let adjustment = self.scroll.vadjustment();
        let page = adjustment.page_size() * 0.9;
        adjustment.set_value(adjustment.value() + if is_up { -page } else { page });
    }
}

/// Loads older messages, if the top is still what is shown in a moment: a list that is new on the screen begins there.
fn load_at_the_top(live: &Rc<Live>, adjustment: &gtk::Adjustment) {
    let (live, adjustment) = (live.clone(), adjustment.clone());
    glib::timeout_add_local_once(SCROLLED, move || {
        let Some(with) = live.shown().filter(|_| adjustment.value() <= adjustment.lower()) else {
            return;
        };
        glib::spawn_future_local(async move { live.load_older(&with, None).await });
    });
}

/// Follows the end of the list while the user is there, and tells whether they are.
fn follow_the_end(
    list: &gtk::ListView,
    follows: &Rc<Cell<bool>>,
    to_end: &gtk::Button,
    live: &Rc<Live>,
) {
    let Some(adjustment) = list.vadjustment() else { return };
    // The list's height before, since its rows change that too, as far as they are measured.
    let before = Rc::new(Cell::new((0.0, 0.0)));
    adjustment.connect_value_changed({
        let (follows, to_end, before) = (follows.clone(), to_end.clone(), before.clone());
        let live = Rc::downgrade(live);
        move |adjustment| {
            let size = (adjustment.upper(), adjustment.page_size());
            let is_at_end = left_below(adjustment) < AT_THE_END;
            if is_at_end || before.get() == size {
                follows.set(is_at_end);
            }
            to_end.set_visible(!follows.get());
            if adjustment.value() <= adjustment.lower()
                && !is_at_end
                && let Some(live) = live.upgrade()
            {
                load_at_the_top(&live, adjustment);
            }
        }
    });
    let (list, follows, to_end) = (list.downgrade(), follows.clone(), to_end.clone());
    adjustment.connect_changed(move |adjustment| {
        before.set((adjustment.upper(), adjustment.page_size()));
        to_end.set_visible(!follows.get());
        if follows.get()
            && left_below(adjustment) >= 1.0
            && let Some(list) = list.upgrade()
        {
            bring_end(&list, &follows);
        }
    });
}

/// Returns the distance from the lower edge of the window to the end, in pixels.
fn left_below(adjustment: &gtk::Adjustment) -> f64 {
    adjustment.upper() - adjustment.page_size() - adjustment.value()
}

/// Goes to the end, and follows it from then on.
fn go_to_end(list: &gtk::ListView, follows: &Rc<Cell<bool>>) {
    follows.set(true);
    let count = list.model().map_or(0, |model| model.n_items());
    let Some(last) = count.checked_sub(1) else { return };
    scroll_to(list, last);
    // Of an entry that is higher than the window, that brings the beginning.
    bring_end(list, follows);
}

/// Scrolls to the end once the list has its size, unless the user goes elsewhere.
fn bring_end(list: &gtk::ListView, follows: &Rc<Cell<bool>>) {
    let (adjustment, follows) = (list.vadjustment(), follows.clone());
    glib::idle_add_local_once(move || {
        if let Some(adjustment) = adjustment.filter(|_| follows.get()) {
            adjustment.set_value(adjustment.upper() - adjustment.page_size());
        }
    });
}

fn scroll_to(list: &gtk::ListView, place: u32) {
    // GTK 4.12 has a function for it.
    let _ = list.activate_action("list.scroll-to-item", Some(&place.to_variant()));
}

/// The widgets of a row.
#[derive(Clone)]
struct Row {
    day: gtk::Label,
    new: gtk::Label,
    author: gtk::Label,
    meta: gtk::Label,
    text: gtk::Label,
    links: gtk::Box,
    file: gtk::Button,
    body: gtk::Box,
}

impl Row {
    fn new() -> (gtk::Box, Row) {
        let label = |class: &str| gtk::Label::builder().xalign(0.0).css_classes([class]).build();
        let row = Row {
            day: label("day"),
            new: label("new-messages"),
            author: label("author"),
            meta: label("meta"),
            text: gtk::Label::builder()
                .xalign(0.0)
                .wrap(true)
                .wrap_mode(gtk::pango::WrapMode::WordChar)
                .selectable(true)
                .use_markup(false)
                .attributes(&without_hyphens())
                .build(),
            links: gtk::Box::new(gtk::Orientation::Vertical, 0),
            file: gtk::Button::builder().halign(Align::Start).label("Save").build(),
            body: gtk::Box::new(gtk::Orientation::Vertical, 0),
        };
        row.day.set_xalign(0.5);
        if let Some(name) = row.file.child().and_downcast::<gtk::Label>() {
            name.set_ellipsize(gtk::pango::EllipsizeMode::Middle);
        }
        row.new.set_label("New messages");
        let heading = gtk::Box::new(gtk::Orientation::Horizontal, 8);
        heading.append(&row.author);
        heading.append(&row.meta);
        row.body.append(&heading);
        row.body.append(&row.text);
        row.body.append(&row.links);
        row.body.append(&row.file);
        let all = gtk::Box::new(gtk::Orientation::Vertical, 0);
        all.add_css_class("message");
        for part in
            [row.day.upcast_ref::<gtk::Widget>(), row.new.upcast_ref(), row.body.upcast_ref()]
        {
            all.append(part);
        }
        (all, row)
    }

    fn bind(&self, entry: &Entry, live: &Rc<Live>, notify: &Notify) {
        self.day.set_visible(entry.day.is_some());
        self.day.set_label(entry.day.as_deref().unwrap_or_default());
        self.new.set_visible(entry.is_first_new);
        self.file.set_visible(false);
        for class in ["mention", "found"] {
            self.body.remove_css_class(class);
        }
        if entry.is_found {
            self.body.add_css_class("found");
        }
        for class in ["note", "warning-note"] {
            self.text.remove_css_class(class);
        }
        match &entry.body {
            Body::Message(message) => {
                self.bind_message(message, &message.text, entry.is_other_way, live, notify);
            }
            Body::File(message, file) => {
                let text = format!("{}, {}", file.name, files::size(file.size));
                self.bind_message(message, &text, entry.is_other_way, live, notify);
                let state = live.read(|view| view.files.get(&file.id).map(|file| file.state));
                let is_open = !matches!(state, Some(FileState::Wanted | FileState::Saved));
                self.file.set_visible(!file.own && is_open);
                self.file.set_label(&format!("Save {}", file.name));
                // With the name first, GTK would look for an action without a target.
                self.file.set_action_target_value(Some(&file.id.to_string().to_variant()));
                self.file.set_action_name(Some("app.save-file"));
            }
            Body::Note(kind, text) => {
                self.author.set_visible(false);
                self.meta.set_label(&render::time_of_day(entry.time_ms));
                let is_warning = *kind == Kind::Warning;
                self.text.add_css_class(if is_warning { "warning-note" } else { "note" });
                self.set_text(text, &[]);
            }
        }
    }

    fn bind_message(
        &self,
        message: &RecentMessage,
        shown: &str,
        is_other_way: bool,
        live: &Rc<Live>,
        notify: &Notify,
    ) {
        let me = live.read(|view| view.session.username.clone());
        let author = if message.own { "You" } else { message.from.as_str() };
        self.author.set_visible(true);
        self.author.set_label(author);
        self.author.set_css_classes(&["author", &person_class(&message.from)]);
        let (time, mark) =
            (render::time_of_day(message.time_ms), text::mark(message, is_other_way));
        self.meta.set_label(format!("{time}  {mark}").trim_end());
        if !message.own && notify.is_mention(shown, me.as_ref()) {
            self.body.add_css_class("mention");
        }
        self.set_text(shown, &links(shown));
    }

    fn set_text(&self, text: &str, links: &[String]) {
        let text = printable_lines(text);
        // The base direction of a text is that of its first letter (UAX #9, P2).
        let is_from_right = gtk::pango::find_base_dir(&text) == gtk::pango::Direction::Rtl;
        self.text.set_xalign(if is_from_right { 1.0 } else { 0.0 });
        self.text.set_text(&text);
        while let Some(old) = self.links.first_child() {
            self.links.remove(&old);
        }
        for link in links {
            let button = gtk::LinkButton::with_label(link, link);
            button.set_halign(Align::Start);
            // All of it is shown, and in the width that there is.
            if let Some(address) = button.child().and_downcast::<gtk::Label>() {
                address.set_attributes(Some(&without_hyphens()));
                address.set_wrap(true);
                address.set_wrap_mode(gtk::pango::WrapMode::Char);
                address.set_xalign(0.0);
            }
            self.links.append(&button);
        }
    }
}

/// Returns the attributes of text that is broken without a hyphen, which its reader would take for a part of it.
pub(crate) fn without_hyphens() -> gtk::pango::AttrList {
    let attributes = gtk::pango::AttrList::new();
    attributes.insert(gtk::pango::AttrInt::new_insert_hyphens(false));
    attributes
}

/// Returns the class of a person's colour.
pub(crate) fn person_class(who: &letschat_protocol::username::Username) -> String {
    format!("person-{}", person_colour(who))
}

/// Returns a text that keeps its lines, and is otherwise as safe as [`Printable`] makes it.
pub(crate) fn printable_lines(text: &str) -> String {
    let lines = text.split('\n').map(|line| Printable(line).to_string());
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the addresses of web pages in a text, each as it is written there.
fn links(text: &str) -> Vec<String> {
    let words = text.split_whitespace();
    let addresses = words.map(|word| {
        let word = word.trim_start_matches(['(', '<', '"', '\'', '[']);
        word.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '>', '"', '\'', ']'])
    });
    let is_address = |word: &&str| {
        let rest = word.strip_prefix("https://").or_else(|| word.strip_prefix("http://"));
        // Other characters could look like an address that it is not (RFC 3986, section 2).
        rest.is_some_and(|rest| !rest.is_empty()) && word.chars().all(|c| c.is_ascii_graphic())
    };
    addresses.filter(is_address).take(MAX_LINKS).map(str::to_owned).collect()
}

fn factory(live: &Rc<Live>, notify: Rc<RefCell<Notify>>) -> SignalListItemFactory {
    let factory = SignalListItemFactory::new();
    // GTK keeps the widgets of each row; this finds their parts again.
    let rows: Rc<RefCell<std::collections::HashMap<gtk::Box, Row>>> = Rc::default();
    factory.connect_setup({
        let rows = rows.clone();
        move |_, item| {
            let Some(item) = item.downcast_ref::<gtk::ListItem>() else { return };
            let (widget, row) = Row::new();
            item.set_activatable(false);
            item.set_child(Some(&widget));
            rows.borrow_mut().insert(widget, row);
        }
    });
    factory.connect_teardown({
        let rows = rows.clone();
        move |_, item| {
            let item = item.downcast_ref::<gtk::ListItem>();
            if let Some(widget) = item.and_then(|item| item.child().and_downcast::<gtk::Box>()) {
                rows.borrow_mut().remove(&widget);
            }
        }
    });
    let live = Rc::downgrade(live);
    factory.connect_bind(move |_, item| {
        let Some(item) = item.downcast_ref::<gtk::ListItem>() else { return };
        let row = item
            .child()
            .and_downcast::<gtk::Box>()
            .and_then(|widget| rows.borrow().get(&widget).cloned());
        let entry = item.item().and_downcast::<BoxedAnyObject>();
        if let (Some(row), Some(entry), Some(live)) = (row, entry, live.upgrade()) {
            row.bind(&entry.borrow::<Entry>(), &live, &notify.borrow());
        }
    });
    factory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_whole_addresses_of_plain_letters() {
        let text = "see (https://a.example/x?y=1), <http://b.example>. https:// javascript:alert(1) \
                    https://аpple.example file:///etc/passwd";
        assert_eq!(links(text), ["https://a.example/x?y=1", "http://b.example"]);
    }

    #[test]
    fn text_keeps_its_lines_and_shows_hidden_characters() {
        assert_eq!(printable_lines("one\ntwo\u{202e}<b>"), "one\ntwo\\u{202e}<b>");
    }
}
