//! Everything that the programs `letschat` and `letschat-server` share around their cores.
//!
//! * [`clock`] – the time
//! * [`files`] – files that a program keeps, safe from other users
//! * [`hang_up`] – SIGHUP of a closed terminal
//! * [`output`] – standard output and standard error
//! * [`pages`] – man pages and completions
//! * [`settings_file`] – flags, then the environment, then a file, then the default
//!
//! A program declares its flags once, for `clap`. Everything here is derived from that declaration,
//! so there is no second list of settings.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod clock;
pub mod files;
pub mod hang_up;
pub mod output;
pub mod pages;
pub mod settings_file;
