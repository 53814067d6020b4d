//! A machine whose users type the commands of a document as they stand there: with default ports and folders.

use std::path::Path;

use pty_process::blocking::Command;

use crate::network::Network;
use crate::person::Person;
use crate::programs::{NO_SETTINGS, foreign_settings, program};

/// A machine with a loopback interface of its own.
pub struct Machine {
    network: Network,
}

impl Machine {
    /// Makes a machine. `None` if this is not allowed here, which is reported.
    pub fn of(test: &str) -> Option<Machine> {
        Network::of(1, test).map(|network| Machine { network })
    }

    /// Returns the program that runs others on this machine.
    pub fn by(&self) -> Vec<String> {
        self.network.by(1)
    }

    /// Types a command of ours in a terminal of its own. The command runs in the user's home.
    pub fn types(&self, command: &str, home: &Path) -> Person {
        let words: Vec<&str> = command.split(' ').collect();
        let by = self.by();
        let fresh = Command::new(&by[0]).args(&by[1..]).arg(program(words[0])).args(&words[1..]);
        let fresh =
            foreign_settings().into_iter().fold(fresh, |command, name| command.env_remove(name));
        let fresh = fresh
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_DATA_HOME")
            .env_remove("NO_COLOR")
            .env("HOME", home)
            // An installed package has settings for all users.
            .env("LETSCHAT_SERVER_CONFIG", NO_SETTINGS)
            .current_dir(home);
        Person::run(fresh, command, tempfile::tempdir().unwrap())
    }
}
