//! The desktop's notifications, as far as programs need them (Desktop Notifications Specification, 1.2).

use std::sync::mpsc::{Receiver, channel};

use gtk::glib::prelude::*;

use super::service::Service;

const NOTIFICATIONS: Service = Service {
    name: "org.freedesktop.Notifications",
    path: "/org/freedesktop/Notifications",
    interface: "org.freedesktop.Notifications",
    methods: "<method name='Notify'>
        <arg type='s' direction='in'/><arg type='u' direction='in'/><arg type='s' direction='in'/>
        <arg type='s' direction='in'/><arg type='s' direction='in'/><arg type='as' direction='in'/>
        <arg type='a{sv}' direction='in'/><arg type='i' direction='in'/><arg type='u' direction='out'/>
    </method>
    <method name='GetCapabilities'><arg type='as' direction='out'/></method>
    <method name='CloseNotification'><arg type='u' direction='in'/></method>",
};

/// The titles and texts of notifications.
pub(crate) type Shown = Receiver<(String, String)>;

/// Takes the notifications of a session bus.
pub(crate) fn take(address: &str) -> Shown {
    let (shown, taken) = channel();
    NOTIFICATIONS.start(address, move |method, arguments| match method {
        "Notify" => {
            let text = |place| arguments.child_value(place).get::<String>().unwrap();
            // The test may have ended.
            let _ = shown.send((text(3), text(4)));
            Some((1u32,).to_variant())
        }
        "GetCapabilities" => Some((vec!["body".to_owned(), "actions".to_owned()],).to_variant()),
        _ => None,
    });
    taken
}
