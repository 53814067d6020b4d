//! Names of controls for screen readers.

use adw::glib;
use adw::prelude::*;

/// Creates a control with a name for screen readers. GTK 4.10 has functions for that; before, only its builder can.
pub(crate) fn named<T: IsA<glib::Object>>(name: &str) -> T {
    let (class, name) = (T::static_type().name(), glib::markup_escape_text(name));
    let label =
        format!("<accessibility><property name=\"label\">{name}</property></accessibility>");
    let interface =
        format!("<interface><object class=\"{class}\" id=\"it\">{label}</object></interface>");
    gtk::Builder::from_string(&interface).object("it").expect("the interface has this object alone")
}
