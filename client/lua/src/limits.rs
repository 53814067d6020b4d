//! What a script or plugin may use. `docs/SCRIPTING.md` tells the same to its writers.

use std::time::Duration;

/// Memory of one VM.
pub const MEMORY_BYTES: usize = 64 * 1024 * 1024;

/// Computing without giving way, in time of the processor.
pub const SLICE: Duration = Duration::from_millis(250);

/// Timers that wait at the same time.
pub const MAX_TIMERS: usize = 256;

/// Handlers that are registered at the same time.
pub const MAX_HANDLERS: usize = 256;

/// Tasks that are under way at the same time: spawned ones and started handlers.
pub const MAX_TASKS: usize = 256;

/// Events of each client that wait for `chat.wait`, or for a plugin. When one more comes, the oldest goes.
pub const MAX_EVENTS: usize = 1_024;

/// Errors after which a plugin is switched off and a script ends.
pub const MAX_ERRORS: usize = 5;

/// Further clients of one script.
pub const MAX_CLIENTS: usize = 16;

/// A script, plugin or module.
pub const SOURCE_BYTES: u64 = 1024 * 1024;

/// What one script or plugin keeps, as JSON.
pub const STORE_BYTES: usize = 1024 * 1024;

/// Texts in one value that is copied out of a VM, all of them together. What is copied is in no VM's
/// memory any more, so it has limits of its own.
pub const COPIED_BYTES: usize = STORE_BYTES;

/// Values in one that is copied out of a VM: a table and each thing in it.
pub const COPIED_VALUES: usize = 100_000;

/// Tables in tables, of a value that is copied out of a VM.
pub const COPIED_DEPTH: usize = 64;

/// One text that a function of the API takes, or that a plugin hands back. No command takes more.
pub const TEXT_BYTES: usize = 64 * 1024;

/// Values that a function of the API takes at once.
pub const MAX_ARGUMENTS: usize = 1_000;

/// A line that is printed or logged; what is longer is cut off.
pub const LINE_BYTES: usize = 4 * 1024;

/// What all filters of one plugin have to decide in about one message; then they are passed over.
pub const FILTER_TIME: Duration = Duration::from_millis(20);

/// Commands and filters of one plugin.
pub const MAX_REGISTERED: usize = 64;

/// Parameters of a plugin's command.
pub const MAX_PARAMETERS: usize = 16;

/// Times in a row that a plugin is too late with its filters; then it ends.
pub const MAX_LATE: usize = 5;

/// Lines of a plugin that are shown at once; then [`LINES_PER_SECOND`] of them.
pub const LINES_AT_ONCE: u32 = 100;

/// See [`LINES_AT_ONCE`]. What is more is left out.
pub const LINES_PER_SECOND: u32 = 20;
