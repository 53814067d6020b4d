//! `account export`: names and hashes as CSV (RFC 4180).

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use letschat_flags::output::{self, Stream};
use letschat_protocol::username::Username;
use letschat_server::store::admin::NewAccount;
use letschat_server::store::password::is_current;

use super::list::PAGE;
use super::{Accounts, done};

/// The destination of an export.
#[derive(Debug, Args)]
pub(crate) struct ExportFlags {
    /// A new file, which only its owner can read; - for standard output
    #[arg(default_value = "-")]
    file: PathBuf,
}

/// The reason why the file is missing or incomplete.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error("can't export to {file}: {source}")]
    File { file: String, source: io::Error },
    #[error("{0} accounts are not in the export, since no server would import their hashes")]
    Foreign(usize),
}

impl Accounts {
    /// Writes all accounts that are not banned.
    pub(super) fn export(&mut self, flags: &ExportFlags) -> Result<(), Box<dyn Error>> {
        let mut accounts = Vec::new();
        loop {
            let last =
                accounts.last().map(|(account, _): &(NewAccount, bool)| account.username.clone());
            let page = self.ask_store(|store| store.credentials_after(last.as_ref(), PAGE))?;
            if page.is_empty() {
                break;
            }
            accounts.extend(page);
        }
        let (banned, accounts): (Vec<_>, Vec<_>) =
            accounts.into_iter().partition(|(_, banned)| *banned);
        let (good, foreign): (Vec<_>, Vec<_>) =
            accounts.into_iter().map(|(account, _)| account).partition(|a| is_current(&a.phc));
        let table = table(&good);
        if flags.file == Path::new("-") {
            output::print(&table)?;
        } else {
            write_new(&flags.file, &table).map_err(|source| ExportError::File {
                file: flags.file.display().to_string(),
                source,
            })?;
            done(&format!("{} exported to {}", good.len(), flags.file.display()))?;
        }
        for (account, _) in &banned {
            left_out(&account.username, "is banned");
        }
        for account in &foreign {
            left_out(&account.username, "has an old hash, which `account reset-password` replaces");
        }
        match foreign.len() {
            0 => Ok(()),
            count => Err(ExportError::Foreign(count).into()),
        }
    }
}

/// Returns the accounts as CSV. A name begins with a letter or a digit and a hash with `$`, so no
/// cell starts a formula in a spreadsheet. A hash has commas but no quotes.
fn table(accounts: &[NewAccount]) -> String {
    let row = |account: &NewAccount| format!("{},\"{}\"\r\n", account.username, account.phc);
    let mut text = String::from("username,password_hash\r\n");
    text.extend(accounts.iter().map(row));
    text
}

/// Writes a new file, and removes it again after a failure.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // The earlier error is the one to report.
        let _ = fs::remove_file(path);
    }
    written
}

fn left_out(username: &Username, why: &str) {
    // The export is complete without this hint.
    let _ = Stream::Error.write_line(&format!("left out: {username} {why}"));
}
