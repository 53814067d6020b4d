//! The window, as a screen reader finds it: every control is sought by its role and its name (AT-SPI), on a screen of
//! its own (Xvfb). A picture of each step is kept below the folder of all builds, in `pictures`.

#![allow(clippy::unwrap_used)]

mod chats;
mod files;
mod first_run;
mod groups;
mod kit;
mod labels;
mod notifications;
mod palette;
mod pictures;
mod server;
