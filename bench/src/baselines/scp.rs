//! A copy by `scp` over loopback, from a throwaway `sshd` with keys of its own.
//!
//! It is left out where one of the programs is missing or does not work. magic-wormhole is deliberately absent: without
//! a mailbox server and a relay on this machine, it uses public ones.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::programs::{BenchResult, Failed};
use crate::run::say;

/// The usual place of the server, which starts only by its absolute path.
const SSHD: &str = "/usr/sbin/sshd";

/// The settings of the server, besides its key, its port and the file of authorized keys.
const SERVER_SETTINGS: &[&str] = &[
    "ListenAddress=127.0.0.1",
    "PidFile=none",
    "StrictModes=no",
    "PasswordAuthentication=no",
    "Subsystem=sftp internal-sftp",
];

/// The settings of `scp`. It knows no server and never asks.
const CLIENT_SETTINGS: &[&str] = &[
    "BatchMode=yes",
    "IdentitiesOnly=yes",
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "Compression=no",
    "LogLevel=ERROR",
];

/// The deadline of the server's start.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// Copies a file. Returns the time until the copy is on disk, or `None` after a note to the user if that can't be done.
pub(crate) fn copy(source: &Path, target: &Path) -> Option<Duration> {
    match try_to_copy(source, target) {
        Ok(time) => Some(time),
        Err(why) => {
            say(format_args!("scp is left out: {why}"));
            None
        }
    }
}

fn try_to_copy(source: &Path, target: &Path) -> BenchResult<Duration> {
    if !Path::new(SSHD).exists() {
        return Err(Failed(format!("{SSHD} is missing")).into());
    }
    let folder = tempfile::tempdir()?;
    let server = Sshd::start(folder.path())?;
    let mut command = Command::new("scp");
    command.args(["-q", "-F", "/dev/null", "-P", &server.port.to_string(), "-i"]);
    command.arg(&server.user_key);
    with_settings(&mut command, CLIENT_SETTINGS);
    command.arg(format!("127.0.0.1:{}", source.display())).arg(target);
    let begin = Instant::now();
    run(&mut command)?;
    File::open(target)?.sync_all()?;
    Ok(begin.elapsed())
}

/// A running server, which is killed when this is dropped.
struct Sshd {
    child: Child,
    port: u16,
    user_key: PathBuf,
}

impl Sshd {
    /// Starts a server with its keys and its log in this folder. Returns when it listens.
    fn start(folder: &Path) -> BenchResult<Sshd> {
        let [host_key, user_key, authorized, log] =
            ["host", "user", "user.pub", "log"].map(|name| folder.join(name));
        for key in [&host_key, &user_key] {
            let mut command = Command::new("ssh-keygen");
            run(command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(key))?;
        }
        let port = free_port()?;
        let mut command = Command::new(SSHD);
        // The machine's own settings must not affect the measurement.
        command.args(["-D", "-e", "-f", "/dev/null", "-p", &port.to_string(), "-h"]).arg(host_key);
        with_settings(&mut command, SERVER_SETTINGS);
        command.arg("-o").arg(format!("AuthorizedKeysFile={}", authorized.display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let mut server = Sshd { child: command.spawn()?, port, user_key };
        server.wait(&log)?;
        Ok(server)
    }

    fn wait(&mut self, log: &Path) -> BenchResult<()> {
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if self.child.try_wait()?.is_some() || Instant::now() > until {
                let log = fs::read_to_string(log).unwrap_or_default();
                return Err(Failed(format!("sshd does not start: {}", log.trim())).into());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // This fails only if the server has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn with_settings(command: &mut Command, settings: &[&str]) {
    for setting in settings {
        command.args(["-o", setting]);
    }
}

/// Returns a port that nobody has at the moment.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Runs a program to its end, and fails if it does.
fn run(command: &mut Command) -> BenchResult<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |why: &str| Failed(format!("{name} does not work: {}", why.trim()));
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| failed(&error.to_string()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(&String::from_utf8_lossy(&output.stderr)).into()),
    }
}
