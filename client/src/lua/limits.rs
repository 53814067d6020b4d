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

/// Events that wait, of each client. When one more comes, the oldest goes.
pub const MAX_EVENTS: usize = 1_024;

/// Errors after which a plugin is switched off and a script ends.
pub const MAX_ERRORS: usize = 5;

/// Further clients of one script.
pub const MAX_CLIENTS: usize = 16;

/// A script, plugin or module.
pub const SOURCE_BYTES: u64 = 1024 * 1024;

/// What one script or plugin keeps, as JSON.
pub const STORE_BYTES: usize = 1024 * 1024;

/// A line that is printed or logged; what is longer is cut off.
pub const LINE_BYTES: usize = 4 * 1024;

/// What a filter has to decide in; then the text goes on unchanged.
pub const FILTER_TIME: Duration = Duration::from_millis(20);

/// Commands and filters of one plugin.
pub const MAX_REGISTERED: usize = 64;

/// Lines of a plugin that are shown at once; then [`LINES_PER_SECOND`] of them.
pub const LINES_AT_ONCE: u32 = 100;

/// See [`LINES_AT_ONCE`]. What is more is left out.
pub const LINES_PER_SECOND: u32 = 20;
