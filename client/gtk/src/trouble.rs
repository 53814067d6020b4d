//! The dialog that says why the program can't go on.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use adw::gio::ApplicationFlags;
use adw::glib;
use adw::prelude::*;
use letschat_flags::output;

use crate::app::ID;

/// The status of wrong usage.
const WRONG_USAGE: u8 = 2;

/// Says why the program can't start: on standard error, and in a dialog if nobody reads that.
pub(crate) fn refuse(why: &str) -> ExitCode {
    output::complain("letschat-gtk", why);
    if !io::stderr().is_terminal() {
        let application = adw::Application::new(Some(ID), ApplicationFlags::NON_UNIQUE);
        let why = why.to_owned();
        application.connect_activate(move |application| show(application, &why));
        application.run_with_args::<&str>(&[]);
    }
    ExitCode::from(WRONG_USAGE)
}

/// Says why the program can't go on, and ends it.
pub(crate) fn show(application: &adw::Application, why: &str) {
    let parent = application.active_window();
    let heading = "Let's Chat can't go on";
    let dialog = adw::MessageDialog::new(parent.as_ref(), Some(heading), Some(why));
    dialog.set_title(Some(heading));
    dialog.add_responses(&[("close", "Close")]);
    dialog.set_application(Some(application));
    dialog.connect_response(
        None,
        glib::clone!(
            #[strong]
            application,
            move |_, _| application.quit()
        ),
    );
    dialog.present();
}
