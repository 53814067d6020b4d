//! `account import`: accounts from a CSV file, all in one transaction.

use std::collections::HashSet;
use std::error::Error;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use letschat_flags::clock::now;
use letschat_flags::output::Stream;
use letschat_protocol::username::Username;
use letschat_server::store::Created;

use super::hashing::hash_all;
use super::rows::{FileError, Rows};
use super::{Accounts, done, warn_of_reserved};

/// The source of an import, and its strictness.
#[derive(Debug, Args)]
pub(crate) struct ImportFlags {
    /// A CSV file with the columns username and password or password_hash; - for standard input
    file: PathBuf,
    /// Import the good rows, and skip the bad ones
    #[arg(long)]
    skip_bad: bool,
}

/// The reason why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    #[error("can't import {from}: {source}")]
    File { from: String, source: FileError },
    #[error("nothing was imported: {bad} of {rows} rows are bad; --skip-bad imports the others")]
    BadRows { bad: usize, rows: usize },
    #[error("nothing was imported: somebody has just taken one of the names; try again")]
    TakenMeanwhile,
}

impl ImportFlags {
    /// Reads and validates the rows, before a database is created for them.
    pub(super) fn read(&self) -> Result<Rows, ImportError> {
        let (from, rows) = if self.file == Path::new("-") {
            ("standard input".to_owned(), Rows::read(io::stdin().lock()))
        } else {
            let file = File::open(&self.file).map_err(|error| FileError::Table(error.into()));
            (self.file.display().to_string(), file.and_then(Rows::read))
        };
        rows.map_err(|source| ImportError::File { from, source })
    }
}

impl Accounts {
    /// Reports the bad rows, and adds the accounts of the good ones.
    pub(super) fn import(
        &mut self,
        flags: &ImportFlags,
        mut rows: Rows,
    ) -> Result<(), Box<dyn Error>> {
        let taken: HashSet<Username> = self.names()?;
        rows.refuse_taken(|username| taken.contains(username));
        for (line, why) in &rows.bad {
            Stream::Error.write_line(&format!("line {line}: {why}"))?;
        }
        let (bad, imported) = (rows.bad.len(), rows.people.len());
        if bad > 0 && !flags.skip_bad {
            return Err(ImportError::BadRows { bad, rows: rows.count() }.into());
        }
        let accounts = hash_all(&rows.people)?;
        let now_ms = now().wall_ms;
        match self.ask_store(|store| store.import_accounts(&accounts, now_ms))? {
            Created::New => {}
            Created::Taken => return Err(ImportError::TakenMeanwhile.into()),
        }
        accounts.iter().for_each(|account| warn_of_reserved(&account.username));
        done(&match bad {
            0 => format!("{imported} imported"),
            _ => format!("{imported} imported, {bad} skipped"),
        })
    }

    /// Returns the names of all accounts.
    fn names(&mut self) -> Result<HashSet<Username>, Box<dyn Error>> {
        let accounts = self.ask_store(super::list::read_all)?;
        Ok(accounts.into_iter().map(|account| account.username).collect())
    }
}
