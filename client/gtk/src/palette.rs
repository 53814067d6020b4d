//! Every command of the table and of the plugins, with its parameters as fields.

use std::cell::RefCell;
use std::rc::Rc;

use adw::glib::{self, clone};
use adw::prelude::*;
use letschat_commands::arguments::{Kind, Parameter};
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
    Own(&'static letschat_commands::command::Command),
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

/// Opens the list of commands.
pub(crate) fn open(window: &Rc<Window>) {
    let search: gtk::SearchEntry = named("Find a command");
    search.set_placeholder_text(Some("Find a command"));
    let list: gtk::ListBox = named("Commands");
    list.set_selection_mode(gtk::SelectionMode::Browse);
    let form = column(8);
    let entries = Rc::new(entries(window));
    for entry in entries.iter() {
        let row = adw::ActionRow::builder().title(entry.name()).build();
        row.set_use_markup(false);
        row.set_subtitle(entry.summary());
        row.set_activatable(true);
        list.append(&row);
    }
    list.connect_row_selected(clone!(
        #[weak]
        window,
        #[weak]
        form,
        #[strong]
        entries,
        move |_, row| {
            let entry = row.and_then(|row| entries.get(usize::try_from(row.index()).ok()?));
            if let Some(entry) = entry {
                fill(&form, entry, &window);
            }
        }
    ));
    let wanted = Rc::new(RefCell::new(String::new()));
    list.set_filter_func(clone!(
        #[strong]
        entries,
        #[strong]
        wanted,
        move |row| {
            let entry = usize::try_from(row.index()).ok().and_then(|place| entries.get(place));
            let wanted = wanted.borrow();
            entry.is_some_and(|entry| {
                let text = format!("{} {}", entry.name(), entry.summary()).to_lowercase();
                wanted.split_whitespace().all(|word| text.contains(word))
            })
        }
    ));
    search.connect_search_changed(clone!(
        #[weak]
        list,
        move |search| {
            wanted.replace(search.text().to_lowercase());
            list.invalidate_filter();
            let mut rows = std::iter::successors(list.first_child(), gtk::Widget::next_sibling);
            let first = rows.find(|row| row.is_child_visible());
            list.select_row(first.and_downcast::<gtk::ListBoxRow>().as_ref());
        }
    ));
    search.connect_activate(clone!(
        #[weak]
        form,
        move |_| {
            form.child_focus(gtk::DirectionType::TabForward);
        }
    ));
    let scroll = |child: &gtk::Widget| {
        let scroll = gtk::ScrolledWindow::builder().child(child).vexpand(true).build();
        scroll.set_hscrollbar_policy(gtk::PolicyType::Never);
        scroll
    };
    let left = gtk::Box::new(gtk::Orientation::Vertical, 6);
    left.set_width_request(260);
    left.append(&search);
    left.append(&scroll(list.upcast_ref()));
    let right = scroll(form.upcast_ref());
    right.set_hexpand(true);
    let all = gtk::Box::new(gtk::Orientation::Horizontal, 0);
    all.append(&left);
    all.append(&gtk::Separator::new(gtk::Orientation::Vertical));
    all.append(&right);
    let dialog = open_window(window, "Commands", &all);
    dialog.set_default_size(680, 560);
    // The search takes the key before the window.
    search.connect_stop_search(move |_| dialog.close());
    list.select_row(list.row_at_index(0).as_ref());
    search.grab_focus();
}

fn entries(window: &Window) -> Vec<Entry> {
    let added = window.live().plugins().map(|plugins| plugins.commands()).unwrap_or_default();
    let own = TABLE.iter().map(|command| Entry::Own(command));
    own.chain(added.into_iter().map(Entry::Added)).collect()
}

/// Fills the form for a command.
fn fill(form: &gtk::Box, entry: &Entry, window: &Rc<Window>) {
    let dialog = form.root().and_downcast::<gtk::Window>();
    if let Some(dialog) = &dialog {
        dialog.set_default_widget(None::<&gtk::Widget>);
    }
    while let Some(old) = form.first_child() {
        form.remove(&old);
    }
    let label = |text: &str, class: &str| {
        let label = gtk::Label::builder().label(text).wrap(true).xalign(0.0).build();
        label.add_css_class(class);
        label
    };
    form.append(&label(entry.name(), "title-2"));
    form.append(&label(entry.summary(), "body"));
    if !entry.note().is_empty() {
        form.append(&label(entry.note(), "dim-label"));
    }
    let mut fields = Vec::new();
    let mut add = |name: &str, help: &str, is_optional: bool, field: Field| {
        let optional = if is_optional { " (may be left out)" } else { "" };
        let help = if help.is_empty() { String::new() } else { format!(": {help}") };
        let title = gtk::Label::builder()
            .label(format!("{name}{help}{optional}"))
            .wrap(true)
            .xalign(0.0)
            .mnemonic_widget(&field.widget())
            .build();
        form.append(&title);
        form.append(&field.widget());
        fields.push((name.to_owned(), field));
    };
    match entry {
        Entry::Own(command) => {
            // Secrets are asked for when the command runs.
            let typed = command.parameters.iter().filter(|one| one.is_typed());
            for parameter in typed {
                add(parameter.name, parameter.help, parameter.optional, Field::of(parameter));
            }
        }
        Entry::Added(command) => {
            for parameter in &command.parameters {
                let field = Field::Text(gtk::Entry::new());
                add(&parameter.name, "", parameter.is_optional, field);
            }
        }
    }
    let run = gtk::Button::builder().label("Run").halign(gtk::Align::Start).build();
    run.add_css_class("suggested-action");
    form.append(&run);
    let answer = label("", "body");
    answer.set_wrap_mode(gtk::pango::WrapMode::WordChar);
    answer.set_selectable(true);
    form.append(&answer);
    if let Some(dialog) = dialog {
        dialog.set_default_widget(Some(&run));
    }
    let filled = Rc::new(Form { entry: entry.clone(), fields });
    run.connect_clicked(clone!(
        #[weak]
        window,
        #[weak]
        answer,
        move |run| {
            let (filled, run) = (filled.clone(), run.clone());
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
        }
    ));
}
