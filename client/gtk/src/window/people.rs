//! The list of the people who are here, with the states of their keys.

use std::cell::RefCell;
use std::rc::Rc;

use adw::gio;
use adw::glib::{self, BoxedAnyObject, clone};
use adw::prelude::*;
use letschat_commands::render;
use letschat_core::conversation::ConversationId;
use letschat_core::event::KeyState;
use letschat_protocol::username::Username;

use super::messages::person_class;
use super::{Window, part};
use crate::live::Live;

/// A row of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Person {
    name: Username,
    key: KeyState,
    is_me: bool,
}

/// The list of people.
pub(crate) struct People {
    list: gtk::ListView,
    heading: gtk::Label,
    button: gtk::ToggleButton,
    model: gio::ListStore,
    shown: RefCell<Vec<Person>>,
}

impl People {
    pub(super) fn new(builder: &gtk::Builder) -> People {
        let list: gtk::ListView = part(builder, "people");
        let model = gio::ListStore::new::<BoxedAnyObject>();
        list.set_model(Some(&gtk::NoSelection::new(Some(model.clone()))));
        list.set_factory(Some(&factory()));
        let (heading, button) = (part(builder, "people_heading"), part(builder, "people_button"));
        People { list, heading, button, model, shown: RefCell::default() }
    }

    pub(super) fn connect(&self, window: &Rc<Window>) {
        self.list.connect_activate(clone!(
            #[weak]
            window,
            move |list, place| {
                let item = list.model().and_then(|model| model.item(place));
                let item = item.and_downcast::<BoxedAnyObject>();
                if let Some(person) = item.map(|item| item.borrow::<Person>().clone())
                    && !person.is_me
                {
                    window.show(Some(ConversationId::Person(person.name)));
                    window.composer.focus();
                }
            }
        ));
    }

    pub(super) fn toggle(&self) {
        self.button.set_active(!self.button.is_active());
    }

    pub(super) fn refresh(&self, live: &Live) {
        let people: Vec<Person> = live.read(|view| {
            let me = view.session.username.as_ref();
            let person = |name: &Username| Person {
                name: name.clone(),
                key: view.keys.get(name).copied().unwrap_or(KeyState::New),
                is_me: Some(name) == me,
            };
            view.people.iter().map(person).collect()
        });
        if *self.shown.borrow() == people {
            return;
        }
        self.heading.set_label(&format!("{} here", people.len()));
        let items: Vec<BoxedAnyObject> = people.iter().cloned().map(BoxedAnyObject::new).collect();
        self.model.splice(0, self.model.n_items(), &items);
        self.shown.replace(people);
    }
}

fn factory() -> gtk::SignalListItemFactory {
    let factory = gtk::SignalListItemFactory::new();
    factory.connect_setup(|_, item| {
        let Some(item) = item.downcast_ref::<gtk::ListItem>() else { return };
        let (name, key) = (gtk::Label::new(None), gtk::Label::new(None));
        name.set_xalign(0.0);
        name.set_hexpand(true);
        name.set_ellipsize(gtk::pango::EllipsizeMode::End);
        key.add_css_class("caption");
        let all = gtk::Box::new(gtk::Orientation::Horizontal, 6);
        all.append(&name);
        all.append(&key);
        item.set_child(Some(&all));
    });
    factory.connect_bind(|_, item| {
        let Some(item) = item.downcast_ref::<gtk::ListItem>() else { return };
        let labels = item.child().and_then(|all| {
            let name = all.first_child().and_downcast::<gtk::Label>()?;
            Some((name.clone(), name.next_sibling().and_downcast::<gtk::Label>()?))
        });
        let person = item.item().and_downcast::<BoxedAnyObject>();
        if let (Some((name, key)), Some(person)) = (labels, person) {
            let person = person.borrow::<Person>();
            name.set_label(person.name.as_str());
            name.set_css_classes(&[&person_class(&person.name)]);
            let (text, class) = match person.key {
                _ if person.is_me => ("you", "dim-label"),
                KeyState::Verified => ("verified", "key-verified"),
                KeyState::Changed => ("key changed", "key-changed"),
                KeyState::New => ("new", "dim-label"),
                KeyState::Known => ("", "dim-label"),
            };
            key.set_label(text);
            key.set_css_classes(&["caption", class]);
            let tip = (!person.is_me).then(|| format!("Key: {}", render::key_state(person.key)));
            name.set_tooltip_text(tip.as_deref());
        }
    });
    factory
}
