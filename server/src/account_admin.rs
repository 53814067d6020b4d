//! `letschat-server account`: what the operator does with accounts, also while the server runs.
//!
//! * `list` – the table of accounts, for people and for programs
//! * `import` – accounts from a CSV file: `table` reads it, `rows` judges it, `hashing` hashes
//! * `export` – accounts into a CSV file
//! * `new_password` – where a password comes from: a file, or somebody at a terminal

mod export;
mod hashing;
mod import;
mod list;
mod new_password;
mod rows;
mod table;

use std::error::Error;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use letschat_flags::clock::now;
use letschat_flags::output::{self, Stream};
use letschat_protocol::username::Username;
use letschat_server::reserved_names;
use letschat_server::settings::StoreLocation;
use letschat_server::store::admin::{Absent, AccountAdmin, open_beside_server};
use letschat_server::store::password::hash;
use letschat_server::store::{Created, StoreError};

use self::export::ExportFlags;
use self::import::ImportFlags;
use self::new_password::PasswordError;
use crate::config::Flags;

/// What is to be done with which account.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountTask {
    /// Show all accounts
    List {
        /// An object on a line for each, for programs
        #[arg(long)]
        json: bool,
    },
    /// Make an account, and the database if there is none yet
    Add {
        /// The new account's name
        name: Username,
        #[command(flatten)]
        password: PasswordFlags,
    },
    /// Ban an account
    Ban {
        /// Whose
        name: Username,
    },
    /// Let a banned account log in again
    Unban {
        /// Whose
        name: Username,
    },
    /// Delete an account with its keys
    Delete {
        /// Whose
        name: Username,
        /// Do not ask whether this is meant
        #[arg(long)]
        yes: bool,
    },
    /// Set another password, which every device has to log in with once
    ResetPassword {
        /// Whose
        name: Username,
        #[command(flatten)]
        password: PasswordFlags,
    },
    /// Make the accounts of a CSV file, all or none, and the database if there is none yet
    Import(ImportFlags),
    /// Write names and password hashes as CSV, for an import elsewhere
    Export(ExportFlags),
}

/// Where a new password comes from.
#[derive(Debug, Args)]
pub(crate) struct PasswordFlags {
    /// A file with the password in its first line; - for standard input [default: the terminal]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// There is nobody to ask whether this is meant.
    #[error("without a terminal to ask at, deleting needs --yes")]
    NobodyToAsk,
    /// The account is not there.
    #[error("there is no account {0}")]
    Nobody(Username),
    /// The new account is there.
    #[error("there is an account {0} already")]
    Taken(Username),
    /// There is no new password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Whoever was asked did not say yes.
    #[error("nothing was deleted")]
    NotMeant,
    /// The database can't be used.
    #[error("can't use the database {location}: {source}; --store chooses another")]
    Store {
        /// Which.
        location: Box<StoreLocation>,
        /// Why not.
        source: StoreError,
    },
}

impl AdminError {
    /// Whether it has to be said otherwise.
    pub(crate) fn is_wrong_usage(&self) -> bool {
        matches!(self, AdminError::NobodyToAsk | AdminError::Password(PasswordError::NobodyToAsk))
    }
}

/// Does it, and says what was done.
pub(crate) fn run(task: &AccountTask, flags: &Flags) -> Result<(), Box<dyn Error>> {
    let rows = match task {
        AccountTask::Import(import) => Some(import.read()?),
        _ => None,
    };
    let mut accounts = Accounts::open(task, flags)?;
    match task {
        AccountTask::List { json } => accounts.list(*json),
        AccountTask::Add { name, password } => accounts.add(name, password),
        AccountTask::Ban { name } => accounts.ban(name),
        AccountTask::Unban { name } => accounts.unban(name),
        AccountTask::Delete { name, yes } => accounts.delete(name, *yes),
        AccountTask::ResetPassword { name, password } => accounts.reset_password(name, password),
        AccountTask::Import(import) => accounts.import(import, rows.unwrap_or_default()),
        AccountTask::Export(export) => accounts.export(export),
    }
}

/// The accounts of the store that the settings name.
struct Accounts {
    store: Box<dyn AccountAdmin>,
    location: StoreLocation,
}

impl Accounts {
    fn open(task: &AccountTask, flags: &Flags) -> Result<Accounts, Box<dyn Error>> {
        let location = flags.store()?;
        let absent = match task {
            AccountTask::Add { .. } | AccountTask::Import(_) => {
                make_folder_of(&location, flags)?;
                Absent::Make
            }
            _ => Absent::Refuse,
        };
        match open_beside_server(&location, absent) {
            Ok(store) => Ok(Accounts { store, location }),
            Err(source) => Err(AdminError::Store { location: Box::new(location), source }.into()),
        }
    }

    fn list(&mut self, json: bool) -> Result<(), Box<dyn Error>> {
        let location = &self.location;
        let accounts = list::read_all(&mut *self.store).map_err(|error| failed(location, error))?;
        let shown = if json { list::json(&accounts) } else { list::table(&accounts) };
        Ok(output::print(&shown)?)
    }

