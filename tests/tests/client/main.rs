//! The program `letschat` where there is no server: its input, its output and its settings.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod program;
mod settings;
