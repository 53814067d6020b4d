//! Every command of the table and of the plugins, with its parameters as fields.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use adw::glib::{self, clone};
use adw::prelude::*;
use letschat_commands::arguments::{Kind, Parameter};
use letschat_commands::command::Command;
use letschat_commands::commands::TABLE;
use letschat_commands::extension::{AddedCommand, Extension as _};
use letschat_commands::failure::Failure;
use letschat_commands::render;
use letschat_core::codes::FailureCode;
use letschat_core::session::Reply;
use serde_json::{Map, Value};

use crate::accessible::named;
use crate::dialogs::{column, open_window};
use crate::window::Window;
use crate::window::messages::printable_lines;

/// A command of the table, or of a plugin.
#[derive(Debug, Clone)]
enum Entry {
    Own(&'static Command),
    Added(AddedCommand),
}

impl Entry {
    fn name(&self) -> &str {
        match self {
            Entry::Own(command) => command.name,
            Entry::Added(command) => &command.name,
        }
    }

    fn summary(&self) -> &str {
        match self {
            Entry::Own(command) => command.summary,
            Entry::Added(command) => &command.summary,
        }
    }

    fn note(&self) -> &str {
        match self {
            Entry::Own(command) => command.note,
            Entry::Added(_) => "A plugin has added it.",
        }
    }
}

/// The field of a parameter.
enum Field {
    Text(gtk::Entry),
    Switch(gtk::Switch),
    Choice(gtk::DropDown, Vec<&'static str>),
}

impl Field {
    fn of(parameter: &Parameter) -> Field {
        match parameter.kind {
            Kind::Flag => Field::Switch(gtk::Switch::new()),
            Kind::Choice(words) | Kind::Keyword(words) => {
                let mut all = if parameter.optional { vec![""] } else { Vec::new() };
                all.extend(words);
                Field::Choice(gtk::DropDown::from_strings(&all), all)
            }
            _ => Field::Text(gtk::Entry::builder().activates_default(true).build()),
        }
    }

    fn widget(&self) -> gtk::Widget {
        match self {
            Field::Text(entry) => entry.clone().upcast(),
            Field::Switch(switch) => {
                switch.set_halign(gtk::Align::Start);
                switch.clone().upcast()
            }
            Field::Choice(choice, _) => choice.clone().upcast(),
        }
    }

    /// Returns the value, or `None` if nothing was given.
    fn value(&self) -> Option<Value> {
        let text = match self {
            Field::Switch(switch) => return switch.is_active().then_some(Value::Bool(true)),
            Field::Text(entry) => entry.text().to_string(),
            Field::Choice(choice, words) => (*words.get(choice.selected() as usize)?).to_owned(),
        };
        (!text.is_empty()).then_some(Value::String(text))
    }
}

/// The form of the chosen command.
struct Form {
    entry: Entry,
    fields: Vec<(String, Field)>,
}

impl Form {
    /// Runs the command with the values of the fields.
    async fn run(&self, window: &Window) -> Result<Reply, Failure> {
        let values = self.fields.iter().map(|(name, field)| (name, field.value()));
        match &self.entry {
            Entry::Own(command) => {
                let given = values.filter_map(|(name, value)| Some((name.clone(), value?)));
                let arguments: Map<String, Value> = given.collect();
                window.live().run_object(command.name, &arguments).await
            }
            Entry::Added(command) => {
                let words: Vec<Option<String>> = values
                    .map(|(_, value)| value.and_then(|value| value.as_str().map(str::to_owned)))
                    .collect();
                // A typed line has no way to leave out a word before another one.
                if words.iter().skip_while(|word| word.is_some()).any(Option::is_some) {
                    let why = "Fill the fields from the first one on.";
                    return Err(Failure::new(FailureCode::BadArguments, why));
                }
                let words: Vec<String> = words.into_iter().flatten().collect();
                let line = format!("/{} {}", command.name, words.join(" "));
                window.live().run_line(&line, window.live().shown()).await
            }
        }
    }
}

/// The list of commands, and the form of the chosen one.
struct Palette {
    entries: Vec<Entry>,
    /// The words of the search, in lower case.
    wanted: RefCell<String>,
    list: gtk::ListBox,
    form: gtk::Box,
    dialog: glib::WeakRef<adw::Window>,
    window: Weak<Window>,
}

/// Opens the list of commands.
pub(crate) fn open(window: &Rc<Window>) {
    Palette::open(window);
}

impl Palette {
    fn open(window: &Rc<Window>) {
        let search: gtk::SearchEntry = named("Find a command");
        search.set_placeholder_text(Some("Find a command"));
        let list: gtk::ListBox = named("Commands");
        list.set_selection_mode(gtk::SelectionMode::Browse);
        let form = column(8);
        let dialog = open_window(window, "Commands", &side_by_side(&search, &list, &form));
        dialog.set_default_size(680, 560);
        let palette = Rc::new(Palette {
            entries: entries(window),
            wanted: RefCell::default(),
            list,
            form,
            dialog: dialog.downgrade(),
            window: Rc::downgrade(window),
        });
        palette.add_rows();
        palette.connect_search(&search);
        palette.list.select_row(palette.list.row_at_index(0).as_ref());
        search.grab_focus();
        // It lives as long as its dialog.
        dialog.connect_destroy(move |_| _ = &palette);
    }

