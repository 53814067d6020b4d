//! The assistant of the first run: the server, its key, and the account.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use adw::gio;
use adw::glib::{self, clone};
use adw::prelude::*;
use letschat_commands::command::Role;
use letschat_commands::passwords::{PASSWORD, REPEATED};
use letschat_commands::render;
use letschat_commands::text::short_key;
use letschat_core::session::{Reply, Request};
use letschat_engine::address::{ServerAddress, ServiceAddress};
use letschat_engine::discovery;
use letschat_protocol::printable::Printable;

use crate::app::App;
use crate::commands::USERNAME;
use crate::live::Live;
use crate::window::messages::without_hyphens;
use crate::window::part;

const UI: &str = include_str!("ui/setup.ui");

/// The time of the search for servers.
const SEARCH: Duration = Duration::from_secs(2);

/// The pause after a server could not be reached.
const RETRY: Duration = Duration::from_secs(2);

/// The assistant.
struct Setup {
    app: App,
    window: adw::ApplicationWindow,
    pages: gtk::Stack,
    found: gtk::ListBox,
    searching: gtk::Label,
    address: gtk::Entry,
    to_account: gtk::Button,
    server_trouble: gtk::Label,
    key: gtk::Label,
    is_new: gtk::CheckButton,
    username: gtk::Entry,
    password: gtk::PasswordEntry,
    repeated: gtk::PasswordEntry,
    repeated_label: gtk::Label,
    enter: gtk::Button,
    back: gtk::Button,
    account_trouble: gtk::Label,
    chosen: RefCell<Option<Chosen>>,
}

/// The client of the chosen server.
#[derive(Clone)]
struct Chosen {
    live: Rc<Live>,
    /// The server, or servers of one service, if the user has named them here.
    named: Option<ServiceAddress>,
}

/// Opens the assistant at the question for the server.
pub(crate) fn open(app: &App) {
    let setup = Setup::new(app);
    setup.window.present();
    setup.ask_for_server();
}

/// Opens the assistant at the question for the account.
pub(crate) fn open_for_account(app: &App, live: Rc<Live>) {
    let setup = Setup::new(app);
    setup.window.present();
    setup.ask_for_account(Chosen { live, named: None });
}

impl Setup {
    fn new(app: &App) -> Rc<Setup> {
        let builder = gtk::Builder::from_string(UI);
        let setup = Rc::new(Setup {
            app: app.clone(),
            window: part(&builder, "setup"),
            pages: part(&builder, "pages"),
            found: part(&builder, "found"),
            searching: part(&builder, "searching"),
            address: part(&builder, "address"),
            to_account: part(&builder, "to_account"),
            server_trouble: part(&builder, "server_trouble"),
            key: part(&builder, "key"),
            is_new: part(&builder, "is_new"),
            username: part(&builder, "username"),
            password: part(&builder, "password"),
            repeated: part(&builder, "repeated"),
            repeated_label: part(&builder, "repeated_label"),
            enter: part(&builder, "enter"),
            back: part(&builder, "back"),
            account_trouble: part(&builder, "account_trouble"),
            chosen: RefCell::default(),
        });
        setup.connect();
        setup.window.set_application(Some(app.application()));
        setup.address.set_text(&ServerAddress::on_this_machine().to_string());
        setup.address.set_activates_default(true);
        setup.key.set_attributes(Some(&without_hyphens()));
        for part in [setup.repeated.upcast_ref::<gtk::Widget>(), setup.repeated_label.upcast_ref()]
        {
            setup.is_new.bind_property("active", part, "visible").sync_create().build();
        }
        setup.is_new.connect_active_notify(clone!(
            #[weak(rename_to = button)]
            setup.enter,
            move |is_new| {
                let name = if is_new.is_active() { "Create the account" } else { "Log in" };
                button.set_label(name);
            }
        ));
        setup
    }

    fn connect(self: &Rc<Self>) {
        self.to_account.connect_clicked(clone!(
            #[strong(rename_to = setup)]
            self,
            move |_| {
                glib::spawn_future_local(setup.clone().choose_server());
            }
        ));
        self.enter.connect_clicked(clone!(
            #[strong(rename_to = setup)]
            self,
            move |_| {
                glib::spawn_future_local(setup.clone().log_in());
            }
        ));
        self.back.connect_clicked(clone!(
            #[strong(rename_to = setup)]
            self,
            move |_| {
                glib::spawn_future_local(setup.clone().go_back());
            }
        ));
    }

    /// Ends the client of the chosen server, and asks for another one.
    async fn go_back(self: Rc<Self>) {
        let Some(Chosen { live, .. }) = self.chosen.take() else { return };
        self.let_click(false);
        self.app.leave(&live).await;
        self.let_click(true);
        self.let_choose(true);
        // Another server has other accounts.
        self.is_new.set_active(true);
        self.password.set_text("");
        self.repeated.set_text("");
        self.server_trouble.set_visible(false);
        self.account_trouble.set_visible(false);
        self.ask_for_server();
    }

    /// Lets the user click on the buttons of the account's page, or not while something is under way.
    fn let_click(&self, is_idle: bool) {
        self.back.set_sensitive(is_idle);
        self.enter.set_sensitive(is_idle);
    }

    /// Lets the user choose another server, or not while one is being reached.
    fn let_choose(&self, is_idle: bool) {
        self.to_account.set_sensitive(is_idle);
        self.address.set_sensitive(is_idle);
    }

    fn ask_for_server(self: &Rc<Self>) {
        self.pages.set_visible_child_name("server");
        self.window.set_default_widget(Some(&self.to_account));
        self.address.grab_focus();
        self.clone().search();
    }

