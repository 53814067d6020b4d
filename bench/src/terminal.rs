//! A terminal that runs the client.

use letschat_tests::person::{CTRL_D, Person};
use pty_process::blocking::Command;
use tempfile::TempDir;

use crate::run::Bench;
use crate::server::ServerProcess;

/// Starts the client at a terminal of 80 columns and 24 rows, with the data in this folder. The waits of the result
/// panic, and say what the screen shows.
pub(crate) fn start(
    bench: &Bench,
    server: &ServerProcess,
    data: TempDir,
    flags: &[&str],
) -> Person {
    let address = server.address();
    let command = Command::new(&bench.programs.client)
        .args([address.ip().to_string(), address.port().to_string()])
        .args(["--peer-port", "0", "--data"])
        .arg(data.path())
        .args(flags)
        // The user's own settings must not affect the measurement.
        .env_clear()
        .env("HOME", data.path());
    Person::run(command, "a client", data)
}

/// Ends the client. Returns its folder.
pub(crate) fn finish(mut client: Person) -> TempDir {
    client.press(CTRL_D);
    client.sees_the_end();
    client.leaves_the_data()
}
