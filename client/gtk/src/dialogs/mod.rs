//! Dialogs: questions, safety numbers, groups.

pub(crate) mod group;
pub(crate) mod verify;

use std::fmt::Display;
use std::rc::Rc;
use std::str::FromStr;

use adw::glib;
use adw::prelude::*;
use letschat_commands::render;
use letschat_core::conversation::ConversationId;
use letschat_core::session::{GroupAction, Request};
use letschat_protocol::dialogue::Secret;
use letschat_protocol::groups::GroupName;

use crate::accessible::named;
use crate::app::{ACTIONS, UserAction};
use crate::live::Question;
use crate::window::Window;

/// The answer that goes on.
const YES: &str = "yes";
/// The answer that stops.
const NO: &str = "no";

/// Asks for something that fits one line, until it is valid. Returns `None` if the user gives up.
pub(crate) async fn ask_line<T: FromStr<Err: Display>>(
    parent: &impl IsA<gtk::Window>,
    heading: &str,
    body: &str,
    yes: &str,
) -> Option<T> {
    let mut body = body.to_owned();
    let mut typed = String::new();
    loop {
        let entry = named::<gtk::Entry>(heading);
        entry.set_activates_default(true);
        entry.set_text(&typed);
        if !ask_with(parent, heading, &body, yes, &entry).await {
            return None;
        }
        typed = entry.text().trim().to_owned();
        match typed.parse() {
            Ok(given) => return Some(given),
            Err(error) if !typed.is_empty() => body = format!("{typed} can't be taken: {error}."),
            Err(_) => {}
        }
    }
}

/// Asks for an account and its password until it is logged in, or the user gives up.
pub(crate) fn log_in(window: &Rc<Window>) {
    let window = window.clone();
    glib::spawn_future_local(async move {
        let last = window.live().account().map(|account| account.to_string());
        let mut username = last.unwrap_or_default();
        let mut body = "Without a password, this machine's key is used.".to_owned();
        loop {
            let name: gtk::Entry = named("Name");
            let password: gtk::PasswordEntry = named("Password");
            name.set_text(&username);
            name.set_activates_default(true);
            password.set_activates_default(true);
            let fields = column(6);
            for (title, field) in
                [("Name", name.upcast_ref::<gtk::Widget>()), ("Password", password.upcast_ref())]
            {
                fields.append(&gtk::Label::builder().label(title).xalign(0.0).build());
                fields.append(field);
            }
            if !ask_with(window.widget(), "Log in", &body, "Log in", &fields).await {
                return;
            }
            username = name.text().trim().to_owned();
            match window.live().log_in_as(&username, password.text().into()).await {
                Ok(_) => return window.go_to(None),
                Err(failure) => body = render::failure(&failure),
            }
        }
    });
}

/// Asks for a secret, which is not shown.
pub(crate) async fn ask_secret(parent: &impl IsA<gtk::Window>, question: &str) -> Option<Secret> {
    // At a terminal the answer follows in the same line.
    let question = question.trim_end_matches([':', ' ']);
    let entry = named::<gtk::PasswordEntry>(question);
    entry.set_activates_default(true);
    entry.set_show_peek_icon(true);
    let chosen = ask_with(parent, "Password", question, "Continue", &entry).await;
    chosen.then(|| Secret(entry.text().to_string()))
}

async fn ask_with(
    parent: &impl IsA<gtk::Window>,
    heading: &str,
    body: &str,
    yes: &str,
    entry: &impl IsA<gtk::Widget>,
) -> bool {
    let dialog = adw::MessageDialog::new(Some(parent), Some(heading), Some(body));
    dialog.set_title(Some(heading));
    dialog.set_extra_child(Some(entry));
    dialog.add_responses(&[(NO, "Cancel"), (YES, yes)]);
    dialog.set_default_response(Some(YES));
    dialog.set_close_response(NO);
    dialog.set_response_appearance(YES, adw::ResponseAppearance::Suggested);
    entry.grab_focus();
    chosen(&dialog).await
}

/// Shows a dialog, and returns true if the user goes on. (libadwaita 1.3 has a function for it.)
async fn chosen(dialog: &adw::MessageDialog) -> bool {
    let (answer, answered) = async_channel::bounded(1);
    dialog.connect_response(None, move |_, response| {
        // The first answer counts.
        let _ = answer.try_send(response == YES);
    });
    dialog.present();
    answered.recv().await.unwrap_or_default()
}

/// The look of the answer that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is the usual one.
    Suggested,
    /// It can't be undone.
    Destructive,
}

