//! Lua: scripts that drive a client, and plugins of an interactive one.
//!
//! Each script or plugin has a VM of its own on a thread of its own, and speaks with the client
//! through bounded queues: whatever it burns is its own. `docs/SCRIPTING.md` is for who writes them.
//!
//! * [`limits`] – what one of them may use
//! * [`script`] – `--script`
//! * [`plugins`] – those of an interactive client
//! * [`check`] – `--check`
//! * `vm`, `budget`, `modules`, `prelude.luau`, `guards.luau` – the sandbox
//! * `copied` – values on their way out of it
//! * `host` – what is under way in a VM
//! * `script_client`, `mailbox`, `queue` – a client as a script sees it, and its events
//! * `output`, `failure` – what is said, and what goes wrong
//! * `api` – the members of the table `chat`

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod api;
mod budget;
pub mod check;
mod copied;
mod failure;
mod host;
pub mod limits;
mod mailbox;
mod modules;
mod output;
pub mod plugins;
mod queue;
pub mod script;
mod script_client;
mod vm;

pub use output::Said;
