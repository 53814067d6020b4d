//! The field for messages, and the ways by which files come into a conversation.

use std::path::PathBuf;
use std::rc::Rc;

use adw::gdk;
use adw::glib::{self, clone};
use adw::prelude::*;
use letschat_commands::command::Role;
use letschat_core::conversation::ConversationId;
use letschat_core::session::Request;

use super::{Window, part};
use crate::live::Live;

/// The arguments of the command that says something.
const TEXT: &str = "text";
const TO: &str = "to";

/// The field for messages.
pub(crate) struct Composer {
    text: gtk::TextView,
    send: gtk::Button,
    attach: gtk::Button,
}

impl Composer {
    pub(super) fn new(builder: &gtk::Builder) -> Composer {
        Composer {
            text: part(builder, "text"),
            send: part(builder, "send"),
            attach: part(builder, "attach"),
        }
    }

    pub(super) fn connect(&self, window: &Rc<Window>, builder: &gtk::Builder) {
        self.send.connect_clicked(clone!(
            #[weak]
            window,
            move |_| window.composer.submit(&window)
        ));
        self.attach.connect_clicked(clone!(
            #[weak]
            window,
            move |_| window.attach()
        ));
        let keys = gtk::EventControllerKey::new();
        // Before the field's own keys.
        keys.set_propagation_phase(gtk::PropagationPhase::Capture);
        keys.connect_key_pressed(clone!(
            #[weak]
            window,
            #[upgrade_or]
            glib::Propagation::Proceed,
            move |_, key, _, state| window.composer.press(&window, key, state)
        ));
        self.text.add_controller(keys);
        let middle: gtk::Box = part(builder, "middle");
        let drop = gtk::DropTarget::new(gdk::FileList::static_type(), gdk::DragAction::COPY);
        drop.connect_drop(clone!(
            #[weak]
            window,
            #[upgrade_or]
            false,
            move |_, value, _, _| {
                let Ok(files) = value.get::<gdk::FileList>() else { return false };
                let paths = files.files().into_iter().filter_map(|file| file.path()).collect();
                window.composer.send_files(&window, paths)
            }
        ));
        middle.add_controller(drop);
    }

    fn press(
        &self,
        window: &Rc<Window>,
        key: gdk::Key,
        state: gdk::ModifierType,
    ) -> glib::Propagation {
        let is_enter = matches!(key, gdk::Key::Return | gdk::Key::KP_Enter);
        // In a text, these keys go to its beginning and its end.
        let is_empty = self.text.buffer().char_count() == 0;
        let is_controlled = state.contains(gdk::ModifierType::CONTROL_MASK) && is_empty;
        let is_shifted = state.contains(gdk::ModifierType::SHIFT_MASK);
        match key {
            _ if is_enter && !is_shifted => self.submit(window),
            gdk::Key::Home if is_controlled => window.messages.go_to_start(),
            gdk::Key::End if is_controlled => window.messages.go_to_last(),
            gdk::Key::Page_Up => window.messages.page(true),
            gdk::Key::Page_Down => window.messages.page(false),
            _ => return glib::Propagation::Proceed,
        }
        glib::Propagation::Stop
    }

    /// Lets the user write if the shown conversation takes messages.
    pub(super) fn show(&self, live: &Live) {
        let shown = live.shown();
        let takes_files =
            matches!(shown, Some(ConversationId::Person(_) | ConversationId::Group(_)));
        self.attach.set_sensitive(takes_files);
    }

    pub(super) fn focus(&self) {
        self.text.grab_focus();
    }

    /// Sends what is typed, or runs it if it is a command.
    fn submit(&self, window: &Rc<Window>) {
        let buffer = self.text.buffer();
        let (start, end) = buffer.bounds();
        let text = buffer.text(&start, &end, false).to_string();
        if text.trim().is_empty() {
            return;
        }
        if let Some(plugins) = window.live().plugins() {
            plugins.note_typing();
        }
        let live = window.live().clone();
        let shown = live.shown();
        let is_command = text.trim_start().starts_with('/') && !text.trim_start().starts_with("//");
        if is_command {
            buffer.set_text("");
            let line = text.trim().to_owned();
            return window.run(async move { live.run_line(&line).await });
        }
        let Some(shown) = shown else {
            return window.toast("Choose a conversation first, or begin with / for a command.");
        };
        buffer.set_text("");
        // Two slashes begin a text with one.
        let said = match text.trim_start().strip_prefix('/') {
            Some(rest) => rest.to_owned(),
            None => text.trim_end().to_owned(),
        };
        let window = Rc::downgrade(window);
        glib::spawn_future_local(async move {
            let said = live.run_role(Role::Say, [(TO, shown.to_string()), (TEXT, said)]).await;
            let (Some(window), Err(failure)) = (window.upgrade(), said) else { return };
            window.complain(&failure);
            // It was not sent; the user may change it.
            let buffer = window.composer.text.buffer();
            if buffer.char_count() == 0 && live.shown().as_ref() == Some(&shown) {
                buffer.set_text(&text);
            }
        });
    }

    /// Asks for a file, and sends it.
    pub(super) fn choose_file(&self, window: &Rc<Window>) {
        let chooser = gtk::FileChooserNative::new(
            Some("Send a file"),
            Some(window.widget()),
            gtk::FileChooserAction::Open,
            Some("_Send"),
            None,
        );
        let window = Rc::downgrade(window);
        glib::spawn_future_local(async move {
            let response = chooser.run_future().await;
            if let (gtk::ResponseType::Accept, Some(window)) = (response, window.upgrade()) {
                let path = chooser.file().and_then(|file| file.path());
                window.composer.send_files(&window, path.into_iter().collect());
            }
        });
    }

    /// Sends files in the shown conversation. Returns false if it takes none.
    fn send_files(&self, window: &Rc<Window>, paths: Vec<PathBuf>) -> bool {
        let Some(to @ (ConversationId::Person(_) | ConversationId::Group(_))) =
            window.live().shown()
        else {
            window.toast("Files go to a person or a group; choose one first.");
            return false;
        };
        for path in paths {
            let (live, to) = (window.live().clone(), to.to_string());
            window.run(async move { live.ask(Request::SendFile { to, path }).await });
        }
        true
    }
}

/// Saves an offered file: into the usual folder, where the desktop shows it.
pub(crate) fn save_file(window: &Rc<Window>, id: String) {
    let live = window.live().clone();
    window.run(async move { live.ask(Request::GetFile { id, path: None }).await });
}
