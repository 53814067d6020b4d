//! The window: conversations, the messages of one of them, and people.

pub(crate) mod composer;
mod conversations;
pub(crate) mod messages;
mod people;
mod requests;
mod search;
mod transfers;

use std::cell::RefCell;
use std::rc::Rc;

use adw::glib::{self, clone};
use adw::prelude::*;
use letschat_commands::appearance::Kind;
use letschat_commands::failure::Failure;
use letschat_commands::render;
use letschat_core::conversation::ConversationId;
use letschat_core::session::Reply;
use letschat_core::view::LinkState;
use letschat_protocol::message_id::MessageId;
use letschat_settings::notify::Notify;

use crate::app::App;
use crate::dialogs;
use crate::live::{Changes, Live};
use composer::Composer;
use conversations::Conversations;
use messages::Messages;
use people::People;
use requests::Requests;
use search::Search;
use transfers::Transfers;

const UI: &str = include_str!("../ui/window.ui");

/// The time of a toast.
const TOAST_SECONDS: u32 = 5;

/// The longest text of a toast, in characters.
const MAX_TOAST: usize = 160;

/// The window of a client.
pub(crate) struct Window {
    live: Rc<Live>,
    window: adw::ApplicationWindow,
    title: adw::WindowTitle,
    toasts: adw::ToastOverlay,
    /// The toast that was shown last.
    toast: RefCell<Option<adw::Toast>>,
    name: gtk::Label,
    heading: Heading,
    conversations: Conversations,
    messages: Messages,
    people: People,
    requests: Requests,
    transfers: Transfers,
    composer: Composer,
    search: Search,
}

/// The buttons beside the program's and a conversation's name.
struct Heading {
    verify: gtk::Button,
    members: gtk::Button,
    connect: gtk::Button,
    log_in: gtk::Button,
}

/// Returns a part of an interface. Its file is compiled in, and the tests build each.
pub(crate) fn part<T: IsA<glib::Object>>(builder: &gtk::Builder, name: &str) -> T {
    builder.object(name).expect("the compiled interface has its parts")
}

/// Returns a toast with the beginning of a text.
pub(crate) fn toast_of(text: &str) -> adw::Toast {
    let line = messages::printable_lines(text).replace('\n', " ");
    let mut shown: String = line.chars().take(MAX_TOAST).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    let label = gtk::Label::builder().label(&shown).wrap(true).max_width_chars(60).lines(3);
    adw::Toast::builder().custom_title(&label.build()).timeout(TOAST_SECONDS).build()
}

impl Window {
    /// Creates the window of a client.
    pub(crate) fn new(app: &App, live: Rc<Live>, notify: &Rc<RefCell<Notify>>) -> Rc<Window> {
        let builder = gtk::Builder::from_string(UI);
        let window: adw::ApplicationWindow = part(&builder, "window");
        window.set_application(Some(app.application()));
        let heading = Heading {
            verify: part(&builder, "verify"),
            members: part(&builder, "members"),
            connect: part(&builder, "connect"),
            log_in: part(&builder, "log_in"),
        };
        let this = Rc::new(Window {
            title: part(&builder, "title"),
            toasts: part(&builder, "toasts"),
            toast: RefCell::default(),
            name: part(&builder, "name"),
            heading,
            conversations: Conversations::new(&builder),
            messages: Messages::new(&builder, &live, notify.clone()),
            people: People::new(&builder),
            requests: Requests::new(&builder),
            transfers: Transfers::new(&builder),
            composer: Composer::new(&builder),
            search: Search::new(&builder),
            window,
            live,
        });
        this.connect(&builder);
        this.show(None);
        this.refresh_state();
        this.live.look(this.window.is_active());
        this.composer.focus();
        this
    }