/// Asks whether to go on.
pub(crate) async fn ask(
    parent: &impl IsA<gtk::Window>,
    heading: &str,
    body: &str,
    yes: &str,
    look: Answer,
) -> bool {
    let dialog = adw::MessageDialog::new(Some(parent), Some(heading), Some(body));
    dialog.set_title(Some(heading));
    dialog.add_responses(&[(NO, "Cancel"), (YES, yes)]);
    dialog.set_close_response(NO);
    dialog.set_response_appearance(
        YES,
        match look {
            Answer::Suggested => adw::ResponseAppearance::Suggested,
            Answer::Destructive => adw::ResponseAppearance::Destructive,
        },
    );
    chosen(&dialog).await
}

/// Answers the questions for secrets, one after the other.
pub(crate) async fn answer(
    application: adw::Application,
    questions: async_channel::Receiver<Question>,
) {
    while let Ok((question, answer)) = questions.recv().await {
        let given = match application.active_window() {
            Some(window) => ask_secret(&window, &question).await,
            None => None,
        };
        // The client may have ended meanwhile.
        let _ = answer.send(given).await;
    }
}

/// Asks for somebody to write to.
pub(crate) fn new_message(window: &Rc<Window>) {
    let window = window.clone();
    glib::spawn_future_local(async move {
        let body = "A name, or a #group. People who are away get the message when they are back.";
        let whom = ask_line::<ConversationId>(window.widget(), "New message", body, "Write").await;
        if let Some(conversation) = whom {
            window.go_to(Some(conversation));
        }
    });
}

/// Asks for the name of a new group.
pub(crate) fn new_group(window: &Rc<Window>) {
    let window = window.clone();
    glib::spawn_future_local(async move {
        let body = "Its name, as your own list shows it. You can invite people afterwards.";
        let name = ask_line::<GroupName>(window.widget(), "New group", body, "Create").await;
        let Some(group) = name else { return };
        let shown = window.live().shown();
        let create = Request::Group { action: GroupAction::Create, name: group.to_string() };
        match window.live().ask(create).await {
            Ok(_) if window.live().shown() == shown => {
                window.go_to(Some(ConversationId::Group(group)));
            }
            outcome => window.conclude(&outcome),
        }
    });
}

/// Shows the keys.
pub(crate) fn keys(window: &Rc<Window>) {
    let list: gtk::ListBox = named("Keys");
    list.set_selection_mode(gtk::SelectionMode::None);
    let add = |keys: &str, text: &str| {
        let row = adw::ActionRow::builder().title(text).build();
        row.add_suffix(&gtk::Label::new(Some(keys)));
        list.append(&row);
    };
    for UserAction { keys, help, .. } in ACTIONS {
        let labels = keys.iter().filter_map(|key| {
            let trigger = gtk::ShortcutTrigger::parse_string(key)?;
            Some(trigger.to_label(&gtk::prelude::WidgetExt::display(window.widget())).to_string())
        });
        add(&labels.collect::<Vec<_>>().join(", "), help);
    }
    add("Enter", "Send; Shift+Enter begins a new line");
    add("Page Up, Page Down", "Scroll the messages");
    add("Ctrl+Home, Ctrl+End", "Go to the first or the last message");
    let scroll = gtk::ScrolledWindow::builder().child(&list).propagate_natural_height(true).build();
    open_window(window, "Keyboard", &scroll).set_default_size(440, 520);
}

/// Opens a window above the client's, which Escape closes.
pub(crate) fn open_window(
    parent: &Window,
    title: &str,
    child: &impl IsA<gtk::Widget>,
) -> adw::Window {
    let all = gtk::Box::new(gtk::Orientation::Vertical, 0);
    all.append(&adw::HeaderBar::new());
    child.set_vexpand(true);
    all.append(child);
    let window = adw::Window::builder()
        .title(title)
        .transient_for(parent.widget())
        .modal(true)
        .content(&all)
        .build();
    let keys = gtk::ShortcutController::new();
    let trigger = gtk::ShortcutTrigger::parse_string("Escape");
    keys.add_shortcut(gtk::Shortcut::new(trigger, Some(gtk::NamedAction::new("window.close"))));
    window.add_controller(keys);
    window.present();
    window
}

/// Returns a column with a margin.
pub(crate) fn column(spacing: i32) -> gtk::Box {
    let column = gtk::Box::new(gtk::Orientation::Vertical, spacing);
    for margin in ["margin-top", "margin-bottom", "margin-start", "margin-end"] {
        column.set_property(margin, 18);
    }
    column
}
