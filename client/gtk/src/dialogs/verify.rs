//! The safety number with a person, to compare, and a changed key, to accept.

use std::rc::Rc;

use adw::glib::{self, clone};
use adw::prelude::*;
use letschat_core::event::KeyState;
use letschat_core::session::{Reply, Request};
use letschat_protocol::username::Username;

use super::{column, open_window};
use crate::window::Window;

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
        let key = window.live().read(|view| view.keys.get(&who).copied());
        show(&window, &who, &safety_number, &fingerprint, key, verified);
    });
}

fn show(
    window: &Rc<Window>,
    who: &Username,
    number: &str,
    fingerprint: &str,
    key: Option<KeyState>,
    is_verified: bool,
) {
    let all = column(12);
    let dialog = open_window(window, &format!("Safety number with {who}"), &all);
    dialog.set_default_size(480, -1);
    let text = |text: &str| gtk::Label::builder().label(text).wrap(true).xalign(0.0).build();
    all.append(&text(&format!(
        "Compare these sixty digits with {who}: by telephone, or side by side. If both of you have the same, \
         nobody is in between."
    )));
    let groups: Vec<&str> = number.split_whitespace().collect();
    let rows: Vec<String> = groups.chunks(GROUPS_IN_A_ROW).map(|row| row.join(" ")).collect();
    let digits = gtk::Label::builder().label(rows.join("\n")).selectable(true).build();
    digits.add_css_class("digits");
    all.append(&digits);
    let fingerprint = text(&format!("Key of {who}: {fingerprint}"));
    fingerprint.set_selectable(true);
    fingerprint.set_wrap_mode(gtk::pango::WrapMode::Char);
    fingerprint.add_css_class("caption");
    all.append(&fingerprint);
    let buttons = gtk::Box::new(gtk::Orientation::Horizontal, 8);
    buttons.set_halign(gtk::Align::End);
    let run = |button: &gtk::Button, request: Request| {
        button.connect_clicked(clone!(
            #[weak]
            window,
            #[weak]
            dialog,
            move |_| {
                let (live, request) = (window.live().clone(), request.clone());
                window.run(async move { live.ask(request).await });
                dialog.close();
            }
        ));
    };
    if key == Some(KeyState::Changed) {
        all.append(&text(&format!(
            "{who}'s key is not the one you know: it may be a new machine of theirs, or somebody else. Ask them by \
             another way before you accept it."
        )));
        let trust = gtk::Button::builder().label("Accept the new key").build();
        trust.add_css_class("destructive-action");
        run(&trust, Request::Trust(who.to_string()));
        buttons.append(&trust);
    } else if is_verified {
        all.append(&text("You have compared it: they are verified."));
    } else {
        let matches = gtk::Button::builder().label("They match").build();
        matches.add_css_class("suggested-action");
        run(&matches, Request::Verify { who: who.to_string(), matches: true });
        buttons.append(&matches);
    }
    all.append(&buttons);
}
