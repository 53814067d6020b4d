//! A client driven by a script.

use std::fs;
use std::path::{Path, PathBuf};

use letschat_tests::client::TestClient;
use letschat_tests::programs::{Running, program_by, without_settings};
use letschat_tests::project::root;
use letschat_tests::server::TestServer;
use tempfile::TempDir;

/// An address where nobody listens: the port is reserved.
pub(crate) const NOWHERE: &str = "127.0.0.1:1";

/// A running script and its client's folder.
pub(crate) struct Script {
    pub(crate) process: Running,
    pub(crate) data: TempDir,
}

impl Script {
    /// Runs a script file.
    pub(crate) fn start(location: &str, file: &Path, arguments: &[&str]) -> Script {
        Script::start_in(tempfile::tempdir().unwrap(), location, file, &[], arguments)
    }

    /// Runs a script in a folder that may have been used before, with these flags.
    pub(crate) fn start_in(
        data: TempDir,
        location: &str,
        file: &Path,
        flags: &[&str],
        arguments: &[&str],
    ) -> Script {
        // The tests may run with SIGHUP ignored, as under nohup.
        let by = ["env", "--default-signal=HUP"].map(str::to_owned);
        let mut command = program_by(&by, "letschat");
        without_settings(&mut command);
        command.args(["--peer-port", "0", "--server", location, "--data"]).arg(data.path());
        command.args(flags).arg("--script").arg(file).args(arguments);
        Script { process: Running::start(&mut command), data }
    }

    /// Runs a shipped script as a user who has an account.
    pub(crate) fn bot(server: &TestServer, name: &str, flags: &[&str], args: &[&str]) -> Script {
        let mut before = TestClient::start(server, name);
        before.sign_up_and_log_in();
        before.process.end_input();
        assert_eq!(before.process.exit_code(), 0);
        let file = shipped(&format!("bots/{name}.lua"));
        let flags = [&["--as", name][..], flags].concat();
        Script::start_in(before.data, &server.location(), &file, &flags, args)
    }

    /// Waits for the end. Returns the exit status, the output and the errors.
    pub(crate) fn ends(mut self) -> Ended {
        let status = self.process.exit_code();
        Ended { status, said: self.process.heard.join("\n"), errors: self.process.errors() }
    }
}

/// The result of a script.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) said: String,
    pub(crate) errors: String,
}

/// Runs a text as a script without a server.
pub(crate) fn run(source: &str) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    run_in(&folder, source)
}

/// Runs a text as a script in a folder that may contain modules.
pub(crate) fn run_in(folder: &TempDir, source: &str) -> Ended {
    let file = folder.path().join("test.lua");
    fs::write(&file, source).unwrap();
    let data = tempfile::tempdir().unwrap();
    Script::start_in(data, NOWHERE, &file, &["--tries", "1"], &["one", "two"]).ends()
}

/// Returns a file below `lua/`.
pub(crate) fn shipped(path: &str) -> PathBuf {
    root().join("lua").join(path)
}