    fn connect(self: &Rc<Self>, builder: &gtk::Builder) {
        self.conversations.connect(self);
        self.people.connect(self);
        self.composer.connect(self, builder);
        self.search.connect(self);
        self.requests.connect(self);
        self.transfers.connect(self);
        let heading = &self.heading;
        heading.verify.connect_clicked(clone!(
            #[weak(rename_to = this)]
            self,
            move |_| {
                if let Some(ConversationId::Person(who)) = this.live.shown() {
                    dialogs::verify::open(&this, who);
                }
            }
        ));
        heading.members.connect_clicked(clone!(
            #[weak(rename_to = this)]
            self,
            move |_| {
                if let Some(ConversationId::Group(group)) = this.live.shown() {
                    dialogs::group::open(&this, group);
                }
            }
        ));
        heading.connect.connect_clicked(clone!(
            #[weak(rename_to = this)]
            self,
            move |_| {
                if let Some(ConversationId::Person(who)) = this.live.shown() {
                    match this.live.has_chat(&who) {
                        true => this.requests.end_chat(&this, who),
                        false => this.requests.connect_to(&this, who),
                    }
                }
            }
        ));
        heading.log_in.connect_clicked(clone!(
            #[weak(rename_to = this)]
            self,
            move |_| dialogs::log_in(&this)
        ));
        self.window.connect_is_active_notify(clone!(
            #[weak(rename_to = this)]
            self,
            move |window| {
                this.live.look(window.is_active());
                this.conversations.refresh(&this.live);
            }
        ));
    }

    /// Returns the client.
    pub(crate) fn live(&self) -> &Rc<Live> {
        &self.live
    }

    /// Returns the window itself.
    pub(crate) fn widget(&self) -> &adw::ApplicationWindow {
        &self.window
    }

    /// Shows what a batch of events has changed.
    pub(crate) fn update(&self, changes: &Changes) {
        if changes.is_other_account {
            self.conversations.clear();
            self.composer.forget();
            self.search.close();
            self.close_others();
            self.show(None);
        }
        let shown = self.live.shown();
        if changes.has_state || changes.is_other_account {
            self.refresh_state();
        }
        if !changes.conversations.is_empty() || changes.has_state {
            self.conversations.refresh(&self.live);
        }
        for warning in &changes.warnings {
            self.toast(warning);
        }
        if shown.is_none() || changes.conversations.iter().any(|one| Some(one) == shown.as_ref()) {
            self.messages.follow();
        }
    }

    /// Closes the dialogs, which are about another account.
    fn close_others(&self) {
        let windows = self.window.application().map(|application| application.windows());
        let own: &gtk::Window = self.window.upcast_ref();
        let others = windows.iter().flatten().filter(|window| *window != own);
        others.for_each(gtk::prelude::GtkWindowExt::close);
    }

    /// Shows a conversation, and lets the user type in it.
    pub(crate) fn go_to(&self, conversation: Option<ConversationId>) {
        self.show(conversation);
        self.composer.focus();
    }

    /// Shows a conversation, or the client's own notes.
    pub(crate) fn show(&self, conversation: Option<ConversationId>) {
        self.live.show(conversation.clone());
        if let (Some(shown), Some(application)) = (&conversation, self.window.application()) {
            application.withdraw_notification(&shown.to_string());
        }
        self.messages.show(&self.live, conversation.as_ref());
        self.conversations.refresh(&self.live);
        self.refresh_heading();
        self.composer.show(&self.live);
    }

    /// Shows a message of a conversation, which may be in the history alone.
    pub(crate) fn show_message(self: &Rc<Self>, with: ConversationId, id: MessageId) {
        self.go_to(Some(with.clone()));
        let this = self.clone();
        glib::spawn_future_local(async move {
            let timeline = this.live.timeline(Some(with.clone()));
            if timeline.place_of(id).is_none() {
                this.live.load_older(&with, Some(id)).await;
            }
            match timeline.place_of(id) {
                // The user may have gone elsewhere.
                _ if this.live.shown() != Some(with) => {}
                Some(place) => this.messages.go_to(&timeline, place),
                None => this.toast("That message is too old to be shown among the others."),
            }
        });
    }

    /// Shows the conversation above or below the shown one in the list.
    pub(crate) fn show_neighbour(&self, is_below: bool) {
        self.conversations.select_neighbour(is_below);
    }

    /// Shows the next conversation of which something is unread.
    pub(crate) fn show_next_unread(&self) {
        let mut all = self.conversations.in_order(&self.live).into_iter();
        if let Some(unread) = all.find(|one| self.live.unread(one) > 0) {
            self.go_to(Some(unread));
        }
    }

    /// Shows or hides the search.
    pub(crate) fn search(&self) {
        self.search.open();
    }

    /// Shows or hides the people.
    pub(crate) fn toggle_people(&self) {
        self.people.toggle();
    }

