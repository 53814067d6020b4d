//! The user's server: asked for at the first run, saved after the first login.

use std::io::{self, BufRead, Read as _, Write};
use std::path::PathBuf;

use letschat_protocol::printable::Printable;
use letschat_protocol::rows::wrap;
use rustix::io::Errno;

use super::found;
use letschat_commands::command::{Role, find};
use letschat_engine::address::ServiceAddress;
use letschat_engine::discovery::FoundServer;
use letschat_settings::file;

/// The maximum length of an answer.
const MAX_LINE_BYTES: u64 = 1_024;

const WHICH: &str = "Which server? HOST, HOST:PORT or, with its key, HOST:PORT#FINGERPRINT; several of one service \
    with commas between them.";

/// The answer, and the file to save it in.
#[derive(Debug, Clone)]
pub struct HomeServer {
    /// The named server, or servers of one service.
    pub server: ServiceAddress,
    /// The settings file to create.
    pub settings: PathBuf,
}

const LOOKING: &str = "Looking for servers on the local network…";

/// Asks for the server until one is named that `probe` reaches, and offers those that `look` finds. An empty answer
/// means the usual one, the only one found, or the one that was named last. No answer, as by Ctrl+D, is `None`. The
/// terminal still edits its lines itself.
///
/// # Errors
///
/// The terminal fails.
pub fn ask(
    usual: &ServiceAddress,
    look: impl FnOnce() -> Vec<FoundServer>,
    mut input: impl BufRead,
    mut output: impl Write,
    columns: usize,
    probe: impl Fn(&ServiceAddress) -> Result<(), String>,
) -> io::Result<Option<ServiceAddress>> {
    writeln!(output, "{}", wrap(&format!("{WHICH} {LOOKING}"), columns))?;
    let servers = look();
    write!(output, "{}", wrap(&found::list(&servers), columns))?;
    let number = if servers.is_empty() { "" } else { "a number, or " };
    let (mut offered, mut which) = match &servers[..] {
        [only] => (only.address.clone().into(), ", the one above"),
        _ => (usual.clone(), ", this machine's"),
    };
    loop {
        write!(output, "Server ({number}empty: {offered}{which}): ")?;
        output.flush()?;
        let mut line = Vec::new();
        let count = match input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
            // Linux returns this error for a closed terminal.
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => 0,
            result => result?,
        };
        let line = String::from_utf8_lossy(&line);
        // The user may paste a whole command line from a friend.
        let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "letschat").collect();
        let answer = words.join(" ");
        if count == 0 {
            // The terminal may be closed.
            let _ = writeln!(output);
            return Ok(None);
        }
        let role = find(&answer).ok().and_then(|command| command.role);
        let named = || match (&words[..], words.last().map(|port| port.parse())) {
            ([host, _], Some(Ok(port))) => ServiceAddress::with_port(host, port),
            _ => answer.parse(),
        };
        let numbered = found::numbered(&servers, &answer);
        let server = match numbered.map_or_else(named, |one| Ok(one.into())) {
            _ if answer.is_empty() => offered.clone(),
            _ if role == Some(Role::Quit) => return Ok(None),
            _ if role == Some(Role::Help) => {
                writeln!(output, "{}", wrap(&format!("{WHICH} `quit` ends."), columns))?;
                write!(output, "{}", wrap(&found::list(&servers), columns))?;
                continue;
            }
            Ok(server) => server,
            Err(error) => {
                writeln!(output, "{}", wrap(&format!("That names no server: {error}."), columns))?;
                continue;
            }
        };
        match probe(&server) {
            Ok(()) => return Ok(Some(server)),
            Err(why) => {
                let told = format!("Can't reach {server}: {why}. Another, or empty to try again?");
                writeln!(output, "{}", wrap(&told, columns))?;
            }
        }
        (offered, which) = (server, "");
    }
}