    /// Looks for servers on the local network.
    fn search(self: Rc<Self>) {
        self.found.set_visible(false);
        self.searching.set_label("Looking for servers on the local network…");
        glib::spawn_future_local(async move {
            let search = gio::spawn_blocking(|| discovery::find_servers(SEARCH)).await;
            let servers = search.unwrap_or_default();
            self.searching.set_label(match servers.is_empty() {
                true => "No server was found on the local network.",
                false => "Found on the local network:",
            });
            self.found.set_visible(!servers.is_empty());
            while let Some(old) = self.found.first_child() {
                self.found.remove(&old);
            }
            for server in servers {
                let address = server.address.to_string();
                let name = Printable(&server.name).to_string();
                let row = adw::ActionRow::builder().use_markup(false).title(&name).build();
                row.set_subtitle(&address);
                row.set_activatable(true);
                let entry = self.address.clone();
                let with_key = letschat_settings::file::with_key(&server.address);
                row.connect_activated(move |_| entry.set_text(&with_key));
                self.found.append(&row);
            }
        });
    }

    /// Reaches the named server, and goes on to the account.
    async fn choose_server(self: Rc<Self>) {
        let text = self.address.text();
        let server = match text.trim().parse::<ServiceAddress>() {
            Ok(server) => server,
            Err(error) => {
                return tell(&self.server_trouble, &format!("That names no server: {error}."));
            }
        };
        self.let_choose(false);
        tell(&self.server_trouble, &format!("Connecting to {server}…"));
        let probed = server.clone();
        let reached = gio::spawn_blocking(move || letschat_engine::probe(&probed)).await;
        self.let_choose(true);
        match reached {
            Ok(Ok(())) => {}
            Ok(Err(why)) => {
                return tell(&self.server_trouble, &format!("Can't reach {server}: {why}."));
            }
            Err(_) => return tell(&self.server_trouble, "The connection could not be tried."),
        }
        let config = match self.app.options().client.to_config(server.clone(), true) {
            Ok(config) => config,
            Err(error) => return tell(&self.server_trouble, &error.to_string()),
        };
        self.let_choose(false);
        match self.app.start_client(config).await {
            Ok(live) => self.ask_for_account(Chosen { live, named: Some(server) }),
            Err(why) => {
                self.let_choose(true);
                tell(&self.server_trouble, &why);
            }
        }
    }

    /// Shows the key of the server, and asks for the account.
    fn ask_for_account(self: &Rc<Self>, chosen: Chosen) {
        self.pages.set_visible_child_name("account");
        self.username.grab_focus();
        self.window.set_default_widget(Some(&self.enter));
        self.key.set_label("Connecting to the server…");
        let live = chosen.live.clone();
        self.chosen.replace(Some(chosen));
        glib::spawn_future_local(self.clone().reach(live));
    }

    /// Returns true if this client's server is the chosen one.
    fn has_chosen(&self, live: &Rc<Live>) -> bool {
        self.chosen.borrow().as_ref().is_some_and(|chosen| Rc::ptr_eq(&chosen.live, live))
    }

    /// Connects, and shows the key of the server. An account can be made once the user has seen it.
    async fn reach(self: Rc<Self>, live: Rc<Live>) {
        self.enter.set_sensitive(false);
        while let Err(failure) = live.ask(Request::Reach).await {
            if !self.has_chosen(&live) {
                return;
            }
            tell(&self.account_trouble, &render::failure(&failure));
            glib::timeout_future(RETRY).await;
        }
        let status = live.ask(Request::Status).await;
        if let Ok(Reply::Status(status)) = status
            && let Some(key) = &status.server_fingerprint
            && self.has_chosen(&live)
        {
            let server = Printable(&status.server).to_string();
            let text = format!(
                "{server} has the key {}. Its operator can tell you whether that is right.\n{key}",
                short_key(key)
            );
            self.key.set_label(&text);
            self.account_trouble.set_visible(false);
            self.enter.set_sensitive(true);
        }
    }

    /// Creates the account, if it is a new one, and logs in.
    async fn log_in(self: Rc<Self>) {
        let Some(Chosen { live, named }) = self.chosen.borrow().clone() else { return };
        let username = self.username.text().trim().to_owned();
        let password = self.password.text().to_string();
        if let Err(error) = username.parse::<letschat_protocol::username::Username>() {
            return tell(&self.account_trouble, &format!("This name can't be used: {error}."));
        }
        self.let_click(false);
        tell(&self.account_trouble, "One moment…");
        if self.is_new.is_active() {
            let repeated = self.repeated.text().to_string();
            let arguments = [
                (USERNAME, username.clone()),
                (PASSWORD.name, password.clone()),
                (REPEATED.name, repeated),
            ];
            if let Err(failure) = live.run_role(Role::SignUp, arguments).await {
                self.let_click(true);
                return tell(&self.account_trouble, &render::failure(&failure));
            }
            // The account exists now: another try must only log in.
            self.is_new.set_active(false);
        }
        let outcome = live.log_in_as(&username, password).await;
        self.let_click(true);
        match outcome {
            Ok(_) => {
                if let Some(server) = &named {
                    self.app.remember(server);
                }
                // The handlers of the buttons keep the assistant, which must not keep the passwords.
                self.password.set_text("");
                self.repeated.set_text("");
                self.chosen.replace(None);
                self.app.show_window(live, None);
                self.window.close();
            }
            Err(failure) => tell(&self.account_trouble, &render::failure(&failure)),
        }
    }
}

/// Shows a sentence about the page.
fn tell(label: &gtk::Label, text: &str) {
    label.set_visible(true);
    label.set_label(text);
}
