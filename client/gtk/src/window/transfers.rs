//! The files that are on their way, a row with a bar for each.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use adw::prelude::*;
use letschat_commands::text::files;
use letschat_core::session::Request;
use letschat_protocol::message_id::MessageId;

use super::{Window, part};
use crate::accessible::named;
use crate::live::Live;

/// The rows of transfers.
pub(crate) struct Transfers {
    rows: gtk::Box,
    shown: RefCell<BTreeMap<MessageId, (gtk::Box, gtk::ProgressBar)>>,
    window: RefCell<Weak<Window>>,
}

impl Transfers {
    pub(super) fn new(builder: &gtk::Builder) -> Transfers {
        let rows = part(builder, "transfers");
        Transfers { rows, shown: RefCell::default(), window: RefCell::default() }
    }

    pub(super) fn connect(&self, window: &Rc<Window>) {
        self.window.replace(Rc::downgrade(window));
    }

    pub(super) fn refresh(&self, live: &Live) {
        let running: BTreeMap<MessageId, (String, String, f64)> = live.read(|view| {
            let running = view.files.iter().filter_map(|(id, file)| Some((id, file, file.bytes?)));
            let shown = running.map(|(id, file, bytes)| {
                let share = bytes as f64 / file.file.size.max(1) as f64;
                let name = file.file.name.to_string();
                (*id, (name, files::progress(&file.file, bytes), share))
            });
            shown.collect()
        });
        let mut shown = self.shown.borrow_mut();
        shown.retain(|id, (row, _)| {
            let is_running = running.contains_key(id);
            if !is_running {
                self.rows.remove(row);
            }
            is_running
        });
        for (id, (name, text, share)) in running {
            let (_, bar) = shown.entry(id).or_insert_with(|| self.row(id, &name));
            bar.set_text(Some(&text));
            bar.set_fraction(share.min(1.0));
        }
    }

    fn row(&self, id: MessageId, name: &str) -> (gtk::Box, gtk::ProgressBar) {
        let bar: gtk::ProgressBar = named(&format!("Transfer of {name}"));
        bar.set_ellipsize(gtk::pango::EllipsizeMode::End);
        bar.set_show_text(true);
        bar.set_hexpand(true);
        let stop = gtk::Button::builder().label("Stop").valign(gtk::Align::Center).build();
        let window = self.window.borrow().clone();
        stop.connect_clicked(move |_| {
            if let Some(window) = window.upgrade() {
                let live = window.live().clone();
                window.run(async move { live.ask(Request::CancelFile(id.to_string())).await });
            }
        });
        let row = gtk::Box::new(gtk::Orientation::Horizontal, 8);
        row.add_css_class("transfer");
        row.append(&bar);
        row.append(&stop);
        self.rows.append(&row);
        (row, bar)
    }
}
