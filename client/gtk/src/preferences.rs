//! The settings, which are those of the file that all clients share.

use std::rc::Rc;

use adw::glib::{self, clone};
use adw::prelude::*;
use letschat_settings::file;
use letschat_settings::notify::NotifyOf;

use crate::app::App;
use crate::dialogs::open_window;
use crate::window::Window;

/// The choices of what notifies, as the file writes them and as people read them.
const NOTIFY: [(NotifyOf, &str, &str); 5] = [
    (NotifyOf::Requests, "requests", "Requests alone"),
    (NotifyOf::Mentions, "mentions", "Messages with your name, too"),
    (NotifyOf::Direct, "direct", "Messages to you, too"),
    (NotifyOf::All, "all", "Every message"),
    (NotifyOf::Never, "never", "Nothing"),
];

/// A value for the settings file.
enum Wanted {
    Switch(bool),
    Text(String),
    Number(i64),
    Usual,
}

/// Opens the settings.
pub(crate) fn open(app: &App, window: &Rc<Window>) {
    let opened = app.settings().borrow().clone();
    if let Some(opened) = opened {
        // It shows what was chosen.
        return opened.present();
    }
    let page = adw::PreferencesPage::new();
    page.add(&notifications(app, window));
    page.add(&messages(app, window));
    page.add(&machine(app, window));
    let opened = open_window(window, "Settings", &page);
    opened.set_default_size(560, 620);
    opened.set_hide_on_close(true);
    app.settings().replace(Some(opened));
}

fn notifications(app: &App, window: &Rc<Window>) -> adw::PreferencesGroup {
    let group = adw::PreferencesGroup::builder().title("Notifications").build();
    let notify = app.notify().borrow().clone();
    let words: Vec<&str> = NOTIFY.iter().map(|(_, _, words)| *words).collect();
    let what =
        adw::ComboRow::builder().title("Notify of").model(&gtk::StringList::new(&words)).build();
    let chosen = NOTIFY.iter().position(|(of, ..)| *of == notify.of).unwrap_or_default();
    what.set_selected(u32::try_from(chosen).unwrap_or_default());
    what.connect_selected_notify(clone!(
        #[strong]
        app,
        #[weak]
        window,
        move |what| {
            if let Some((of, word, _)) = NOTIFY.get(what.selected() as usize) {
                app.notify().borrow_mut().of = *of;
                save(&app, &window, "notify", Wanted::Text((*word).to_owned()));
            }
        }
    ));
    group.add(&what);
    let shows_text = switch(&group, "Show what was said", "On the desktop, others may read it");
    shows_text.set_active(notify.shows_text);
    shows_text.connect_active_notify(clone!(
        #[strong]
        app,
        #[weak]
        window,
        move |switch| {
            app.notify().borrow_mut().shows_text = switch.is_active();
            save(&app, &window, "notify-text", Wanted::Switch(switch.is_active()));
        }
    ));
    let words = entry(&group, "Words that count as your name, divided by commas");
    words.set_text(&notify.words.join(", "));
    words.connect_apply(clone!(
        #[strong]
        app,
        #[weak]
        window,
        move |entry| {
            let text = entry.text().to_string();
            let words = text.split(',').map(|word| word.trim().to_owned());
            app.notify().borrow_mut().words = words.filter(|word| !word.is_empty()).collect();
            save(&app, &window, "highlight", text_or_usual(&text));
        }
    ));
    group
}

fn messages(app: &App, window: &Rc<Window>) -> adw::PreferencesGroup {
    let group = adw::PreferencesGroup::builder()
        .title("Messages on this machine")
        .description("From the next start on")
        .build();
    let flags = &app.options().client;
    let history = switch(&group, "Keep messages", "Encrypted, and searched by the search");
    history.set_active(flags.history);
    history.connect_active_notify(saves_switch(app, window, "history"));
    let days = entry(&group, "Days for which they are kept (empty: without end)");
    days.set_text(&flags.history_days.map(|days| days.to_string()).unwrap_or_default());
    days.connect_apply(clone!(
        #[strong]
        app,
        #[weak]
        window,
        move |entry| {
            let text = entry.text();
            match text.trim().parse::<u16>() {
                _ if text.trim().is_empty() => save(&app, &window, "history-days", Wanted::Usual),
                Ok(days) if (1..=36_500).contains(&days) => {
                    save(&app, &window, "history-days", Wanted::Number(days.into()));
                }
                _ => window.toast("Days are a number from 1 to 36500."),
            }
        }
    ));
    let downloads = entry(&group, "Folder for received files");
    let folder = flags.downloads().map(|folder| folder.display().to_string());
    downloads.set_text(&folder.unwrap_or_default());
    downloads.connect_apply(saves_text(app, window, "downloads"));
    group
}

