//! A service on a session bus, as a desktop has them.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use gtk::gio::prelude::*;
use gtk::gio::{Cancellable, DBusCallFlags, DBusConnection, DBusNodeInfo};
use gtk::glib::variant::Variant;
use gtk::glib::{MainContext, MainLoop};

use super::reader::connect;

/// The names of a service.
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) interface: &'static str,
    /// The methods, in the XML of D-Bus (D-Bus Specification, "Introspection Data Format").
    pub(super) methods: &'static str,
}

impl Service {
    /// Starts it on a thread of its own, which ends with the process. `answer` gets the method and its arguments.
    pub(super) fn start(
        &'static self,
        address: &str,
        answer: impl Fn(&str, &Variant) -> Option<Variant> + Send + Sync + 'static,
    ) -> DBusConnection {
        let (ready, is_ready) = channel();
        let address = address.to_owned();
        thread::spawn(move || {
            let context = MainContext::new();
            let serving = context.with_thread_default(|| {
                let bus = self.serve(&address, answer);
                ready.send(bus.clone()).unwrap();
                MainLoop::new(Some(&context), false).run();
                drop(bus);
            });
            serving.unwrap();
        });
        is_ready.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    fn serve(
        &self,
        address: &str,
        answer: impl Fn(&str, &Variant) -> Option<Variant> + Send + Sync + 'static,
    ) -> DBusConnection {
        let bus = connect(address);
        let (interface, methods) = (self.interface, self.methods);
        let xml = format!("<node><interface name='{interface}'>{methods}</interface></node>");
        let node = DBusNodeInfo::for_xml(&xml).unwrap();
        let interface = node.lookup_interface(interface).unwrap();
        let serving = bus.register_object(self.path, &interface).method_call(
            move |_, _, _, _, method, arguments, invocation| {
                invocation.return_value(answer(method, &arguments).as_ref());
            },
        );
        serving.build().unwrap();
        let (daemon, path) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
        let name = (self.name, 0u32).to_variant();
        bus.call_sync(
            Some(daemon),
            path,
            daemon,
            "RequestName",
            Some(&name),
            None,
            DBusCallFlags::NONE,
            -1,
            None::<&Cancellable>,
        )
        .unwrap();
        bus
    }
}
