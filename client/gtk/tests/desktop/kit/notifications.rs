//! The desktop's notifications, as far as programs need them (Desktop Notifications Specification, 1.2).

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use gtk::gio::prelude::*;
use gtk::gio::{Cancellable, DBusCallFlags, DBusConnection, DBusNodeInfo};
use gtk::glib::{MainContext, MainLoop};

use super::reader::connect;

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";

const INTERFACE: &str = "<node><interface name='org.freedesktop.Notifications'>
    <method name='Notify'>
        <arg type='s' direction='in'/><arg type='u' direction='in'/><arg type='s' direction='in'/>
        <arg type='s' direction='in'/><arg type='s' direction='in'/><arg type='as' direction='in'/>
        <arg type='a{sv}' direction='in'/><arg type='i' direction='in'/><arg type='u' direction='out'/>
    </method>
    <method name='GetCapabilities'><arg type='as' direction='out'/></method>
    <method name='CloseNotification'><arg type='u' direction='in'/></method>
</interface></node>";

/// The titles and texts of notifications.
pub(crate) type Shown = Receiver<(String, String)>;

/// Takes the notifications of a session bus.
pub(crate) fn take(address: &str) -> Shown {
    let (shown, taken) = channel();
    let (ready, is_ready) = channel();
    let address = address.to_owned();
    thread::spawn(move || {
        let context = MainContext::new();
        let serving = context.with_thread_default(|| {
            let bus = serve(&address, shown);
            ready.send(()).unwrap();
            MainLoop::new(Some(&context), false).run();
            drop(bus);
        });
        serving.unwrap();
    });
    is_ready.recv_timeout(Duration::from_secs(10)).unwrap();
    taken
}

fn serve(address: &str, shown: Sender<(String, String)>) -> DBusConnection {
    let bus = connect(address);
    let node = DBusNodeInfo::for_xml(INTERFACE).unwrap();
    let interface = node.lookup_interface(NAME).unwrap();
    let serve = bus.register_object(PATH, &interface).method_call(
        move |_, _, _, _, method, arguments, invocation| match method {
            "Notify" => {
                let text = |place| arguments.child_value(place).get::<String>().unwrap();
                // The test may have ended.
                let _ = shown.send((text(3), text(4)));
                invocation.return_value(Some(&(1u32,).to_variant()));
            }
            "GetCapabilities" => {
                let all = vec!["body".to_owned(), "actions".to_owned()];
                invocation.return_value(Some(&(all,).to_variant()));
            }
            _ => invocation.return_value(None),
        },
    );
    serve.build().unwrap();
    let daemon = Some("org.freedesktop.DBus");
    let (path, flags) = ("/org/freedesktop/DBus", DBusCallFlags::NONE);
    let name = (NAME, 0u32).to_variant();
    let interface = "org.freedesktop.DBus";
    bus.call_sync(
        daemon,
        path,
        interface,
        "RequestName",
        Some(&name),
        None,
        flags,
        -1,
        None::<&Cancellable>,
    )
    .unwrap();
    bus
}