fn machine(app: &App, window: &Rc<Window>) -> adw::PreferencesGroup {
    let group = adw::PreferencesGroup::builder()
        .title("Connection")
        .description("From the next start on")
        .build();
    let flags = &app.options().client;
    let server = entry(&group, "Server");
    server.set_text(&flags.server.as_ref().map(file::with_key).unwrap_or_default());
    server.connect_apply(clone!(
        #[strong]
        app,
        #[weak]
        window,
        move |entry| {
            let text = entry.text();
            match text.trim().parse::<letschat_engine::address::ServerAddress>() {
                _ if text.trim().is_empty() => save(&app, &window, "server", Wanted::Usual),
                Ok(_) => save(&app, &window, "server", text_or_usual(&text)),
                Err(error) => window.toast(&format!("That is no address of a server: {error}.")),
            }
        }
    ));
    let device = entry(&group, "Name of this device, for your other devices");
    let name = flags.device_name.as_ref().map(ToString::to_string);
    device.set_text(&name.unwrap_or_default());
    device.connect_apply(clone!(
        #[strong]
        app,
        #[weak]
        window,
        move |entry| {
            let text = entry.text();
            match text.trim().parse::<letschat_protocol::devices::DeviceName>() {
                _ if text.trim().is_empty() => save(&app, &window, "device-name", Wanted::Usual),
                Ok(_) => save(&app, &window, "device-name", text_or_usual(&text)),
                Err(error) => {
                    window.toast(&format!("That can't be the name of a device: {error}."));
                }
            }
        }
    ));
    let idle =
        switch(&group, "Come back after an idle timeout", "Log in again without being asked");
    idle.set_active(flags.return_after_idle);
    idle.connect_active_notify(saves_switch(app, window, "return-after-idle"));
    group
}

fn switch(group: &adw::PreferencesGroup, title: &str, subtitle: &str) -> gtk::Switch {
    let switch = gtk::Switch::builder().valign(gtk::Align::Center).build();
    let row = adw::ActionRow::builder().title(title).subtitle(subtitle).build();
    row.add_suffix(&switch);
    row.set_activatable_widget(Some(&switch));
    group.add(&row);
    switch
}

fn entry(group: &adw::PreferencesGroup, title: &str) -> adw::EntryRow {
    let row = adw::EntryRow::builder().title(title).show_apply_button(true).build();
    group.add(&row);
    row
}

fn saves_switch(
    app: &App,
    window: &Rc<Window>,
    key: &'static str,
) -> impl Fn(&gtk::Switch) + 'static + use<> {
    let (app, window) = (app.clone(), Rc::downgrade(window));
    move |switch| {
        if let Some(window) = window.upgrade() {
            save(&app, &window, key, Wanted::Switch(switch.is_active()));
        }
    }
}

fn saves_text(
    app: &App,
    window: &Rc<Window>,
    key: &'static str,
) -> impl Fn(&adw::EntryRow) + 'static + use<> {
    let (app, window) = (app.clone(), Rc::downgrade(window));
    move |entry| {
        if let Some(window) = window.upgrade() {
            save(&app, &window, key, text_or_usual(&entry.text()));
        }
    }
}

fn text_or_usual(text: &str) -> Wanted {
    match text.trim() {
        "" => Wanted::Usual,
        text => Wanted::Text(text.to_owned()),
    }
}

fn save(app: &App, window: &Window, key: &str, wanted: Wanted) {
    let Some(path) = app.options().settings_file() else {
        return window.toast("This user has no folder for settings.");
    };
    let value = match wanted {
        Wanted::Switch(is_on) => Some(is_on.into()),
        Wanted::Text(text) => Some(text.into()),
        Wanted::Number(number) => Some(number.into()),
        Wanted::Usual => None,
    };
    if let Err(error) = file::change(&path, &[(key, value)]) {
        window.toast(&format!("The settings can't be saved in {}: {error}.", path.display()));
    }
}
