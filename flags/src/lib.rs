//! What the command lines of `letschat` and `letschat-server` share.
//!
//! * [`output`] – standard output and standard error
//! * [`pages`] – man pages and completions
//! * [`settings_file`] – flags, then the environment, then a file, then the default
//!
//! A program's flags are declared once, for `clap`; everything here is made from that declaration,
//! so that there is no second list of settings.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod output;
pub mod pages;
pub mod settings_file;
