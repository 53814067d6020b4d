//! `letschat-server fingerprint`: prints the key fingerprint by which clients know this server.

use std::error::Error;
use std::path::Path;

use letschat_flags::output;
use letschat_server::stored_fingerprint;

/// Prints the fingerprint of the key in the data folder. Never creates a key.
pub(crate) fn print(data_folder: &Path) -> Result<(), Box<dyn Error>> {
    match stored_fingerprint(data_folder)? {
        Some(fingerprint) => Ok(output::print(&format!("{fingerprint}\n"))?),
        None => Err(format!(
            "there is no key in {} yet; the first start of letschat-server makes it",
            data_folder.display()
        )
        .into()),
    }
}
