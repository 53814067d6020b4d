//! `letschat-gtk`: the client in a window.
//!
//! * [`options`] – flags, environment and settings file
//! * [`app`] – the program: the first run, the window, and the actions of its menus
//! * [`setup`] – the assistant of the first run
//! * [`commands`] – commands and requests
//! * [`style`] – the style, with the colours of people
//! * [`live`] – a running client, and the task that takes its events
//! * [`history`] – searches in the history, and older messages of it
//! * [`notification`] – notifications as the desktop shows them
//! * [`timeline`] – the entries of a conversation
//! * [`window`] – the window and its parts
//! * [`palette`] – every command, with its parameters as fields
//! * [`dialogs`] – questions, safety numbers, groups
//! * [`preferences`] – the settings
//! * [`trouble`] – why the program can't go on
//! * [`accessible`] – names of controls for screen readers
//!
//! Everything that is shown comes from the client's view and events, and everything that is done goes through the
//! table of commands or a request of the client. Text of other people is never markup.

mod accessible;
mod app;
mod commands;
mod dialogs;
mod history;
mod live;
mod notification;
mod options;
mod palette;
mod preferences;
mod setup;
mod style;
mod timeline;
mod trouble;
mod window;

use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory as _;
use letschat_flags::settings_file::FlagsError;
use letschat_flags::{output, pages};
use options::Options;

fn main() -> ExitCode {
    if let Some(folder) = pages::wanted(std::env::args_os()) {
        return write_pages(&folder);
    }
    match Options::read(std::env::args_os()) {
        Ok(options) => app::run(options),
        Err(error @ FlagsError::CommandLine(_)) => error.report("letschat-gtk"),
        Err(error) => trouble::refuse(&error.to_string()),
    }
}

/// Writes the man page and the completions below a folder.
fn write_pages(folder: &Path) -> ExitCode {
    match pages::write(&Options::command(), &[], folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = format!("{} can't be written: {error}", folder.display());
            output::complain("letschat-gtk", text);
            ExitCode::FAILURE
        }
    }
}