    fn entry_of(&self, row: &gtk::ListBoxRow) -> Option<&Entry> {
        self.entries.get(usize::try_from(row.index()).ok()?)
    }

    fn add_rows(self: &Rc<Self>) {
        for entry in &self.entries {
            let row = adw::ActionRow::builder().title(entry.name()).build();
            row.set_use_markup(false);
            row.set_subtitle(entry.summary());
            row.set_activatable(true);
            self.list.append(&row);
        }
        self.list.connect_row_selected(clone!(
            #[weak(rename_to = palette)]
            self,
            move |_, row| match row.and_then(|row| palette.entry_of(row)) {
                Some(entry) => palette.fill(entry),
                None => palette.clear("No command has these words."),
            }
        ));
        self.list.set_filter_func(clone!(
            #[weak(rename_to = palette)]
            self,
            #[upgrade_or]
            true,
            move |row| palette.entry_of(row).is_some_and(|entry| {
                let text = format!("{} {}", entry.name(), entry.summary()).to_lowercase();
                palette.wanted.borrow().split_whitespace().all(|word| text.contains(word))
            })
        ));
    }

    fn connect_search(self: &Rc<Self>, search: &gtk::SearchEntry) {
        search.connect_search_changed(clone!(
            #[weak(rename_to = palette)]
            self,
            move |search| {
                palette.wanted.replace(search.text().to_lowercase());
                palette.list.invalidate_filter();
                let first = palette.list.first_child();
                let mut rows = std::iter::successors(first, gtk::Widget::next_sibling);
                let first = rows.find(|row| row.is_child_visible());
                palette.list.select_row(first.and_downcast::<gtk::ListBoxRow>().as_ref());
            }
        ));
        search.connect_activate(clone!(
            #[weak(rename_to = palette)]
            self,
            move |_| {
                palette.form.child_focus(gtk::DirectionType::TabForward);
            }
        ));
        // The search takes the key before the window.
        let dialog = self.dialog.clone();
        search.connect_stop_search(move |_| {
            if let Some(dialog) = dialog.upgrade() {
                dialog.close();
            }
        });
    }

    /// Leaves only a sentence in the form.
    fn clear(&self, text: &str) {
        if let Some(dialog) = self.dialog.upgrade() {
            dialog.set_default_widget(None::<&gtk::Widget>);
        }
        while let Some(old) = self.form.first_child() {
            self.form.remove(&old);
        }
        self.form.append(&label(text, "body"));
    }

