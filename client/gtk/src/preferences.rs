//! The settings, which are those of the file that all clients share.

use std::cell::RefCell;
use std::rc::Rc;

use adw::glib::{self, clone};
use adw::prelude::*;
use letschat_engine::address::ServiceAddress;
use letschat_protocol::devices::DeviceName;
use letschat_settings::file;
use letschat_settings::notify::NotifyOf;

use crate::app::App;
use crate::dialogs::open_window;
use crate::window::{Window, toast_of};

/// The choices of what notifies, as the file writes them and as people read them.
const NOTIFY: [(NotifyOf, &str, &str); 5] = [
    (NotifyOf::Requests, "requests", "Requests alone"),
    (NotifyOf::Mentions, "mentions", "Messages with your name, too"),
    (NotifyOf::Direct, "direct", "Messages to you, too"),
    (NotifyOf::All, "all", "Every message"),
    (NotifyOf::Never, "never", "Nothing"),
];

/// The most days for which a history can be kept.
const MAX_DAYS: u16 = 36_500;

/// A value for the settings file.
enum Wanted {
    Switch(bool),
    Text(String),
    Number(i64),
    Usual,
}

/// Opens the settings.
pub(crate) fn open(app: &App, window: &Window) {
    let opened = app.settings().borrow().clone();
    if let Some(opened) = opened {
        // It shows what was chosen.
        return opened.present();
    }
    let toasts = adw::ToastOverlay::new();
    let settings = Settings { app: app.clone(), toasts: toasts.downgrade() };
    let page = adw::PreferencesPage::new();
    page.add(&settings.notifications());
    page.add(&settings.messages());
    page.add(&settings.machine());
    toasts.set_child(Some(&page));
    let opened = open_window(window, "Settings", &toasts);
    opened.set_default_size(560, 620);
    opened.set_hide_on_close(true);
    app.settings().replace(Some(opened));
}

/// The settings as their rows change them.
#[derive(Clone)]
struct Settings {
    app: App,
    toasts: glib::WeakRef<adw::ToastOverlay>,
}

impl Settings {
    fn notifications(&self) -> adw::PreferencesGroup {
        let group = adw::PreferencesGroup::builder().title("Notifications").build();
        let notify = self.app.notify().borrow().clone();
        let words: Vec<&str> = NOTIFY.iter().map(|(_, _, words)| *words).collect();
        let words = gtk::StringList::new(&words);
        let what = adw::ComboRow::builder().title("Notify of").model(&words).build();
        let chosen = NOTIFY.iter().position(|(of, ..)| *of == notify.of).unwrap_or_default();
        what.set_selected(u32::try_from(chosen).unwrap_or_default());
        let settings = self.clone();
        what.connect_selected_notify(move |what| {
            if let Some((of, word, _)) = NOTIFY.get(what.selected() as usize) {
                settings.app.notify().borrow_mut().of = *of;
                settings.save("notify", Wanted::Text((*word).to_owned()));
            }
        });
        group.add(&what);
        let settings = self.clone();
        let (title, subtitle) = ("Show what was said", "On the desktop, others may read it");
        add_switch(&group, title, subtitle, notify.shows_text, move |is_on| {
            settings.app.notify().borrow_mut().shows_text = is_on;
            settings.save("notify-text", Wanted::Switch(is_on));
        });
        let settings = self.clone();
        let title = "Words that count as your name, divided by commas";
        add_entry(&group, title, &notify.words.join(", "), move |text| {
            let words = text.split(',').map(|word| word.trim().to_owned());
            settings.app.notify().borrow_mut().words =
                words.filter(|word| !word.is_empty()).collect();
            settings.save("highlight", text_or_usual(text))
        });
        group
    }

    fn messages(&self) -> adw::PreferencesGroup {
        let group = from_next_start("Messages on this machine");
        let flags = &self.app.options().client;
        let settings = self.clone();
        let (title, subtitle) = ("Keep messages", "Encrypted, and searched by the search");
        add_switch(&group, title, subtitle, flags.history, move |is_on| {
            settings.save("history", Wanted::Switch(is_on));
        });
        let days = flags.history_days.map(|days| days.to_string()).unwrap_or_default();
        let settings = self.clone();
        let title = "Days for which they are kept (empty: without end)";
        add_entry(&group, title, &days, move |text| match text.parse::<u16>() {
            _ if text.is_empty() => settings.save("history-days", Wanted::Usual),
            Ok(days) if (1..=MAX_DAYS).contains(&days) => {
                settings.save("history-days", Wanted::Number(days.into()))
            }
            _ => settings.say(&format!("Days are a number from 1 to {MAX_DAYS}.")),
        });
        let folder = flags.downloads().map(|folder| folder.display().to_string());
        let settings = self.clone();
        add_entry(&group, "Folder for received files", &folder.unwrap_or_default(), move |text| {
            settings.save("downloads", text_or_usual(text))
        });
        group
    }

