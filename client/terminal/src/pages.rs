//! The man page, and completions for shells.

use std::io;
use std::path::Path;

use clap::CommandFactory as _;
use letschat_flags::pages::{self, Section};

use crate::config::Options;
use letschat_commands::commands::TABLE;

/// Writes the pages below a folder, in the layout of [`pages`].
///
/// # Errors
///
/// The folder can't be written.
pub fn write(folder: &Path) -> io::Result<()> {
    pages::write(&Options::command(), &[commands(), files()], folder)
}

/// Returns the section of commands, as `help` shows them.
fn commands() -> Section {
    let entry = |command: &&letschat_commands::command::Command| {
        let text = format!("{} Example: {}", command.summary, command.example);
        (command.usage(), text)
    };
    Section { title: "COMMANDS", entries: TABLE.iter().map(entry).collect() }
}

fn files() -> Section {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let entries = vec![
        file(
            "~/.config/letschat/settings.toml",
            "Settings: any long option without its dashes, as in `theme = \"light\"` or \
             `detach-on-chat = true`. XDG_CONFIG_HOME replaces ~/.config.",
        ),
        file(
            "~/.local/share/letschat/",
            "Keys and state, readable by you alone. XDG_DATA_HOME replaces ~/.local/share.",
        ),
        file(
            "~/.local/share/letschat/known_servers.json",
            "The keys of the servers that were met.",
        ),
        file(
            "~/.local/share/letschat/servers/KEY/accounts/NAME/",
            "An account: its key, the people known to it and how far broadcasts were shown.",
        ),
    ];
    Section { title: "FILES", entries }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_man_page_has_every_option_and_every_command() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        let page = std::fs::read_to_string(folder.path().join("man/man1/letschat.1")).unwrap();
        let page = page.replace("\\-", "-").replace("\\*(Aq", "'").replace("\\(aq", "'");
        for command in TABLE {
            assert!(page.contains(command.summary), "{}", command.name);
            assert!(page.contains(command.example), "{}", command.name);
        }
        let options = Options::command();
        for option in options.get_arguments().filter(|option| !option.is_hide_set()) {
            let long = option.get_long().unwrap_or(option.get_id().as_str());
            assert!(page.contains(long) || page.contains(&long.to_uppercase()), "{long}");
        }
    }
}
