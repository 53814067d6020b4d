//! The members of a group: who is in it, and, for its owner, invitations and removals.

use std::rc::Rc;

use adw::glib::{self, clone};
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
            Ok(Reply::Group(shown)) => show(&window, &group, &shown),
            outcome => window.conclude(&outcome),
        }
    });
}

fn show(window: &Rc<Window>, group: &GroupName, shown: &Group) {
    let all = column(12);
    let dialog = open_window(window, &format!("Members of {}", shown.group), &all);
    dialog.set_default_size(440, 440);
    let me = window.live().read(|view| view.session.username.clone());
    let is_owner = me.as_ref().is_some_and(|me| me.as_str() == shown.owner);
    let list: gtk::ListBox = named("Members");
    list.set_selection_mode(gtk::SelectionMode::None);
    list.add_css_class("boxed-list");
    for member in &shown.members {
        let row = adw::ActionRow::builder().title(&member.name).build();
        let state = if member.name == shown.owner { "owner" } else { member.state };
        row.set_subtitle(state);
        let is_me = me.as_ref().is_some_and(|me| me.as_str() == member.name);
        if let (Ok(who), false) = (member.name.parse::<Username>(), is_me) {
            let verify = small_button("Verify");
            verify.connect_clicked(clone!(
                #[weak]
                window,
                #[strong]
                who,
                move |_| verify::open(&window, who.clone())
            ));
            row.add_suffix(&verify);
            if is_owner {
                let remove = small_button("Remove");
                change(&remove, window, &dialog, group, GroupAction::Remove(who));
                row.add_suffix(&remove);
            }
        }
        list.append(&row);
    }
    let buttons = gtk::Box::new(gtk::Orientation::Horizontal, 8);
    buttons.set_halign(gtk::Align::End);
    if is_owner {
        let invite = gtk::Button::builder().label("Invite…").build();
        invite.add_css_class("suggested-action");
        invite.connect_clicked(clone!(
            #[weak]
            window,
            #[weak]
            dialog,
            #[strong]
            group,
            move |_| ask_whom(&window, &dialog, group.clone())
        ));
        buttons.append(&invite);
    }
    let leave = gtk::Button::builder().label("Leave the group").build();
    leave.connect_clicked(clone!(
        #[weak]
        window,
        #[weak]
        dialog,
        #[strong]
        group,
        move |_| {
            let group = group.clone();
            glib::spawn_future_local(async move {
                let body = "You get no more of its messages, and have to be invited to come back.";
                let heading = format!("Leave {group}?");
                if ask(&dialog, &heading, body, "Leave", Answer::Destructive).await {
                    let leave =
                        Request::Group { action: GroupAction::Leave, name: group.to_string() };
                    window.conclude(&window.live().ask(leave).await);
                    dialog.close();
                }
            });
        }
    ));
    buttons.append(&leave);
    let scroll = gtk::ScrolledWindow::builder().child(&list).vexpand(true).build();
    all.append(&scroll);
    all.append(&buttons);
}

fn small_button(label: &str) -> gtk::Button {
    gtk::Button::builder().label(label).valign(gtk::Align::Center).css_classes(["flat"]).build()
}

/// Lets a button change the group, and show it again.
fn change(
    button: &gtk::Button,
    window: &Rc<Window>,
    dialog: &adw::Window,
    group: &GroupName,
    action: GroupAction,
) {
    button.connect_clicked(clone!(
        #[weak]
        window,
        #[weak]
        dialog,
        #[strong]
        group,
        move |_| {
            let (action, group) = (action.clone(), group.clone());
            glib::spawn_future_local(async move { act(&window, &dialog, group, action).await });
        }
    ));
}

async fn act(window: &Rc<Window>, dialog: &adw::Window, group: GroupName, action: GroupAction) {
    let request = Request::Group { action, name: group.to_string() };
    let outcome = window.live().ask(request).await;
    window.conclude(&outcome);
    dialog.close();
    if outcome.is_ok() {
        open(window, group);
    }
}

fn ask_whom(window: &Rc<Window>, dialog: &adw::Window, group: GroupName) {
    let (window, dialog) = (window.clone(), dialog.clone());
    glib::spawn_future_local(async move {
        let body = format!("The name of somebody who is to join {group}.");
        let Some(name) = ask_line(&dialog, "Invite", &body, "Invite").await else { return };
        match name.parse() {
            Ok(who) => act(&window, &dialog, group, GroupAction::Invite(who)).await,
            Err(error) => window.toast(&format!("{name} is no name: {error}.")),
        }
    });
}
