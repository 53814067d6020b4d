//! The program `letschat` without a server: its input, output and settings.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod program;
mod settings;
