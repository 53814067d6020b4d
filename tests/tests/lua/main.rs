//! Lua against a real server: scripts, bots, stories, plugins, and whoever attacks by them.
//!
//! * [`run`] – a client that a script drives
//! * `scripts` – what `--script` promises
//! * `bots` – those that are in `lua/bots`
//! * `stories` – those in `lua/tests`, each against a server of its own
//! * `demo` – scripts/demo.sh with the parts in `lua/demo`
//! * `plugins` – those of a line client, shipped ones among them
//! * `sandbox`, `attacks` – attacks by scripts and by plugins, and what comes of them
//! * `traced` – what a script asks of the system
//! * `signals` – how a script ends that the system ends
//! * `docs` – the Lua of docs/SCRIPTING.md and README.md
//! * `types` – lua/letschat.d.luau against what there is

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
