//! A desktop of its own for a test, the program on it, and a reader of what it shows.

mod app;
mod colours;
mod desktop;
mod notifications;
mod reader;
mod service;

pub(crate) use app::{App, Look, PASSWORD};
pub(crate) use reader::Control;