    fn add(&mut self, name: &Username, from: &PasswordFlags) -> Result<(), Box<dyn Error>> {
        // Before anybody is asked for a password.
        if self.ask_store(|store| store.account(name))?.is_some() {
            return Err(AdminError::Taken(name.clone()).into());
        }
        let phc = new_password_for(name, from)?;
        let now_ms = now().wall_ms;
        match self.ask_store(|store| store.create_account(name, &phc, now_ms))? {
            Created::New => {
                done(&format!("{name} has an account now"))?;
                warn_of_reserved(name);
                Ok(())
            }
            Created::Taken => Err(AdminError::Taken(name.clone()).into()),
        }
    }

    fn ban(&mut self, name: &Username) -> Result<(), Box<dyn Error>> {
        self.change(name, |store| store.set_banned(name, true))?;
        tell_of_open_session(name);
        done(&format!("{name} is banned"))
    }

    fn unban(&mut self, name: &Username) -> Result<(), Box<dyn Error>> {
        self.change(name, |store| store.set_banned(name, false))?;
        done(&format!("{name} may log in"))
    }

    fn delete(&mut self, name: &Username, yes: bool) -> Result<(), Box<dyn Error>> {
        self.expect(name)?;
        if !yes {
            confirm(name)?;
        }
        self.change(name, |store| store.delete_account(name))?;
        tell_of_open_session(name);
        done(&format!("{name} and all keys of that account are deleted"))
    }

    fn reset_password(
        &mut self,
        name: &Username,
        from: &PasswordFlags,
    ) -> Result<(), Box<dyn Error>> {
        self.expect(name)?;
        let phc = new_password_for(name, from)?;
        self.change(name, |store| store.set_password(name, &phc, None))?;
        tell_of_open_session(name);
        done(&format!(
            "{name} has a new password; the account's keys are gone, so every device has to log in \
             with it once"
        ))
    }

    /// Before anybody is asked anything about an account that is not there.
    fn expect(&mut self, name: &Username) -> Result<(), AdminError> {
        match self.ask_store(|store| store.account(name))? {
            Some(_) => Ok(()),
            None => Err(AdminError::Nobody(name.clone())),
        }
    }

    fn change(
        &mut self,
        name: &Username,
        change: impl FnOnce(&mut dyn AccountAdmin) -> Result<bool, StoreError>,
    ) -> Result<(), AdminError> {
        match self.ask_store(change)? {
            true => Ok(()),
            false => Err(AdminError::Nobody(name.clone())),
        }
    }

    fn ask_store<T>(
        &mut self,
        ask: impl FnOnce(&mut dyn AccountAdmin) -> Result<T, StoreError>,
    ) -> Result<T, AdminError> {
        ask(&mut *self.store).map_err(|error| failed(&self.location, error))
    }
}

/// The argon2id hash as a PHC string.
fn new_password_for(name: &Username, from: &PasswordFlags) -> Result<String, Box<dyn Error>> {
    let password = new_password::read(name, from.password_file.as_deref());
    Ok(hash(&password.map_err(AdminError::Password)?.0)?)
}

fn failed(location: &StoreLocation, source: StoreError) -> AdminError {
    AdminError::Store { location: Box::new(location.clone()), source }
}

/// The first account may come before the first start. Only the server's own folder is made: that
/// of a database elsewhere is its operator's choice.
fn make_folder_of(location: &StoreLocation, flags: &Flags) -> Result<(), Box<dyn Error>> {
    match (location, flags.data_folder()) {
        (StoreLocation::Sqlite(path), Ok(folder)) if path.parent() == Some(&folder) => {
            letschat_server::make_data_folder(&folder).map_err(|error| {
                format!("can't use the folder {}, which --data chooses: {error}", folder.display())
                    .into()
            })
        }
        _ => Ok(()),
    }
}

fn confirm(name: &Username) -> Result<(), Box<dyn Error>> {
    if !io::stdin().is_terminal() {
        return Err(AdminError::NobodyToAsk.into());
    }
    let question = format!("Delete {name} and all keys of that account? Type yes to do so: ");
    Stream::Error.write(&question)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(AdminError::NotMeant.into()),
    }
}

/// What was done stays done if that can't be said.
fn done(what: &str) -> Result<(), Box<dyn Error>> {
    Ok(output::print(&format!("{what}\n"))?)
}

/// Nobody can sign up by such a name. An operator may want it, for an account of their own.
fn warn_of_reserved(name: &Username) {
    if let Err(reserved) = reserved_names::check(name) {
        let hint = format!("Nobody can sign up as {name}: {reserved}.");
        // A hint that can't be written changes nothing.
        let _ = Stream::Error.write_line(&hint);
    }
}

/// The server looks an account up when somebody logs in, and not again.
fn tell_of_open_session(name: &Username) {
    let hint =
        format!("if {name} is logged in now, `kick {name}` at the server's console ends that");
    // What it is about is done all the same.
    let _ = Stream::Error.write_line(&hint);
}
