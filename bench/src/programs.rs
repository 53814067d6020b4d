//! The locations of the measured programs, and the bench's errors.

use std::env;
use std::error::Error;
use std::path::PathBuf;

/// The result of a step. An error ends the bench with a sentence.
pub(crate) type BenchResult<T> = Result<T, Box<dyn Error>>;

/// An error with a sentence for the user of the bench.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failed(pub(crate) String);

/// The programs that were built together with this one.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) server: PathBuf,
    pub(crate) client: PathBuf,
    /// The client in a window, which need not be there.
    pub(crate) window: PathBuf,
    /// The folder of all builds.
    pub(crate) target: PathBuf,
}

impl Programs {
    /// Finds the programs beside this one.
    pub(crate) fn beside_this_one() -> BenchResult<Programs> {
        let folder = env::current_exe()?.parent().map(PathBuf::from).unwrap_or_default();
        let programs = Programs {
            server: folder.join("letschat-server"),
            client: folder.join("letschat"),
            window: folder.join("letschat-gtk"),
            target: folder.parent().map(PathBuf::from).unwrap_or_default(),
        };
        for program in [&programs.server, &programs.client] {
            if !program.exists() {
                let missing = program.display();
                let why = format!("{missing} is missing; `cargo build --bins` makes it first");
                return Err(Failed(why).into());
            }
        }
        Ok(programs)
    }
}
