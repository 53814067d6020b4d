//! The field for messages, and the ways by which files come into a conversation.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use adw::gdk;
use adw::glib::{self, clone};
use adw::prelude::*;
use letschat_commands::command::Role;
use letschat_core::conversation::ConversationId;
use letschat_core::session::Request;

use super::messages::printable_lines;
use super::{Window, part};
use crate::dialogs::{Answer, ask};
use crate::live::Live;

/// The arguments of the command that says something.
const TEXT: &str = "text";
const TO: &str = "to";

/// The field for messages. What is begun in a conversation stays there.
pub(crate) struct Composer {
    text: gtk::TextView,
    send: gtk::Button,
    attach: gtk::Button,
    drafts: RefCell<BTreeMap<Option<ConversationId>, String>>,
    /// The conversation of the text in the field.
    current: RefCell<Option<ConversationId>>,
}

impl Composer {
    pub(super) fn new(builder: &gtk::Builder) -> Composer {
        Composer {
            text: part(builder, "text"),
            send: part(builder, "send"),
            attach: part(builder, "attach"),
            drafts: RefCell::default(),
            current: RefCell::default(),
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
            move |keys, key, _, state| {
                let composer = &window.composer;
                // An input method may need the key, such as Enter for a word that is chosen.
                let is_filtered = keys
                    .current_event()
                    .is_some_and(|event| composer.text.im_context_filter_keypress(&event));
                match is_filtered {
                    true => glib::Propagation::Stop,
                    false => composer.press(&window, key, state),
                }
            }
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
                window.composer.ask_to_send(&window, paths)
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
        // If the field has text, Ctrl+Home and Ctrl+End move its cursor.
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

    /// Brings what was begun in the shown conversation, if that is another one than before.
    pub(super) fn show(&self, live: &Live) {
        let shown = live.shown();
        let takes_files =
            matches!(shown, Some(ConversationId::Person(_) | ConversationId::Group(_)));
        self.attach.set_sensitive(takes_files);
        if *self.current.borrow() == shown {
            return;
        }
        let before = self.current.replace(shown.clone());
        let left = self.typed();
        let draft = {
            let mut drafts = self.drafts.borrow_mut();
            if left.is_empty() {
                drafts.remove(&before)
            } else {
                drafts.insert(before, left)
            };
            drafts.remove(&shown).unwrap_or_default()
        };
        self.text.buffer().set_text(&draft);
    }

    /// Forgets what was begun, since another account is open.
    pub(super) fn forget(&self) {
        self.text.buffer().set_text("");
        self.drafts.borrow_mut().clear();
    }

    fn typed(&self) -> String {
        let buffer = self.text.buffer();
        let (start, end) = buffer.bounds();
        buffer.text(&start, &end, false).to_string()
    }

    /// Brings back a text that was not sent, before what was begun there meanwhile.
    fn bring_back(&self, conversation: Option<ConversationId>, text: String) {
        let before = |begun: &str| match begun {
            "" => text.clone(),
            begun => format!("{text}\n{begun}"),
        };
        if *self.current.borrow() == conversation {
            self.text.buffer().set_text(&before(&self.typed()));
        } else {
            let mut drafts = self.drafts.borrow_mut();
            let draft = drafts.entry(conversation).or_default();
            *draft = before(draft);
        }
    }

    pub(super) fn focus(&self) {
        self.text.grab_focus();
    }

    /// Sends what is typed, or runs it if it is a command.
    fn submit(&self, window: &Rc<Window>) {
        let (buffer, text) = (self.text.buffer(), self.typed());
        if text.trim().is_empty() {
            return;
        }
        if let Some(plugins) = window.live().plugins() {
            plugins.note_typing();
        }
        let live = window.live().clone();
        let shown = live.shown();
        let account = live.account();
        let is_command = text.trim_start().starts_with('/') && !text.trim_start().starts_with("//");
        if is_command {
            buffer.set_text("");
            let line = text.trim().to_owned();
            let window = window.clone();
            glib::spawn_future_local(async move {
                let outcome = live.run_line(&line, shown.clone()).await;
                if outcome.is_err() && live.account() == account {
                    window.composer.bring_back(shown, text);
                }
                window.conclude(&outcome);
                window.go_where_asked();
            });
            return;
        }
        let Some(shown) = shown else {
            return window.toast("Choose a conversation first, or begin with / for a command.");
        };
        buffer.set_text("");
        window.messages.go_to_last();
        // Two slashes begin a text with one.
        let said = match text.trim_start().strip_prefix('/') {
            Some(rest) => rest.to_owned(),
            None => text.trim_end().to_owned(),
        };
        let window = Rc::downgrade(window);
        glib::spawn_future_local(async move {
            let said = live.run_role(Role::Say, [(TO, shown.to_string()), (TEXT, said)]).await;
            let (Some(window), Err(failure)) = (window.upgrade(), said) else { return };
            if live.account() != account {
                return window.complain(None, &failure);
            }
            window.complain(Some(shown.clone()), &failure);
            window.composer.bring_back(Some(shown), text);
        });
    }

    /// Asks for a file, and sends it to the conversation that is shown now.
    pub(super) fn choose_file(&self, window: &Rc<Window>) {
        let Some(to) = takes_files(window) else { return };
        let chooser = gtk::FileChooserNative::new(
            Some(&format!("Send a file to {to}")),
            Some(window.widget()),
            gtk::FileChooserAction::Open,
            Some("_Send"),
            None,
        );
        chooser.set_modal(true);
        let window = window.clone();
        glib::spawn_future_local(async move {
            let account = window.live().account();
            if chooser.run_future().await == gtk::ResponseType::Accept
                && window.live().account() == account
            {
                let path = chooser.file().and_then(|file| file.path());
                send_files(&window, &to, path.into_iter().collect());
            }
        });
    }

    /// Asks whether to send files that were dropped: another program has chosen them. Returns false if none is sent.
    fn ask_to_send(&self, window: &Rc<Window>, paths: Vec<PathBuf>) -> bool {
        let Some(to) = takes_files(window).filter(|_| !paths.is_empty()) else { return false };
        let window = window.clone();
        glib::spawn_future_local(async move {
            let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            let names = printable_lines(&names.join("\n"));
            if ask(window.widget(), &format!("Send to {to}?"), &names, "Send", Answer::Suggested)
                .await
            {
                send_files(&window, &to, paths);
            }
        });
        true
    }
}

/// Returns the conversation that is shown, if it takes files. Otherwise the user is told.
fn takes_files(window: &Window) -> Option<ConversationId> {
    let shown = window.live().shown();
    let takes = matches!(shown, Some(ConversationId::Person(_) | ConversationId::Group(_)));
    if !takes {
        window.toast("Files go to a person or a group; choose one first.");
    }
    shown.filter(|_| takes)
}

fn send_files(window: &Rc<Window>, to: &ConversationId, paths: Vec<PathBuf>) {
    for path in paths {
        let (live, to) = (window.live().clone(), to.to_string());
        window.run(async move { live.ask(Request::SendFile { to, path }).await });
    }
}

/// Saves an offered file: into the usual folder, where the desktop shows it.
pub(crate) fn save_file(window: &Rc<Window>, id: String) {
    let live = window.live().clone();
    window.composer.focus();
    window.run(async move { live.ask(Request::GetFile { id, path: None }).await });
}