    /// Fills the form for a command.
    fn fill(&self, entry: &Entry) {
        self.clear(entry.summary());
        self.form.prepend(&label(entry.name(), "title-2"));
        if !entry.note().is_empty() {
            self.form.append(&label(entry.note(), "dim-label"));
        }
        let fields = match entry {
            Entry::Own(command) => {
                // Secrets are asked for when the command runs.
                let typed = command.parameters.iter().filter(|one| one.is_typed());
                typed
                    .map(|one| self.add_field(one.name, one.help, one.optional, Field::of(one)))
                    .collect()
            }
            Entry::Added(command) => {
                let field = || Field::Text(gtk::Entry::new());
                let added = command.parameters.iter();
                added.map(|one| self.add_field(&one.name, "", one.is_optional, field())).collect()
            }
        };
        self.add_run(Form { entry: entry.clone(), fields });
    }

    fn add_field(
        &self,
        name: &str,
        help: &str,
        is_optional: bool,
        field: Field,
    ) -> (String, Field) {
        let optional = if is_optional { " (may be left out)" } else { "" };
        let help = if help.is_empty() { String::new() } else { format!(": {help}") };
        let title = label(&format!("{name}{help}{optional}"), "body");
        title.set_mnemonic_widget(Some(&field.widget()));
        self.form.append(&title);
        self.form.append(&field.widget());
        (name.to_owned(), field)
    }

    /// Adds the button that runs the command, and the place of its answer.
    fn add_run(&self, filled: Form) {
        let run = gtk::Button::builder().label("Run").halign(gtk::Align::Start).build();
        run.add_css_class("suggested-action");
        self.form.append(&run);
        let answer = label("", "body");
        answer.set_wrap_mode(gtk::pango::WrapMode::WordChar);
        answer.set_selectable(true);
        self.form.append(&answer);
        if let Some(dialog) = self.dialog.upgrade() {
            dialog.set_default_widget(Some(&run));
        }
        let (window, filled) = (self.window.clone(), Rc::new(filled));
        run.connect_clicked(move |run| {
            let Some(window) = window.upgrade() else { return };
            let (filled, run, answer) = (filled.clone(), run.clone(), answer.clone());
            run.set_sensitive(false);
            answer.set_text("…");
            glib::spawn_future_local(async move {
                let text = match filled.run(&window).await {
                    Ok(reply) => render::reply(&reply).unwrap_or_else(|| "Done.".into()),
                    Err(failure) => render::failure(&failure),
                };
                answer.set_text(&printable_lines(&text));
                window.go_where_asked();
                run.set_sensitive(true);
            });
        });
    }
}

/// Returns the search and the list on the left, and the form on the right.
fn side_by_side(search: &gtk::SearchEntry, list: &gtk::ListBox, form: &gtk::Box) -> gtk::Box {
    let left = gtk::Box::new(gtk::Orientation::Vertical, 6);
    left.set_width_request(260);
    left.append(search);
    left.append(&scrolled(list));
    let right = scrolled(form);
    right.set_hexpand(true);
    let all = gtk::Box::new(gtk::Orientation::Horizontal, 0);
    all.append(&left);
    all.append(&gtk::Separator::new(gtk::Orientation::Vertical));
    all.append(&right);
    all
}

fn scrolled(child: &impl IsA<gtk::Widget>) -> gtk::ScrolledWindow {
    let scroll = gtk::ScrolledWindow::builder().child(child).vexpand(true).build();
    scroll.set_hscrollbar_policy(gtk::PolicyType::Never);
    scroll
}

fn label(text: &str, class: &str) -> gtk::Label {
    let label = gtk::Label::builder().label(text).wrap(true).xalign(0.0).build();
    label.add_css_class(class);
    label
}

fn entries(window: &Window) -> Vec<Entry> {
    let added = window.live().plugins().map(|plugins| plugins.commands()).unwrap_or_default();
    let own = TABLE.iter().map(|command| Entry::Own(command));
    own.chain(added.into_iter().map(Entry::Added)).collect()
}
