//! Standard error, while the editor writes its prompt there.
//!
//! reedline draws on standard error. Where that is a file, as by `letschat 2>file`, the prompt would
//! be written into it and not be seen, so the terminal takes its place.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::fstat;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::stdio::dup2_stderr;

/// The standard error that the user chose, if it is not the terminal. Put back when this is dropped.
pub(crate) struct KeptErrors(Option<OwnedFd>);

impl KeptErrors {
    /// Puts the terminal of standard output in the place of standard error.
    pub(crate) fn begin() -> KeptErrors {
        let (output, errors) = (io::stdout(), io::stderr());
        let device = |stat: rustix::fs::Stat| stat.st_rdev;
        let is_there = fstat(&output).map(device).ok() == fstat(&errors).map(device).ok();
        if is_there {
            return KeptErrors(None);
        }
        let kept = fcntl_dupfd_cloexec(&errors, 3).ok();
        KeptErrors(kept.filter(|_| dup2_stderr(&output).is_ok()))
    }
}

impl Drop for KeptErrors {
    fn drop(&mut self) {
        if let Some(kept) = &self.0 {
            // What is said after that is seen at the terminal.
            let _ = dup2_stderr(kept);
        }
    }
}
