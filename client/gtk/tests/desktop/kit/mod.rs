//! A desktop of its own for a test, the program on it, and a reader of what it shows.

mod app;
mod desktop;
mod notifications;
mod reader;

pub(crate) use app::{App, Look, PASSWORD};
pub(crate) use reader::Control;
