//! The keys that mean something else here than usual in an editor of lines, and those not read yet.

use std::time::Duration;

use crossterm::event;
use reedline::{
    EditMode, Emacs, KeyCode, KeyModifiers, Keybindings, ReedlineEvent, default_emacs_keybindings,
};

/// Ctrl+C. reedline's own handling clears the line before it can be looked at.
pub(super) const INTERRUPT: &str = "ctrl-c";
/// Ctrl+X.
pub(super) const LEAVE: &str = "ctrl-x";
/// Ctrl+Z. It is no signal while the editor has the keys.
pub(crate) const SUSPEND: &str = "ctrl-z";

/// The name of the menu of completions.
pub(in crate::frontend::line) const COMPLETION_MENU: &str = "completions";

/// The keys of Emacs, as in most shells.
pub(super) fn edit_mode() -> Box<dyn EditMode> {
    let mut keys = default_emacs_keybindings();
    // In the search of earlier lines they only end the search: no chat is ended by a slip.
    let unless_searching = |name: &str| {
        ReedlineEvent::UntilFound(vec![
            ReedlineEvent::Multiple(vec![ReedlineEvent::Esc, command(name)]),
            ReedlineEvent::Esc,
        ])
    };
    control(&mut keys, 'c', unless_searching(INTERRUPT));
    control(&mut keys, 'x', command(LEAVE));
    control(&mut keys, 'z', unless_searching(SUSPEND));
    let complete = ReedlineEvent::UntilFound(vec![
        ReedlineEvent::Menu(COMPLETION_MENU.into()),
        ReedlineEvent::MenuNext,
    ]);
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, complete);
    keys.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
    Box::new(Emacs::new(keys))
}

/// The same for the answer to a question, which no other key ends.
pub(crate) fn answer_mode() -> Box<dyn EditMode> {
    let mut keys = default_emacs_keybindings();
    control(&mut keys, 'z', command(SUSPEND));
    Box::new(Emacs::new(keys))
}

/// Returns true if keys were pressed that the editor has not read. They were meant for the prompt that was on
/// the screen.
pub(super) fn are_waiting() -> bool {
    event::poll(Duration::ZERO).unwrap_or(false)
}

fn command(name: &str) -> ReedlineEvent {
    ReedlineEvent::ExecuteHostCommand(name.into())
}

fn control(keys: &mut Keybindings, key: char, event: ReedlineEvent) {
    keys.add_binding(KeyModifiers::CONTROL, KeyCode::Char(key), event);
}