    fn machine(&self) -> adw::PreferencesGroup {
        let group = from_next_start("Connection");
        let flags = &self.app.options().client;
        let server = flags.server.as_ref().map(file::service_with_key).unwrap_or_default();
        let settings = self.clone();
        add_entry(&group, "Server", &server, move |text| match text.parse::<ServiceAddress>() {
            Err(error) if !text.is_empty() => {
                settings.say(&format!("That is no address of a server: {error}."))
            }
            _ => settings.save("server", text_or_usual(text)),
        });
        let name = flags.device_name.as_ref().map(ToString::to_string).unwrap_or_default();
        let settings = self.clone();
        let title = "Name of this device, for your other devices";
        add_entry(&group, title, &name, move |text| match text.parse::<DeviceName>() {
            Err(error) if !text.is_empty() => {
                settings.say(&format!("That can't be the name of a device: {error}."))
            }
            _ => settings.save("device-name", text_or_usual(text)),
        });
        let settings = self.clone();
        let (title, subtitle) =
            ("Come back after an idle timeout", "Log in again without being asked");
        add_switch(&group, title, subtitle, flags.return_after_idle, move |is_on| {
            settings.save("return-after-idle", Wanted::Switch(is_on));
        });
        group
    }

    /// Saves a value. If that is not possible, the user is told, and it returns false.
    fn save(&self, key: &str, wanted: Wanted) -> bool {
        let Some(path) = self.app.options().settings_file() else {
            return self.say("This user has no folder for settings.");
        };
        let value = match wanted {
            Wanted::Switch(is_on) => Some(is_on.into()),
            Wanted::Text(text) => Some(text.into()),
            Wanted::Number(number) => Some(number.into()),
            Wanted::Usual => None,
        };
        match file::change(&path, &[(key, value)]) {
            Ok(()) => true,
            Err(error) => {
                self.say(&format!("The settings can't be saved in {}: {error}.", path.display()))
            }
        }
    }

    /// Tells the user why a value is not saved. Returns false.
    fn say(&self, text: &str) -> bool {
        if let Some(toasts) = self.toasts.upgrade() {
            toasts.add_toast(toast_of(text));
        }
        false
    }
}

fn from_next_start(title: &str) -> adw::PreferencesGroup {
    adw::PreferencesGroup::builder().title(title).description("From the next start on").build()
}

/// Adds a switch. `change` is called with each choice of the user.
fn add_switch(
    group: &adw::PreferencesGroup,
    title: &str,
    subtitle: &str,
    is_on: bool,
    change: impl Fn(bool) + 'static,
) {
    let switch = gtk::Switch::builder().valign(gtk::Align::Center).active(is_on).build();
    let row = adw::ActionRow::builder().title(title).subtitle(subtitle).build();
    row.add_suffix(&switch);
    row.set_activatable_widget(Some(&switch));
    group.add(&row);
    switch.connect_active_notify(move |switch| change(switch.is_active()));
}

/// Adds a field. `change` is called with each text that the user has entered, and returns true if it is saved.
fn add_entry(
    group: &adw::PreferencesGroup,
    title: &str,
    text: &str,
    change: impl Fn(&str) -> bool + 'static,
) {
    let row = adw::EntryRow::builder().title(title).text(text).show_apply_button(true).build();
    group.add(&row);
    let saved = RefCell::new(text.to_owned());
    let apply = Rc::new(move |row: &adw::EntryRow| {
        let text = row.text().trim().to_owned();
        if *saved.borrow() != text && change(&text) {
            saved.replace(text);
        }
    });
    // Going on to another field applies it too.
    let leaves = gtk::EventControllerFocus::new();
    leaves.connect_leave(clone!(
        #[weak]
        row,
        #[strong]
        apply,
        move |_| apply(&row)
    ));
    row.add_controller(leaves);
    row.connect_apply(move |row| apply(row));
}

fn text_or_usual(text: &str) -> Wanted {
    match text {
        "" => Wanted::Usual,
        text => Wanted::Text(text.to_owned()),
    }
}
