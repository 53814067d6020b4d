//! A stand-in for webpki 0.22, an optional dependency of the crate mysql.
//!
//! mysql 28 names two error types of webpki in its own error and uses nothing else of it: rustls
//! verifies the certificates. The real crate would bring `ring`, a second cryptographic library.

use std::error;
use std::fmt;

/// An error of a certificate. Nothing returns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {}

impl fmt::Display for Error {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl error::Error for Error {}

/// The error of a host name that is no DNS name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidDnsNameError;

impl fmt::Display for InvalidDnsNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host name is not a DNS name")
    }
}

impl error::Error for InvalidDnsNameError {}
