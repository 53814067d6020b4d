//! The program: from its start to the window, and the actions of its menus.

use std::cell::{Cell, RefCell};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::rc::Rc;

use adw::gio;
use adw::glib::{self, clone};
use adw::prelude::*;
use async_signal::{Signal, Signals};
use futures_lite::StreamExt as _;
use letschat_core::conversation::ConversationId;
use letschat_core::event::Event;
use letschat_core::session::Request;
use letschat_engine::address::{ServerAddress, ServiceAddress};
use letschat_engine::client::{Config, Ended};
use letschat_flags::{clock, output};
use letschat_protocol::username::Username;
use letschat_settings::file;
use letschat_settings::notify::Notify;

use crate::dialogs;
use crate::live::{Changes, Channels, Live, Setting};
use crate::notification::for_desktop;
use crate::options::Options;
use crate::palette;
use crate::preferences;
use crate::setup;
use crate::style::style_of;
use crate::trouble;
use crate::window::{Window, composer};

/// The id of the program, after which its desktop file and its icon are called.
pub(crate) const ID: &str = "net.letschat.Gtk";

/// The least time between two notifications of messages.
const NOTIFIED_EVERY_MS: u64 = 1_000;

/// Something that the user does by a key or a menu.
pub(crate) struct UserAction {
    name: &'static str,
    /// Its keys, as GTK parses them.
    pub(crate) keys: &'static [&'static str],
    /// A few words for the list of keys.
    pub(crate) help: &'static str,
    run: fn(&App),
}

const fn action(
    name: &'static str,
    keys: &'static [&'static str],
    help: &'static str,
    run: fn(&App),
) -> UserAction {
    UserAction { name, keys, help, run }
}

/// All of them, in the order of the list of keys. The interface names them.
pub(crate) const ACTIONS: &[UserAction] = &[
    action("new-message", &["<Control>n"], "Write to somebody", |app| {
        app.with_window(dialogs::new_message);
    }),
    action("new-group", &["<Control>g"], "Create a group", |app| {
        app.with_window(dialogs::new_group);
    }),
    action("next-unread", &["<Control>j", "<Alt>a"], "Go to the next unread conversation", |app| {
        app.with_window(|window| window.show_next_unread());
    }),
    action("previous", &["<Alt>Up", "<Control>Page_Up"], "Go to the conversation above", |app| {
        app.with_window(|window| window.show_neighbour(false));
    }),
    action("next", &["<Alt>Down", "<Control>Page_Down"], "Go to the conversation below", |app| {
        app.with_window(|window| window.show_neighbour(true));
    }),
    action("search", &["<Control>f"], "Search all messages", |app| {
        app.with_window(|window| window.search());
    }),
    action("attach", &["<Control>o"], "Send a file", |app| app.with_window(Window::attach)),
    action("palette", &["<Control>k"], "All commands", |app| app.with_window(palette::open)),
    action("people", &["F9"], "Show or hide the people", |app| {
        app.with_window(|window| window.toggle_people());
    }),
    action("settings", &["<Control>comma"], "Settings", |app| {
        app.with_window(|window| preferences::open(app, window));
    }),
    action("keys", &["F1", "<Control>question"], "These keys", |app| {
        app.with_window(dialogs::keys);
    }),
    action("quit", &["<Control>q"], "Quit", App::quit),
];

/// The program.
#[derive(Clone)]
pub(crate) struct App {
    application: adw::Application,
    options: Rc<Options>,
    notify: Rc<RefCell<Notify>>,
    window: Rc<RefCell<Option<Rc<Window>>>>,
    live: Rc<RefCell<Option<Rc<Live>>>>,
    /// True once the first start has begun.
    is_started: Rc<Cell<bool>>,
    /// True once the program is ending.
    is_ending: Rc<Cell<bool>>,
    /// True if the user has started it again since then.
    is_wanted_again: Rc<Cell<bool>>,
    /// The settings, once they were opened.
    settings: Rc<RefCell<Option<adw::Window>>>,
    /// The time of the last notification of a message, on the boot clock.
    notified_ms: Rc<Cell<u64>>,
}

