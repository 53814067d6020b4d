//! Where the programs are that are measured, and how a bench fails.

use std::env;
use std::error::Error;
use std::path::PathBuf;

/// What came of a step. A failure ends the bench with a sentence.
pub(crate) type BenchResult<T> = Result<T, Box<dyn Error>>;

/// A sentence for whoever runs the bench.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failed(pub(crate) String);

/// The programs that were built with this one.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) server: PathBuf,
    pub(crate) client: PathBuf,
    /// The folder that all builds are in.
    pub(crate) target: PathBuf,
}

impl Programs {
    /// Those that lie beside this one.
    pub(crate) fn beside_this_one() -> BenchResult<Programs> {
        let folder = env::current_exe()?.parent().map(PathBuf::from).unwrap_or_default();
        let programs = Programs {
            server: folder.join("letschat-server"),
            client: folder.join("letschat"),
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
