//! Lua scripts that drive a client, and Lua plugins of an interactive client.
//!
//! Each script or plugin has a VM on its own thread. It talks to the client through bounded queues, so a
//! busy script does not block the client. `docs/SCRIPTING.md` is the manual for authors.
//!
//! * [`limits`] – the limits of one script or plugin
//! * [`script`] – `--script`
//! * [`plugins`] – the plugins of an interactive client
//! * [`check`] – `--check`
//! * `vm`, `budget`, `modules`, `prelude.luau`, `guards.luau` – the sandbox
//! * `copied` – values copied out of a VM
//! * `host` – the tasks, timers and handlers of a VM
//! * `script_client`, `mailbox`, `queue` – a client as a script sees it, and its events
//! * `output`, `failure` – output and errors
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
