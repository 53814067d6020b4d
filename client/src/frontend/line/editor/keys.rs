//! Which key does what, beside what is usual in an editor of lines.

use reedline::{
    EditMode, Emacs, KeyCode, KeyModifiers, Keybindings, ReedlineEvent, default_emacs_keybindings,
};

/// Ctrl+C. reedline's own handling clears the line before it can be looked at.
pub(super) const INTERRUPT: &str = "interrupt";
/// Ctrl+X.
pub(super) const LEAVE: &str = "leave";

/// The name of the menu of completions.
pub(in crate::frontend::line) const COMPLETION_MENU: &str = "completions";

/// The keys of Emacs, as in most shells.
pub(super) fn edit_mode() -> Box<dyn EditMode> {
    let mut keys = default_emacs_keybindings();
    let command = |name: &str| ReedlineEvent::ExecuteHostCommand(name.into());
    // In the search of earlier lines it only ends the search: no chat is ended by a slip.
    let interrupt = ReedlineEvent::UntilFound(vec![
        ReedlineEvent::Multiple(vec![ReedlineEvent::Esc, command(INTERRUPT)]),
        ReedlineEvent::Esc,
    ]);
    control(&mut keys, 'c', interrupt);
    control(&mut keys, 'x', command(LEAVE));
    let complete = ReedlineEvent::UntilFound(vec![
        ReedlineEvent::Menu(COMPLETION_MENU.into()),
        ReedlineEvent::MenuNext,
    ]);
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, complete);
    keys.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
    Box::new(Emacs::new(keys))
}

fn control(keys: &mut Keybindings, key: char, event: ReedlineEvent) {
    keys.add_binding(KeyModifiers::CONTROL, KeyCode::Char(key), event);
}
