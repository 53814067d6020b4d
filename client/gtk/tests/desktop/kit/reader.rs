//! The controls of a program, as AT-SPI tells them to screen readers.

use std::time::Duration;

use gtk::gio::prelude::*;
use gtk::gio::{Cancellable, DBusCallFlags, DBusConnection, DBusConnectionFlags};
use gtk::glib::variant::{ObjectPath, Variant};

use super::desktop::Desktop;

const ACCESSIBLE: &str = "org.a11y.atspi.Accessible";
const ROOT: &str = "/org/a11y/atspi/accessible/root";

/// The bit of ATSPI_STATE_SELECTED.
const SELECTED: u32 = 1 << 23;

/// The time for an answer. The program may be busy, or the control be gone.
const ANSWER: Duration = Duration::from_secs(5);

/// A control of a program.
#[derive(Clone)]
pub(crate) struct Control {
    bus: DBusConnection,
    owner: String,
    path: String,
    pub(crate) role: String,
    pub(crate) name: String,
}

/// Connects to a bus.
pub(super) fn connect(address: &str) -> DBusConnection {
    let flags =
        DBusConnectionFlags::AUTHENTICATION_CLIENT | DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
    DBusConnection::for_address_sync(address, flags, None, None::<&Cancellable>).unwrap()
}

fn call(
    bus: &DBusConnection,
    (owner, path, interface): (&str, &str, &str),
    method: &str,
    arguments: Option<Variant>,
) -> Option<Variant> {
    let (flags, time) = (DBusCallFlags::NONE, ANSWER.as_millis() as i32);
    let (owner, nobody) = (Some(owner), None::<&Cancellable>);
    bus.call_sync(owner, path, interface, method, arguments.as_ref(), None, flags, time, nobody)
        .ok()
}

/// Connects to the bus of screen readers.
pub(crate) fn bus(desktop: &Desktop) -> DBusConnection {
    let session = connect(desktop.bus());
    let launcher = ("org.a11y.Bus", "/org/a11y/bus", "org.a11y.Bus");
    let address = call(&session, launcher, "GetAddress", None).unwrap();
    connect(address.child_value(0).str().unwrap())
}

/// Returns the program of a process, once it has told of itself.
pub(crate) fn program(bus: &DBusConnection, process: u32) -> Option<Control> {
    let root = Control::new(bus.clone(), "org.a11y.atspi.Registry".into(), ROOT.into());
    let is_of_process = |program: &Control| {
        let daemon = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus");
        let owner = Some((program.owner.as_str(),).to_variant());
        let id = call(bus, daemon, "GetConnectionUnixProcessID", owner);
        id.is_some_and(|id| id.child_value(0).get::<u32>() == Some(process))
    };
    root.children().into_iter().find(is_of_process)
}

impl Control {
    fn new(bus: DBusConnection, owner: String, path: String) -> Control {
        let mut control = Control { bus, owner, path, role: String::new(), name: String::new() };
        let role = control.call(ACCESSIBLE, "GetRoleName", None);
        control.role = role.and_then(|role| role.child_value(0).get()).unwrap_or_default();
        let name = (ACCESSIBLE, "Name").to_variant();
        let name = control.call("org.freedesktop.DBus.Properties", "Get", Some(name));
        let name = name.and_then(|name| name.child_value(0).as_variant()?.get());
        control.name = name.unwrap_or_default();
        control
    }

    fn call(&self, interface: &str, method: &str, arguments: Option<Variant>) -> Option<Variant> {
        call(&self.bus, (&self.owner, &self.path, interface), method, arguments)
    }

    /// Returns the controls in this one.
    pub(crate) fn children(&self) -> Vec<Control> {
        let children = self.call(ACCESSIBLE, "GetChildren", None);
        let children =
            children.and_then(|all| all.child_value(0).get::<Vec<(String, ObjectPath)>>());
        let children = children.unwrap_or_default().into_iter();
        let of = |(owner, path): (String, ObjectPath)| {
            Control::new(self.bus.clone(), owner, path.as_str().to_owned())
        };
        children.map(of).collect()
    }

    /// Returns this control and all in it.
    pub(crate) fn all(&self) -> Vec<Control> {
        self.all_but_below("")
    }

    /// Returns this control and all in it but those in controls of a role.
    pub(crate) fn all_but_below(&self, role: &str) -> Vec<Control> {
        let mut all = vec![self.clone()];
        let mut next = 0;
        while next < all.len() {
            let is_left_out = !role.is_empty() && all[next].role == role;
            let children = if is_left_out { Vec::new() } else { all[next].children() };
            all.extend(children);
            next += 1;
        }
        all
    }

    /// Returns true if it has this role and this name, which GTK may tell twice.
    pub(crate) fn is_called(&self, role: &str, name: &str) -> bool {
        self.role == role && (self.name == name || self.name == format!("{name} {name}"))
    }

    /// Returns true if it is the selected one of a list.
    pub(crate) fn is_selected(&self) -> bool {
        let states = self.call(ACCESSIBLE, "GetState", None);
        let states = states.and_then(|states| states.child_value(0).get::<Vec<u32>>());
        states.is_some_and(|states| states.first().is_some_and(|low| low & SELECTED != 0))
    }

    /// Clicks on it, unless it is gone.
    pub(crate) fn click(&self) -> Option<()> {
        self.call("org.a11y.atspi.Action", "DoAction", Some((0i32,).to_variant())).map(drop)
    }

    /// Replaces its text, unless it is gone.
    pub(crate) fn write(&self, text: &str) -> Option<()> {
        let text = Some((text,).to_variant());
        self.call("org.a11y.atspi.EditableText", "SetTextContents", text).map(drop)
    }

    /// Returns the place and the size on the screen, unless it is gone: left, top, width, height.
    pub(crate) fn place(&self) -> Option<(i32, i32, i32, i32)> {
        let on_screen = Some((0u32,).to_variant());
        let place = self.call("org.a11y.atspi.Component", "GetExtents", on_screen)?;
        place.child_value(0).get()
    }
}
