//! The man pages, and completions for shells.

use std::io;
use std::path::Path;

use clap::CommandFactory as _;
use letschat_flags::pages::{self, Section};

use crate::config::Flags;
use crate::console;

/// Writes the pages below a folder, in the layout of [`pages`].
pub(crate) fn write(folder: &Path) -> io::Result<()> {
    pages::write(&Flags::command(), &[console(), files()], folder)
}

/// Returns the man page's section about the console's commands.
fn console() -> Section {
    let entry = |(usage, summary): &(&str, &str)| ((*usage).to_owned(), (*summary).to_owned());
    let mut entries: Vec<_> = console::COMMANDS.iter().map(entry).collect();
    entries.push(entry(&(
        "/COMMAND",
        "In a classroom: each command but exit begins with a slash, and any other text is said to \
         everybody.",
    )));
    Section { title: "CONSOLE", entries }
}

fn files() -> Section {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let entries = vec![
        file(
            "~/.config/letschat-server/settings.toml, /etc/letschat-server/settings.toml",
            "Settings, the first of these that exists: any long option without its dashes, as in \
             `places = 200`.",
        ),
        file(
            "~/.local/share/letschat-server/",
            "The data folder: the server's key (server-key.pem), its database (letschat.sqlite) and, \
             in a classroom, a list of the clients (clients.txt).",
        ),
    ];
    Section { title: "FILES", entries }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn man_pages_have_every_option_and_command() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        let read = |name: &str| {
            let path = folder.path().join("man/man1").join(name);
            std::fs::read_to_string(path).unwrap().replace("\\-", "-").replace("\\*(Aq", "'")
        };
        let page = read("letschat-server.1");
        let flags = Flags::command();
        for flag in flags.get_arguments().filter(|flag| !flag.is_hide_set()) {
            assert!(page.contains(flag.get_long().unwrap()), "{flag}");
        }
        for (usage, summary) in console::COMMANDS {
            assert!(page.contains(usage) && page.contains(summary), "{usage}");
        }
        for subcommand in ["account", "account-ban", "fingerprint", "health", "open-room"] {
            assert!(!read(&format!("letschat-server-{subcommand}.1")).is_empty(), "{subcommand}");
        }
    }
}
