//! The limits of a script or plugin. `docs/SCRIPTING.md` lists them for authors.

use std::time::Duration;

/// The memory of one VM.
pub const MEMORY_BYTES: usize = 64 * 1024 * 1024;

/// The processor time of one slice, after which a script must yield.
pub const SLICE: Duration = Duration::from_millis(250);

/// The number of timers at one time.
pub const MAX_TIMERS: usize = 256;

/// The number of registered handlers at one time.
pub const MAX_HANDLERS: usize = 256;

/// The number of tasks at one time: spawned ones and started handlers.
pub const MAX_TASKS: usize = 256;

/// The number of queued events of each client for `chat.wait`, or of each plugin. A further event evicts
/// the oldest.
pub const MAX_EVENTS: usize = 1_024;

/// The number of errors that ends a script or unloads a plugin.
pub const MAX_ERRORS: usize = 5;

/// The number of further clients of one script.
pub const MAX_CLIENTS: usize = 16;

/// The size of the source of a script, plugin or module.
pub const SOURCE_BYTES: u64 = 1024 * 1024;

/// The size of one script's or plugin's store, as JSON.
pub const STORE_BYTES: usize = 1024 * 1024;

/// The total size of the texts in one value that is copied out of a VM. The VM's memory limit does not
/// count a copy.
pub const COPIED_BYTES: usize = STORE_BYTES;

/// The number of values in one copied value: each table and each of its elements.
pub const COPIED_VALUES: usize = 100_000;

/// The nesting depth of tables in one copied value.
pub const COPIED_DEPTH: usize = 64;

/// The size of one text that an API function takes or a plugin returns. No command accepts more.
pub const TEXT_BYTES: usize = 64 * 1024;

/// The number of values that an API function takes.
pub const MAX_ARGUMENTS: usize = 1_000;

/// The length of a printed or logged line. The rest is cut off.
pub const LINE_BYTES: usize = 4 * 1024;

/// The deadline of all filters of one plugin for one message. A plugin that misses it is skipped.
pub const FILTER_TIME: Duration = Duration::from_millis(20);

/// The number of commands and filters of one plugin.
pub const MAX_REGISTERED: usize = 64;

/// The number of parameters of a plugin's command.
pub const MAX_PARAMETERS: usize = 16;

/// The number of consecutive missed filter deadlines that ends a plugin.
pub const MAX_LATE: usize = 5;

/// The burst of lines that a plugin may print; then [`LINES_PER_SECOND`] applies.
pub const LINES_AT_ONCE: u32 = 100;

/// The sustained rate after the burst of [`LINES_AT_ONCE`]. Further lines are dropped.
pub const LINES_PER_SECOND: u32 = 20;
