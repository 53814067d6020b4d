//! The members of a group: who is in it, and, for its owner, invitations and removals.

use std::rc::{Rc, Weak};

use adw::glib;
use adw::prelude::*;
use letschat_core::session::{Group, GroupAction, Reply, Request};
use letschat_protocol::groups::GroupName;
use letschat_protocol::username::Username;

use super::{Answer, ask, ask_line, column, open_window, verify};
use crate::accessible::named;
use crate::window::Window;

/// Opens the dialog.
pub(crate) fn open(window: &Rc<Window>, group: GroupName) {
    let window = window.clone();
    glib::spawn_future_local(async move {
        let members = Request::Group { action: GroupAction::Members, name: group.to_string() };
        match window.live().ask(members).await {
            Ok(Reply::Group(shown)) => show(&window, group, &shown),
            outcome => window.conclude(&outcome),
        }
    });
}

fn show(window: &Rc<Window>, group: GroupName, shown: &Group) {
    let all = column(12);
    let dialog = open_window(window, &format!("Members of {}", shown.group), &all);
    dialog.set_default_size(440, 440);
    let me = window.live().read(|view| view.session.username.clone());
    let is_owner = me.as_ref().is_some_and(|me| me.as_str() == shown.owner);
    let members = Members { window: Rc::downgrade(window), dialog: dialog.downgrade(), group };
    let scroll = gtk::ScrolledWindow::builder().child(&members.list(shown, me.as_ref(), is_owner));
    all.append(&scroll.vexpand(true).build());
    all.append(&members.buttons(is_owner, shown.members.len() > 1));
}

/// The parts of the dialog that its buttons need.
#[derive(Clone)]
struct Members {
    window: Weak<Window>,
    dialog: glib::WeakRef<adw::Window>,
    group: GroupName,
}

/// The same while a button does something.
struct Open {
    window: Rc<Window>,
    dialog: adw::Window,
    group: GroupName,
}

impl Members {
    fn list(&self, shown: &Group, me: Option<&Username>, is_owner: bool) -> gtk::ListBox {
        let list: gtk::ListBox = named("Members");
        list.set_selection_mode(gtk::SelectionMode::None);
        list.add_css_class("boxed-list");
        for member in &shown.members {
            let row = adw::ActionRow::builder().title(&member.name).build();
            let state = if member.name == shown.owner { "owner" } else { member.state };
            row.set_subtitle(state);
            let is_me = me.is_some_and(|me| me.as_str() == member.name);
            if let (Ok(who), false) = (member.name.parse::<Username>(), is_me) {
                self.add_buttons(&row, &who, is_owner);
            }
            list.append(&row);
        }
        list
    }

    /// Adds the buttons for a member.
    fn add_buttons(&self, row: &adw::ActionRow, who: &Username, is_owner: bool) {
        let verified = who.clone();
        row.add_suffix(&self.button("Verify", "flat", move |open| {
            let who = verified.clone();
            async move { verify::open(&open.window, who) }
        }));
        if is_owner {
            let removed = who.clone();
            row.add_suffix(&self.button("Remove", "flat", move |open| {
                let who = removed.clone();
                async move { open.remove(who).await }
            }));
        }
    }

    /// Returns the buttons for the group.
    fn buttons(&self, is_owner: bool, has_others: bool) -> gtk::Box {
        let buttons = gtk::Box::new(gtk::Orientation::Horizontal, 8);
        buttons.set_halign(gtk::Align::End);
        if is_owner {
            buttons.append(&self.button("Invite…", "suggested-action", Open::invite));
        }
        // An owner has to give the group to another member first.
        match is_owner && has_others {
            true => buttons.append(&self.button("Give the group to…", "text-button", Open::give)),
            false => buttons.append(&self.button("Leave the group", "text-button", Open::leave)),
        }
        buttons
    }

    fn button<F: Future<Output = ()> + 'static>(
        &self,
        label: &str,
        class: &str,
        act: impl Fn(Open) -> F + 'static,
    ) -> gtk::Button {
        let button = gtk::Button::builder().label(label).valign(gtk::Align::Center).build();
        button.add_css_class(class);
        let members = self.clone();
        button.connect_clicked(move |_| {
            let (window, dialog) = (members.window.upgrade(), members.dialog.upgrade());
            if let (Some(window), Some(dialog)) = (window, dialog) {
                glib::spawn_future_local(act(Open {
                    window,
                    dialog,
                    group: members.group.clone(),
                }));
            }
        });
        button
    }
}

impl Open {
    /// Changes the group, and shows it again.
    async fn change(self, action: GroupAction) {
        let request = Request::Group { action, name: self.group.to_string() };
        let outcome = self.window.live().ask(request).await;
        self.window.conclude(&outcome);
        self.dialog.close();
        if outcome.is_ok() {
            open(&self.window, self.group);
        }
    }

    async fn remove(self, who: Username) {
        let body = "They get no more of its messages. Only you can invite them again.";
        let heading = format!("Remove {who} from {}?", self.group);
        if ask(&self.dialog, &heading, body, "Remove", Answer::Destructive).await {
            self.change(GroupAction::Remove(who)).await;
        }
    }

    async fn invite(self) {
        let body = format!("The name of somebody who is to join {}.", self.group);
        let who = ask_line(&self.dialog, "Invite", &body, "Invite").await;
        if let Some(who) = who {
            self.change(GroupAction::Invite(who)).await;
        }
    }

    async fn give(self) {
        let body = format!("The name of the member who is to own {} from now on.", self.group);
        let who = ask_line(&self.dialog, "Give the group", &body, "Give").await;
        if let Some(who) = who {
            self.change(GroupAction::Give(who)).await;
        }
    }

    async fn leave(self) {
        let body = "You get no more of its messages, and have to be invited to come back.";
        let heading = format!("Leave {}?", self.group);
        if ask(&self.dialog, &heading, body, "Leave", Answer::Destructive).await {
            let name = self.group.to_string();
            let leave = Request::Group { action: GroupAction::Leave, name };
            self.window.conclude(&self.window.live().ask(leave).await);
            self.dialog.close();
        }
    }
}