/// Runs the program until its window is closed.
pub(crate) fn run(options: Options) -> ExitCode {
    if let Err(error) = options.server() {
        return trouble::refuse(&error.to_string());
    }
    glib::set_application_name("Let's Chat");
    glib::set_prgname(Some(ID));
    let application = adw::Application::new(Some(&id(&options)), gio::ApplicationFlags::FLAGS_NONE);
    let app = App {
        application: application.clone(),
        notify: Rc::new(RefCell::new(options.notify())),
        options: Rc::new(options),
        window: Rc::default(),
        live: Rc::default(),
        is_started: Rc::default(),
        is_ending: Rc::default(),
        is_wanted_again: Rc::default(),
        settings: Rc::default(),
        notified_ms: Rc::default(),
    };
    application.connect_startup(clone!(
        #[strong]
        app,
        move |_| app.prepare()
    ));
    application.connect_activate(clone!(
        #[strong]
        app,
        move |_| app.activate()
    ));
    let (ending, is_wanted_again) = (app.clone(), app.is_wanted_again.clone());
    glib::spawn_future_local(async move { ending.end_on_signals().await });
    let status = application.run_with_args::<&str>(&[]);
    if is_wanted_again.get() {
        return start_anew();
    }
    if status == glib::ExitCode::SUCCESS { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns the id of the application. It differs by data folder, so that a second start raises the window of the first.
fn id(options: &Options) -> String {
    match &options.client.data {
        None => ID.to_owned(),
        Some(folder) => {
            let mut hasher = DefaultHasher::new();
            let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
            folder.canonicalize().unwrap_or(folder).hash(&mut hasher);
            format!("{ID}.Data{:x}", hasher.finish())
        }
    }
}

/// Becomes the program as it was started, with the settings as they are now.
fn start_anew() -> ExitCode {
    let program = std::env::current_exe();
    let started =
        program.map(|program| Command::new(program).args(std::env::args_os().skip(1)).exec());
    // It returns only if it fails.
    let (Ok(error) | Err(error)) = started;
    output::complain("letschat-gtk", format!("it can't be started again: {error}"));
    ExitCode::FAILURE
}

impl App {
    /// Returns the application of GTK.
    pub(crate) fn application(&self) -> &adw::Application {
        &self.application
    }

    /// Returns the options.
    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Returns the window of the settings, once they were opened.
    pub(crate) fn settings(&self) -> &RefCell<Option<adw::Window>> {
        &self.settings
    }

    /// Returns the user's wishes about notifications.
    pub(crate) fn notify(&self) -> &Rc<RefCell<Notify>> {
        &self.notify
    }

    fn prepare(&self) {
        let style = gtk::CssProvider::new();
        let manager = adw::StyleManager::default();
        style.load_from_data(&style_of(manager.is_dark()));
        if let Some(display) = adw::gdk::Display::default() {
            let priority = gtk::STYLE_PROVIDER_PRIORITY_APPLICATION;
            gtk::style_context_add_provider_for_display(&display, &style, priority);
        }
        manager.connect_dark_notify(move |manager| {
            style.load_from_data(&style_of(manager.is_dark()));
        });
        self.add_actions();
    }

    fn add_actions(&self) {
        for UserAction { name, keys, run, .. } in ACTIONS {
            let action = gio::SimpleAction::new(name, None);
            let app = self.clone();
            action.connect_activate(move |_, _| run(&app));
            self.application.add_action(&action);
            self.application.set_accels_for_action(&format!("app.{name}"), keys);
        }
        // Its target is the id of the message that offers the file.
        let save = gio::SimpleAction::new("save-file", Some(glib::VariantTy::STRING));
        let app = self.clone();
        save.connect_activate(move |_, target| {
            if let Some(id) = target.and_then(glib::Variant::str) {
                app.with_window(|window| composer::save_file(window, id.to_owned()));
            }
        });
        self.application.add_action(&save);
        // Its target is a conversation, as the notification of a message names it.
        let show = gio::SimpleAction::new("show", Some(glib::VariantTy::STRING));
        let app = self.clone();
        show.connect_activate(move |_, target| {
            let conversation = target.and_then(glib::Variant::str).and_then(|id| id.parse().ok());
            app.with_window(|window| {
                if conversation.is_some() {
                    window.go_to(conversation);
                }
                window.widget().present();
            });
        });
        self.application.add_action(&show);
    }

    /// Does something with the window, if it is open.
    fn with_window(&self, act: impl FnOnce(&Rc<Window>)) {
        // The window may be replaced meanwhile.
        let window = self.window.borrow().clone();
        if let Some(window) = window {
            act(&window);
        }
    }

    fn activate(&self) {
        if self.is_ending.get() {
            return self.is_wanted_again.set(true);
        }
        if let Some(window) = self.application.active_window() {
            return window.present();
        }
        if !self.is_started.replace(true) {
            self.begin();
        }
    }

    /// Begins: with the client of the server, or with the question for it.
    fn begin(&self) {
        match self.options.server() {
            Ok(Some(server)) => {
                let app = self.clone();
                // Keeps the program running until there is a window.
                let hold = self.application.hold();
                glib::spawn_future_local(async move {
                    app.start(server).await;
                    drop(hold);
                });
            }
            // The options were read before.
            _ => setup::open(self),
        }
    }

    /// Starts the client of a server, and shows its window, or asks for an account.
    async fn start(&self, server: ServiceAddress) {
        let config = match self.options.client.to_config(server, true) {
            Ok(config) => config,
            Err(error) => return self.fail(&error.to_string()),
        };
        let account = self.options.client.first_account(&config);
        let asks = account.is_none() && !self.options.client.no_login;
        match self.start_client(config).await {
            Err(why) => self.fail(&why),
            Ok(live) if asks => setup::open_for_account(self, live),
            Ok(live) => self.show_window(live, account),
        }
    }

    /// Starts a client, and takes its events from then on.
    pub(crate) async fn start_client(&self, config: Config) -> Result<Rc<Live>, String> {
        let setting = Setting {
            config,
            password_file: self.options.client.password_file.clone(),
            plugins: self.options.client.plugins(),
            files: self.options.client.files().map_err(|error| error.to_string())?,
        };
        let (live, Channels { events, questions, heard }) = Live::start(setting).await?;
        self.live.replace(Some(live.clone()));
        let app = self.clone();
        let running = live.clone();
        glib::spawn_future_local(async move {
            let client = running.client().clone();
            running.clone().run(events, |changes| app.show(&changes)).await;
            app.save_plugins(&running).await;
            match client.finished().await {
                // The assistant goes on with another server.
                _ if !app.has(&running) => {}
                Ended::Failed => app.fail("The client has ended because of a fault of its own."),
                _ => app.application.quit(),
            }
        });
        glib::spawn_future_local(dialogs::answer(self.application.clone(), questions));
        if let Some(heard) = heard {
            // The client has the other end of the channel.
            let live = Rc::downgrade(&live);
            glib::spawn_future_local(async move {
                while let Ok((plugin, said)) = heard.recv().await
                    && let Some(live) = live.upgrade()
                {
                    live.hear(&plugin, said);
                }
            });
        }
        Ok(live)
    }

    /// Shows the window of a client, and logs in if an account is named.
    pub(crate) fn show_window(&self, live: Rc<Live>, account: Option<Username>) {
        let window = Window::new(self, live.clone(), &self.notify);
        window.widget().connect_close_request(clone!(
            #[strong(rename_to = app)]
            self,
            move |_| {
                app.quit();
                glib::Propagation::Stop
            }
        ));
        window.widget().present();
        self.window.replace(Some(window.clone()));
        if let Some(account) = account {
            glib::spawn_future_local(async move {
                if let Err(failure) = live.log_in(&account).await {
                    window.complain(None, &failure);
                }
            });
        }
    }

    /// Shows a batch of events.
    fn show(&self, changes: &Changes) {
        let Some(window) = self.window.borrow().clone() else { return };
        window.update(changes);
        let me = window.live().read(|view| view.session.username.clone());
        for event in &changes.heard {
            let conversation = conversation_of(event);
            let is_seen = window.live().is_looked_at()
                && (conversation.is_none() || window.live().shown() == conversation);
            if let Some(notification) = self.notify.borrow().notification(event, me.as_ref())
                && !is_seen
                && self.may_notify(event)
            {
                let (id, shown) = for_desktop(&notification, conversation.as_ref());
                self.application.send_notification(Some(&id), &shown);
            }
        }
    }

    /// Returns true if a notification is due: messages notify once a second at most.
    fn may_notify(&self, event: &Event) -> bool {
        let now_ms = clock::now().boot_ms;
        let is_request = matches!(event, Event::Request { .. });
        let is_due = is_request || now_ms >= self.notified_ms.get() + NOTIFIED_EVERY_MS;
        if is_due && !is_request {
            self.notified_ms.set(now_ms);
        }
        is_due
    }

    /// Ends the program in order at SIGHUP, SIGINT and SIGTERM.
    async fn end_on_signals(&self) {
        // If the system refuses this, they end it at once.
        let Ok(mut signals) = Signals::new([Signal::Hup, Signal::Int, Signal::Term]) else {
            return;
        };
        while signals.next().await.is_some() {
            self.quit();
        }
    }

    /// Returns true if this is the program's client.
    fn has(&self, live: &Rc<Live>) -> bool {
        self.live.borrow().as_ref().is_some_and(|own| Rc::ptr_eq(own, live))
    }

    /// Ends a client, so that another one can be started.
    pub(crate) async fn leave(&self, live: &Live) {
        self.live.replace(None);
        // It may have ended by itself.
        let _ = live.ask(Request::Quit).await;
        live.client().finished().await;
    }

    /// Says goodbye to everybody and ends the program.
    fn quit(&self) {
        self.is_ending.set(true);
        let Some(live) = self.live.borrow().clone() else { return self.application.quit() };
        self.application.windows().iter().for_each(|window| window.set_visible(false));
        let application = self.application.clone();
        glib::spawn_future_local(async move {
            // The end of the events ends the program, unless the client has ended before.
            if live.ask(Request::Quit).await.is_err() {
                application.quit();
            }
        });
    }

    /// Lets the plugins write what they keep.
    async fn save_plugins(&self, live: &Live) {
        let Some(plugins) = live.plugins().cloned() else { return };
        let lost = gio::spawn_blocking(move || plugins.finish()).await.unwrap_or_default();
        for line in lost {
            output::complain("letschat-gtk", line);
        }
    }

    /// Shows why the program can't go on, and ends it.
    pub(crate) fn fail(&self, why: &str) {
        output::complain("letschat-gtk", why);
        trouble::show(&self.application, why);
    }

    /// Remembers the server that the user has named.
    pub(crate) fn remember(&self, server: &ServiceAddress) {
        let Some(path) = self.options.settings_file() else { return };
        // A new file also says what can be set there.
        let begun = match *server == ServerAddress::on_this_machine().into() {
            true if !path.exists() => return,
            _ => file::begin(&path, server),
        };
        let server = file::service_with_key(server);
        let kept = begun.or_else(|_| file::change(&path, &[("server", Some(server.into()))]));
        if let Err(error) = kept {
            output::complain("letschat-gtk", format!("the server is not remembered: {error}"));
        }
    }
}

/// Returns the conversation of a message.
fn conversation_of(event: &Event) -> Option<ConversationId> {
    match event {
        Event::Message { conversation, .. } | Event::Broadcast { conversation, .. } => {
            Some(conversation.clone())
        }
        Event::FileOffered { file, .. } => Some(file.conversation.clone()),
        _ => None,
    }
}
