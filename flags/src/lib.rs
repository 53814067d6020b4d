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

use std::net::IpAddr;
use std::ops::RangeInclusive;

/// Parses an IP address without a port, for `clap`.
///
/// # Errors
///
/// The text is no IP address. The error follows the name of a flag or setting.
pub fn ip_address(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| "must be an IP address without a port, such as 192.0.2.1 or ::1".into())
}

/// Returns a parser, for `clap`, of numbers in a range.
///
/// # Errors
///
/// The parser's error is a sentence without a subject: it follows the name of a flag or setting.
pub fn number<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("must be a number from {} to {}", range.start(), range.end()))
    }
}
