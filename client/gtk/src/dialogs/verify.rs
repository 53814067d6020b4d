//! The safety number with a person, to compare, and a changed key, to accept.

use std::rc::Rc;

use adw::glib::{self, clone};
use adw::prelude::*;
use letschat_core::event::KeyState;
use letschat_core::session::{Reply, Request};
use letschat_protocol::username::Username;

use super::{column, open_window};
use crate::window::Window;
use crate::window::messages::without_hyphens;

/// The groups of digits in a row.
const GROUPS_IN_A_ROW: usize = 4;

/// Opens the dialog.
pub(crate) fn open(window: &Rc<Window>, who: Username) {
    let window = window.clone();
    glib::spawn_future_local(async move {
        let compare = Request::Verify { who: who.to_string(), matches: false };
        let outcome = window.live().ask(compare).await;
        let Ok(Reply::Safety { safety_number, fingerprint, verified, .. }) = outcome else {
            return window.conclude(&outcome);
        };
        let (key, offered) = window.live().read(|view| {
            let offered = view.requests.get(&who).map(|request| request.fingerprint.clone());
            (view.keys.get(&who).copied(), offered)
        });
        let is_offered = offered.as_ref().is_some_and(|offered| *offered != fingerprint);
        if key == Some(KeyState::Changed) || is_offered {
            // The safety number is that of the known key, which is not the one to decide about.
            return show_changed(&window, &who, &fingerprint, offered.as_deref());
        }
        show(&window, &who, &safety_number, &fingerprint, verified);
    });
}

fn show(window: &Rc<Window>, who: &Username, number: &str, fingerprint: &str, is_verified: bool) {
    let all = column(12);
    let dialog = open_window(window, &format!("Safety number with {who}"), &all);
    dialog.set_default_size(480, -1);
    all.append(&paragraph(&format!(
        "Compare these sixty digits with {who}: by telephone, or side by side. If both of you have the same, \
         nobody is in between."
    )));
    let groups: Vec<&str> = number.split_whitespace().collect();
    let rows: Vec<String> = groups.chunks(GROUPS_IN_A_ROW).map(|row| row.join(" ")).collect();
    let digits = gtk::Label::builder().label(rows.join("\n")).selectable(true).build();
    digits.add_css_class("digits");
    all.append(&digits);
    let fingerprint = paragraph(&format!("Key of {who}: {fingerprint}"));
    fingerprint.set_selectable(true);
    fingerprint.set_wrap_mode(gtk::pango::WrapMode::Char);
    fingerprint.set_attributes(Some(&without_hyphens()));
    fingerprint.add_css_class("caption");
    all.append(&fingerprint);
    let buttons = gtk::Box::new(gtk::Orientation::Horizontal, 8);
    buttons.set_halign(gtk::Align::End);
    if is_verified {
        all.append(&paragraph("You have compared it: they are verified."));
    } else {
        let matches = gtk::Button::builder().label("They match").build();
        matches.add_css_class("suggested-action");
        let request = Request::Verify { who: who.to_string(), matches: true };
        runs(&matches, window, &dialog, request, format!("{who} is verified."));
        buttons.append(&matches);
    }
    all.append(&buttons);
}

/// Shows the known and the offered key of somebody whose key has changed.
fn show_changed(window: &Rc<Window>, who: &Username, known: &str, offered: Option<&str>) {
    let all = column(12);
    let dialog = open_window(window, &format!("The key of {who} has changed"), &all);
    dialog.set_default_size(480, -1);
    all.append(&paragraph(&format!(
        "It may be a new machine of theirs, or somebody else. Ask {who} by another way for their key: their client shows \
         it in its status. Accept the new key only if it is the same."
    )));
    for (name, key) in [("The key that you know", Some(known)), ("The new key", offered)] {
        let key = key.unwrap_or("it is shown when they write or call again");
        let text = paragraph(&format!("{name}: {key}"));
        text.set_selectable(true);
        text.set_wrap_mode(gtk::pango::WrapMode::Char);
        text.set_attributes(Some(&without_hyphens()));
        all.append(&text);
    }
    let trust = gtk::Button::builder().label("Accept the new key").halign(gtk::Align::End).build();
    trust.add_css_class("destructive-action");
    trust.connect_clicked(clone!(
        #[weak]
        window,
        #[weak]
        dialog,
        #[strong]
        who,
        move |_| {
            let who = who.clone();
            glib::spawn_future_local(async move {
                let outcome = window.live().ask(Request::Trust(who.to_string())).await;
                if outcome.is_ok() {
                    window.live().note_trusted(who);
                    window.refresh_requests();
                }
                window.conclude(&outcome);
                dialog.close();
            });
        }
    ));
    all.append(&trust);
}

fn paragraph(text: &str) -> gtk::Label {
    gtk::Label::builder().label(text).wrap(true).xalign(0.0).build()
}

/// Lets a button run a request and close the dialog. `said` tells the user that it is done.
fn runs(
    button: &gtk::Button,
    window: &Rc<Window>,
    dialog: &adw::Window,
    request: Request,
    said: String,
) {
    button.connect_clicked(clone!(
        #[weak]
        window,
        #[weak]
        dialog,
        move |_| {
            let (window, request) = (window.clone(), request.clone());
            let said = said.clone();
            glib::spawn_future_local(async move {
                match window.live().ask(request).await {
                    Ok(_) => window.toast(&said),
                    outcome => window.conclude(&outcome),
                }
            });
            dialog.close();
        }
    ));
}
