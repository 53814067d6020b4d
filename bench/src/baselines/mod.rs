//! The baselines of the ratios: the same work without Let's Chat, measured in the same run.
//!
//! * [`sendmmsg`] – datagrams of the same size to the same crowd, in one thread
//! * [`argon2`] – passwords hashed on two threads
//! * [`echo`] – round trips over TCP and over TLS, on the same runtime
//! * [`message_parts`] – the commits, the sealing and the opening of a message in an envelope
//! * [`file_copy`] – a file over TLS between two threads
//! * [`scp`] – the same file by another program, where it is installed

pub(crate) mod argon2;
pub(crate) mod echo;
pub(crate) mod file_copy;
pub(crate) mod message_parts;
pub(crate) mod scp;
pub(crate) mod sendmmsg;