impl HomeServer {
    /// Creates the settings file, and returns a text about it for the user. It does not change an existing
    /// file.
    pub(super) fn remember(&self) -> Option<String> {
        let path = Printable(&self.settings.display().to_string()).to_string();
        match file::begin(&self.settings, &self.server) {
            Ok(()) => Some(format!(
                "{} is your server from now on (saved in {path}); `letschat HOST [PORT]` names another.",
                self.server
            )),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
            Err(error) => Some(format!("Your server can't be remembered in {path}: {error}.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_settings::file::service_with_key;
    use std::fs;

    fn asked(answers: &str) -> (String, String) {
        asked_with(&[], answers)
    }

    /// Asks after these were found, with `NAME ADDRESS` each. Returns the server with its key.
    fn asked_with(found: &[&str], answers: &str) -> (String, String) {
        let found = found.iter().map(|found| {
            let (name, address) = found.split_once(' ').unwrap();
            FoundServer { name: name.into(), address: address.parse().unwrap() }
        });
        let usual = "127.0.0.1:4400".parse().unwrap();
        let mut output = Vec::new();
        let probe = |service: &ServiceAddress| match service.servers() {
            [only] if only.port == 1 => Err("connection refused".into()),
            _ => Ok(()),
        };
        let look = || found.collect();
        let server = ask(&usual, look, answers.as_bytes(), &mut output, 0, probe).unwrap();
        (
            server.map(|server| service_with_key(&server)).unwrap_or_default(),
            String::from_utf8(output).unwrap(),
        )
    }

    #[test]
    fn the_answer_is_a_server_or_empty_for_the_usual_one() {
        for (answers, server) in [
            ("\n", "127.0.0.1:4400"),
            ("", ""),
            ("no server/\n", ""),
            ("my server\nthere 99\n", "there:99"),
            ("chat.example.org\n", "chat.example.org:4400"),
            ("  chat.example.org:99 \r\n", "chat.example.org:99"),
            ("chat.example.org 99\n", "chat.example.org:99"),
            ("letschat chat.example.org\n", "chat.example.org:4400"),
            ("there:1\nthere\n", "there:4400"),
            ("a.example.org, b.example.org:99\n", "a.example.org:4400,b.example.org:99"),
            ("letschat a,b 99\n", "a:99,b:99"),
            ("quit\n", ""),
            ("help\nthere\n", "there:4400"),
        ] {
            assert_eq!(asked(answers).0, server, "{answers:?}");
        }
    }

    #[test]
    fn what_is_no_server_is_asked_for_again() {
        let (server, shown) = asked("a/b\nthere:0\nthere\n");
        assert_eq!(server, "there:4400");
        assert_eq!(shown.matches("That names no server").count(), 2, "{shown}");
    }

    #[test]
    fn unreached_server_is_offered_again() {
        let (server, shown) = asked("there:1\n\n");
        assert_eq!(server, "");
        assert_eq!(shown.matches("Can't reach there:1: connection refused.").count(), 2, "{shown}");
        assert_eq!(shown.matches("Server (empty: there:1): ").count(), 2, "{shown}");
    }

    #[test]
    fn found_server_is_chosen_by_its_number() {
        let key = "ab".repeat(32);
        let (alpha, beta) = (format!("10.0.0.1:4400#{key}"), "10.0.0.2:99");
        let found = [&*format!("alpha {alpha}"), &*format!("beta {beta}")];
        for (answers, server) in [
            ("1\n", &*alpha),
            (" 2 \n", beta),
            ("\n", "127.0.0.1:4400"),
            ("3\n1\n", &alpha),
            ("there\n", "there:4400"),
            ("there:1\n2\n", beta),
            ("help\n2\n", beta),
            ("quit\n", ""),
        ] {
            assert_eq!(asked_with(&found, answers).0, server, "{answers:?}");
        }
        let (_, shown) = asked_with(&found, "\n");
        let question = "Server (a number, or empty: 127.0.0.1:4400, this machine's): ";
        assert!(shown.ends_with(question), "{shown}");
    }

    #[test]
    fn only_server_found_is_the_empty_answer() {
        let alpha = format!("10.0.0.1:4400#{}", "ab".repeat(32));
        let (server, shown) = asked_with(&[&format!("alpha {alpha}")], "\n");
        assert_eq!(server, alpha);
        assert!(shown.contains("empty: 10.0.0.1:4400, the one above"), "{shown}");
        // An unreached server keeps its key.
        let alpha = format!("10.0.0.1:1#{}", "ab".repeat(32));
        let (server, shown) = asked_with(&[&format!("alpha {alpha}")], "1\n\n10.0.0.1:2\n");
        assert_eq!(server, "10.0.0.1:2");
        assert_eq!(shown.matches("Can't reach 10.0.0.1:1").count(), 2, "{shown}");
    }

    #[test]
    fn question_tells_that_it_looks_on_the_network() {
        let (_, shown) = asked("\n");
        assert!(
            shown.contains("Looking for servers on the local network…\nServer (empty"),
            "{shown}"
        );
    }

    #[test]
    fn it_is_remembered_once_and_never_over_somebodys_settings() {
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().join("letschat/settings.toml");
        let server = format!("there:99#{}", "ab".repeat(32));
        let home = HomeServer { server: server.parse().unwrap(), settings: settings.clone() };
        assert!(home.remember().unwrap().contains("there:99 is your server"));
        let written = fs::read_to_string(&settings).unwrap();
        assert!(written.ends_with(&format!("\nserver = \"{server}\"\n")), "{written}");
        fs::write(&settings, "color = \"never\"\n").unwrap();
        assert_eq!(home.remember(), None);
        assert_eq!(fs::read_to_string(&settings).unwrap(), "color = \"never\"\n");
    }
}
