//! What the programs `letschat` and `letschat-server` share around their cores.
//!
//! * [`clock`] – the time
//! * [`files`] – files that a program keeps, safe from other users
//! * [`hang_up`] – whether a closed terminal ends the program
//! * [`output`] – standard output and standard error
//! * [`pages`] – man pages and completions
//! * [`settings_file`] – flags, then the environment, then a file, then the default
//!
//! A program's flags are declared once, for `clap`; everything here is made from that declaration,
//! so that there is no second list of settings.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod clock;
pub mod files;
pub mod hang_up;
pub mod output;
pub mod pages;
pub mod settings_file;
