//! A window from which a file can be dragged, for tests: `drag FILE`.

use gtk::gdk::{ContentProvider, DragAction, FileList};
use gtk::gio::{ApplicationFlags, File};
use gtk::prelude::*;

fn main() {
    let path = std::env::args_os().nth(1).unwrap_or_default();
    let application = gtk::Application::new(None::<&str>, ApplicationFlags::NON_UNIQUE);
    application.connect_activate(move |application| {
        let source = gtk::DragSource::builder().actions(DragAction::COPY).build();
        let files = FileList::from_array(&[File::for_path(&path)]);
        source.set_content(Some(&ContentProvider::for_value(&files.to_value())));
        let label = gtk::Label::new(Some("drag me"));
        label.add_controller(source);
        let window = gtk::ApplicationWindow::builder()
            .application(application)
            .title("drag")
            .decorated(false)
            .default_width(200)
            .default_height(100)
            .child(&label)
            .build();
        window.present();
    });
    application.run_with_args::<&str>(&[]);
}
