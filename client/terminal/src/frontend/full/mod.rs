//! The full screen: conversations, messages, people and a line, redrawn as a whole.
//!
//! It takes the place of the prompt's editor, and serves the same channels. It runs no command and knows none by name:
//! typed lines and keys go to whoever reads the prompt. Remote text reaches the terminal only through `Printable`.
//!
//! * `task` – the task: keys and texts in, pictures out
//! * `pressing` – keys and the mouse
//! * `model` – the state beside the view
//! * `draw`, `rows`, `palette` – the picture
//! * [`bindings`] – keys and their actions
//! * `canvas` – cells to escape sequences

pub mod bindings;
mod canvas;
mod draw;
mod model;
mod overlay;
mod palette;
mod pressing;
mod rows;
mod task;

pub(in crate::frontend) use canvas::LEAVE;
pub(in crate::frontend) use task::FullScreen;
