//! `letschat-server account`: administration of accounts, also while the server runs.
//!
//! * `list` – the table of accounts, for people and for programs
//! * `import` – accounts from a CSV file: `table` reads it, `rows` validates it, `hashing` hashes
//! * `export` – accounts into a CSV file
//! * `new_password` – a new password, from a file or a terminal

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

/// An operation on accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountTask {
    /// Show all accounts
    List {
        /// An object on a line for each, for programs
        #[arg(long)]
        json: bool,
    },
    /// Create an account; creates a missing database
    Add {
        /// The new account's name
        name: Username,
        #[command(flatten)]
        password: PasswordFlags,
    },
    /// Ban an account
    Ban {
        /// The account
        name: Username,
    },
    /// Let a banned account log in again
    Unban {
        /// The account
        name: Username,
    },
    /// Delete an account with its keys
    Delete {
        /// The account
        name: Username,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Set a new password; every device then has to log in with it once
    ResetPassword {
        /// The account
        name: Username,
        #[command(flatten)]
        password: PasswordFlags,
    },
    /// Create the accounts in a CSV file, all or none; creates a missing database
    Import(ImportFlags),
    /// Write names and password hashes as CSV, for an import elsewhere
    Export(ExportFlags),
}

/// The source of a new password.
#[derive(Debug, Args)]
pub(crate) struct PasswordFlags {
    /// A file with the password in its first line; - for standard input [default: the terminal]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// The reason why nothing was done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// There is no terminal for the confirmation.
    #[error("without a terminal to ask at, deleting needs --yes")]
    NobodyToAsk,
    /// The account does not exist.
    #[error("there is no account {0}")]
    Nobody(Username),
    /// The account exists already.
    #[error("there is an account {0} already")]
    Taken(Username),
    /// No new password was given.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The user did not confirm.
    #[error("nothing was deleted")]
    NotMeant,
    /// The database can't be used.
    #[error("can't use the database {location}: {source}; --store chooses another")]
    Store { location: Box<StoreLocation>, source: StoreError },
}

impl AdminError {
    /// Returns true if the command line lacks an option.
    pub(crate) fn is_wrong_usage(&self) -> bool {
        matches!(self, AdminError::NobodyToAsk | AdminError::Password(PasswordError::NobodyToAsk))
    }
}

/// Carries out the task and prints its result.
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
        // Check before asking for a password.
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

    /// Fails if the account does not exist, before the user is asked anything.
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

/// Reads a new password and returns its argon2id hash as a PHC string.
fn new_password_for(name: &Username, from: &PasswordFlags) -> Result<String, Box<dyn Error>> {
    let password = new_password::read(name, from.password_file.as_deref());
    Ok(hash(&password.map_err(AdminError::Password)?.0)?)
}

fn failed(location: &StoreLocation, source: StoreError) -> AdminError {
    AdminError::Store { location: Box::new(location.clone()), source }
}

/// Creates the server's own data folder, since an account may be added before the first start. The
/// folder of another database is its operator's responsibility.
fn make_folder_of(location: &StoreLocation, flags: &Flags) -> Result<(), Box<dyn Error>> {
    match (location, flags.data_folder()) {
        (StoreLocation::Sqlite(path), Ok(folder)) if path.parent() == Some(&folder) => {
            letschat_server::make_data_folder(&folder).map_err(|error| {
                format!(
                    "can't use the data folder {}: {error}; --data chooses another",
                    folder.display()
                )
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

/// Reports success. A failure to print it does not undo the change.
fn done(what: &str) -> Result<(), Box<dyn Error>> {
    Ok(output::print(&format!("{what}\n"))?)
}

/// Warns about a name that is reserved at sign-up. An operator may want it for an account of their
/// own.
fn warn_of_reserved(name: &Username) {
    if let Err(reserved) = reserved_names::check(name) {
        let hint = format!("Nobody can sign up as {name}: {reserved}.");
        // A hint that can't be printed is no failure.
        let _ = Stream::Error.write_line(&hint);
    }
}

/// Tells the operator that an open session continues: the server checks an account only at login.
fn tell_of_open_session(name: &Username) {
    let hint =
        format!("if {name} is logged in now, `kick {name}` at the server's console ends that");
    // The change is made even if the hint can't be printed.
    let _ = Stream::Error.write_line(&hint);
}
