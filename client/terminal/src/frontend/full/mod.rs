//! The full screen: conversations, messages, people and a line, redrawn as a whole.
//!
//! It takes the place of the prompt's editor, and serves the same channels.
//!
//! * `task` – the task: keys and texts in, pictures out
//! * `pressing` – what keys do
//! * `model` – what is shown, beside the view
//! * `draw`, `rows`, `palette` – the picture
//! * [`bindings`] – keys and what they do
//! * `canvas` – cells to escape sequences

pub mod bindings;
mod canvas;
mod draw;
mod model;
mod palette;
mod pressing;
mod rows;
mod task;

pub(in crate::frontend) use canvas::LEAVE;
pub(in crate::frontend) use task::FullScreen;
