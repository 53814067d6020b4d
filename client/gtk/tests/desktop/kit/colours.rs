//! The desktop's wish for light or dark (XDG Desktop Portal, org.freedesktop.portal.Settings).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gtk::gio::DBusConnection;
use gtk::gio::prelude::*;
use gtk::glib::variant::Variant;

use super::service::Service;

const PORTAL: Service = Service {
    name: "org.freedesktop.portal.Desktop",
    path: "/org/freedesktop/portal/desktop",
    interface: "org.freedesktop.portal.Settings",
    methods: "<method name='Read'>
        <arg type='s' direction='in'/><arg type='s' direction='in'/><arg type='v' direction='out'/>
    </method>
    <signal name='SettingChanged'><arg type='s'/><arg type='s'/><arg type='v'/></signal>",
};

/// The setting, and its value for dark.
const APPEARANCE: &str = "org.freedesktop.appearance";
const COLOR_SCHEME: &str = "color-scheme";
const DARK: u32 = 1;

/// The wish of a desktop.
pub(crate) struct Colours {
    bus: DBusConnection,
    is_dark: Arc<AtomicBool>,
}

fn scheme(is_dark: bool) -> Variant {
    if is_dark { DARK } else { 0 }.to_variant()
}

impl Colours {
    /// Tells a session bus of it: light at first.
    pub(super) fn tell(address: &str) -> Colours {
        let is_dark = Arc::new(AtomicBool::new(false));
        let asked = is_dark.clone();
        let bus = PORTAL.start(address, move |_, arguments| {
            let key: String = arguments.child_value(1).get().unwrap();
            // The portal wraps each value twice. The other one that is asked for is that for high contrast.
            let value = match key == COLOR_SCHEME {
                true => scheme(asked.load(Ordering::Relaxed)),
                false => false.to_variant(),
            };
            Some(Variant::tuple_from_iter([value.to_variant().to_variant()]))
        });
        Colours { bus, is_dark }
    }

    /// Changes it.
    pub(crate) fn prefer_dark(&self, is_dark: bool) {
        self.is_dark.store(is_dark, Ordering::Relaxed);
        let (path, interface) = (PORTAL.path, PORTAL.interface);
        let changed = (APPEARANCE, COLOR_SCHEME, scheme(is_dark)).to_variant();
        self.bus.emit_signal(None, path, interface, "SettingChanged", Some(&changed)).unwrap();
    }
}