    /// Asks the user for a file to send in the shown conversation.
    pub(crate) fn attach(self: &Rc<Self>) {
        self.composer.choose_file(self);
    }

    fn refresh_state(&self) {
        self.title.set_subtitle(&self.status());
        let has_account = self.live.read(|view| view.session.username.is_some());
        self.heading.log_in.set_visible(!has_account);
        self.people.refresh(&self.live);
        self.requests.refresh(&self.live);
        self.transfers.refresh(&self.live);
        self.refresh_heading();
        self.composer.show(&self.live);
    }

    /// Shows the open requests again, since the user has decided about a key.
    pub(crate) fn refresh_requests(&self) {
        self.requests.refresh(&self.live);
    }

    fn refresh_heading(&self) {
        let shown = self.live.shown();
        let name = match &shown {
            None => "Notes of the client".to_owned(),
            Some(ConversationId::Everyone) => "Everyone".to_owned(),
            Some(other) => other.to_string(),
        };
        self.name.set_label(&name);
        let me = self.live.read(|view| view.session.username.clone());
        let is_person =
            matches!(&shown, Some(ConversationId::Person(who)) if Some(who) != me.as_ref());
        let has_chat =
            matches!(&shown, Some(ConversationId::Person(who)) if self.live.has_chat(who));
        self.heading.verify.set_visible(is_person);
        self.heading.connect.set_visible(is_person);
        self.heading.connect.set_label(if has_chat { "End the chat" } else { "Chat directly" });
        self.heading.members.set_visible(matches!(shown, Some(ConversationId::Group(_))));
    }

    /// Returns the status: the account, the server and the link to it.
    fn status(&self) -> String {
        self.live.read(|view| {
            let server = view.server.as_deref().unwrap_or("the server");
            match (view.session.link, &view.session.username) {
                (LinkState::LoggedIn, Some(who)) => format!("{who} at {server}"),
                (LinkState::LoggedIn | LinkState::Connected, _) => {
                    format!("connected to {server}, not logged in")
                }
                (LinkState::Connecting, _) => format!("connecting to {server}…"),
                (LinkState::Waiting, Some(who)) => format!("{who}, waiting for {server}"),
                (LinkState::Waiting, None) => format!("waiting for {server}"),
                (LinkState::Offline, Some(who)) => format!("{who}, without the server"),
                (LinkState::Offline, None) => "offline".to_owned(),
            }
        })
    }

    /// Shows the beginning of a text for some seconds, in place of the one before.
    pub(crate) fn toast(&self, text: &str) {
        let toast = toast_of(text);
        if let Some(before) = self.toast.replace(Some(toast.clone())) {
            before.dismiss();
        }
        self.toasts.add_toast(toast);
    }

    /// Shows the outcome of a command: a failure in any case, a reply unless an event shows the same.
    pub(crate) fn conclude(&self, outcome: &Result<Reply, Failure>) {
        match outcome {
            Ok(reply) => {
                // The toast before may tell of an error that is over.
                self.toast.take().iter().for_each(adw::Toast::dismiss);
                if let Some(text) = render::reply(reply).filter(|_| *reply != (Reply::Done {})) {
                    self.toast(&text);
                    if text.chars().count() > MAX_TOAST {
                        self.live.note(self.live.shown(), Kind::Hint, text);
                        self.messages.follow();
                    }
                }
            }
            Err(failure) => self.complain(self.live.shown(), failure),
        }
    }

    /// Shows the conversation to which a command has gone.
    pub(crate) fn go_where_asked(&self) {
        if let Some(asked_for) = self.live.take_asked_for() {
            self.go_to(Some(asked_for));
        }
    }

    /// Shows a failure as a toast, and as a note in the conversation that it is about.
    pub(crate) fn complain(&self, conversation: Option<ConversationId>, failure: &Failure) {
        self.live.note(conversation, Kind::Warning, render::failure(failure));
        self.messages.follow();
        self.toast(&render::failure(failure));
    }

    /// Runs work that ends with the outcome of a command.
    pub(crate) fn run(
        self: &Rc<Self>,
        work: impl Future<Output = Result<Reply, Failure>> + 'static,
    ) {
        let this = Rc::downgrade(self);
        glib::spawn_future_local(async move {
            let outcome = work.await;
            if let Some(this) = this.upgrade() {
                this.conclude(&outcome);
                this.go_where_asked();
            }
        });
    }
}
