//! `letschat-server fingerprint`: by what clients know this server.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::Path;

use letschat_server::stored_fingerprint;

/// Prints the fingerprint of the key in the data folder, and makes none.
pub(crate) fn print(data_folder: &Path) -> Result<(), Box<dyn Error>> {
    match stored_fingerprint(data_folder)? {
        Some(fingerprint) => Ok(writeln!(io::stdout(), "{fingerprint}")?),
        None => Err(format!(
            "there is no key in {} yet; the first start of letschat-server makes it",
            data_folder.display()
        )
        .into()),
    }
}
