//! The requests of other people, as banners with buttons.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::rc::{Rc, Weak};

use adw::prelude::*;
use letschat_commands::command::Role;
use letschat_commands::{render, text};
use letschat_core::event::{KeyState, RequestKind};
use letschat_core::view::OpenRequest;
use letschat_protocol::printable::Printable;
use letschat_protocol::username::Username;

use super::{Window, part};
use crate::dialogs;
use crate::live::Live;

/// The argument of the commands that answer a request, and that ask for a chat.
const WHO: &str = "who";

/// A request that waits for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Request {
    /// For a chat, or to show messages.
    OfPerson(OpenRequest),
    /// To join a group: by whom, and the fingerprint and the state of their key, if this run was told.
    ToGroup(Option<(Username, String, KeyState)>),
}

/// The banners of requests, by the name that answers them: that of a person, or of a group.
pub(crate) struct Requests {
    scroll: gtk::ScrolledWindow,
    banners: gtk::Box,
    shown: RefCell<BTreeMap<String, (Request, gtk::Box)>>,
    window: RefCell<Weak<Window>>,
}

impl Requests {
    pub(super) fn new(builder: &gtk::Builder) -> Requests {
        Requests {
            scroll: part(builder, "requests_scroll"),
            banners: part(builder, "requests"),
            shown: RefCell::default(),
            window: RefCell::default(),
        }
    }

    pub(super) fn connect(&self, window: &Rc<Window>) {
        self.window.replace(Rc::downgrade(window));
    }

    /// Shows the open requests.
    pub(super) fn refresh(&self, live: &Live) {
        let open: BTreeMap<String, Request> = live.read(|view| {
            let people = view.requests.iter();
            let people = people.map(|(who, one)| {
                let key = if live.is_trusted(who) { KeyState::Known } else { one.key };
                (who.to_string(), Request::OfPerson(OpenRequest { key, ..one.clone() }))
            });
            let groups = view
                .invitations
                .iter()
                .map(|group| (group.to_string(), Request::ToGroup(live.invited_by(group))));
            people.chain(groups).collect()
        });
        let mut shown = self.shown.borrow_mut();
        shown.retain(|who, (request, banner)| {
            let is_open = open.get(who) == Some(request);
            if !is_open {
                self.banners.remove(banner);
            }
            is_open
        });
        for (who, request) in open {
            if let Slot::Vacant(slot) = shown.entry(who) {
                let banner = self.banner(slot.key(), &request);
                self.banners.append(&banner);
                slot.insert((request, banner));
            }
        }
        self.scroll.set_visible(!shown.is_empty());
    }

    fn banner(&self, who: &str, request: &Request) -> gtk::Box {
        let banner = gtk::Box::new(gtk::Orientation::Horizontal, 8);
        banner.add_css_class("request");
        let label = gtk::Label::builder()
            .label(sentence(who, request))
            .xalign(0.0)
            .wrap(true)
            .wrap_mode(gtk::pango::WrapMode::WordChar)
            .hexpand(true)
            .build();
        banner.append(&label);
        let changed = match request {
            Request::OfPerson(OpenRequest { key: KeyState::Changed, .. }) => who.parse().ok(),
            _ => None,
        };
        match changed {
            Some(who) => {
                banner.add_css_class("changed");
                banner.append(&self.compare(who));
            }
            None => banner.append(&self.answer("Approve", "suggested-action", Role::Approve, who)),
        }
        banner.append(&self.answer("Deny", "flat", Role::Deny, who));
        banner
    }

    /// Returns a button that answers a request.
    fn answer(&self, name: &str, class: &str, role: Role, who: &str) -> gtk::Button {
        let button = gtk::Button::builder().label(name).valign(gtk::Align::Center).build();
        button.add_css_class(class);
        let (window, who) = (self.window.borrow().clone(), who.to_owned());
        button.connect_clicked(move |_| {
            let Some(window) = window.upgrade() else { return };
            let (live, name) = (window.live().clone(), who.clone());
            // The user goes on there. The button has the focus, and will be gone.
            match who.parse() {
                Ok(conversation) if role == Role::Approve => window.go_to(Some(conversation)),
                _ => window.composer.focus(),
            }
            window.run(async move { live.run_role(role, [(WHO, name)]).await });
        });
        button
    }

    /// Returns a button that shows the key of somebody whose key has changed.
    fn compare(&self, who: Username) -> gtk::Button {
        let button = gtk::Button::builder().label("Compare keys").build();
        button.set_valign(gtk::Align::Center);
        let window = self.window.borrow().clone();
        button.connect_clicked(move |_| {
            if let Some(window) = window.upgrade() {
                dialogs::verify::open(&window, who.clone());
            }
        });
        button
    }

    /// Ends the chat with somebody.
    pub(super) fn end_chat(&self, window: &Rc<Window>, who: Username) {
        let (live, who) = (window.live().clone(), who.to_string());
        window.run(async move { live.run_role(Role::EndChat, [(WHO, who)]).await });
    }

    /// Asks somebody for a chat.
    pub(super) fn connect_to(&self, window: &Rc<Window>, who: Username) {
        window.toast(&format!("Asking {who} for a direct chat…"));
        let (live, who) = (window.live().clone(), who.to_string());
        window.run(async move { live.run_role(Role::Connect, [(WHO, who)]).await });
    }
}

/// Says what is asked for, and by whose key.
fn sentence(who: &str, request: &Request) -> String {
    let request = match request {
        Request::OfPerson(request) => request,
        Request::ToGroup(None) => return format!("You are invited to the group {who}."),
        Request::ToGroup(Some((by, fingerprint, key))) => {
            let (key, digits) = (render::key_state(*key), text::short_key(fingerprint));
            return format!("{by} invites you to the group {who}. Key {digits}, {key}.");
        }
    };
    let OpenRequest { kind, address, fingerprint, key, .. } = request;
    let address = address.as_deref().map(|at| format!(" at {}", Printable(at)));
    let wish = match kind {
        RequestKind::Chat => "asks for a chat",
        RequestKind::Message => "has written to you",
        RequestKind::Group => "invites you to a group",
    };
    let (key, digits) = (render::key_state(*key), text::short_key(fingerprint));
    format!("{who}{} {wish}. Key {digits}, {key}.", address.unwrap_or_default())
}
