//! Lua with a real server: scripts, bots, stories, plugins, and attacks by them.
//!
//! * [`run`] – a client driven by a script
//! * `scripts` – the features of `--script`
//! * `bots` – the bots in `lua/bots`
//! * `stories` – the stories in `lua/tests`, each with its own server
//! * `demo` – scripts/demo.sh with the scripts in `lua/demo`
//! * `plugins` – plugins of a line client, including the shipped ones
//! * `sandbox`, `attacks` – attacks by scripts and by plugins
//! * `traced` – the system calls of a script
//! * `signals` – scripts ended by a signal
//! * `docs` – the Lua blocks of docs/SCRIPTING.md and README.md
//! * `types` – lua/letschat.d.luau, checked against the client

#![allow(clippy::unwrap_used)]

mod attacks;
mod bots;
mod demo;
mod docs;
mod plugins;
mod run;
mod sandbox;
mod scripts;
mod signals;
mod stories;
mod traced;
mod types;
