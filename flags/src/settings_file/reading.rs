//! Locating, opening and parsing the settings file.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::FlagsError;
use crate::files;

/// The largest accepted file, in bytes. A longer one is no settings file.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// An opened settings file with its text.
pub(super) struct SettingsFile {
    pub(super) path: PathBuf,
    text: String,
}

/// Finds the named file, or else the first existing default.
pub(super) fn find(
    defaults: &[PathBuf],
    named: Option<&PathBuf>,
) -> Result<Option<SettingsFile>, FlagsError> {
    if let Some(path) = named {
        // The file may be a pipe, as in `--config <(...)`, or /dev/null.
        let file = File::open(path).and_then(|file| SettingsFile::from(path, file));
        return file.map(Some).map_err(|error| unreadable(path, error));
    }
    for path in defaults {
        let file = files::open(path, File::options().read(true));
        match file.and_then(|file| SettingsFile::from(path, file)) {
            Ok(file) => return Ok(Some(file)),
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(unreadable(path, error)),
        }
    }
    Ok(None)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn unreadable(path: &Path, source: io::Error) -> FlagsError {
    FlagsError::Unreadable { path: path.to_owned(), source }
}

impl SettingsFile {
    fn from(path: &Path, file: File) -> io::Result<SettingsFile> {
        let mut text = String::new();
        let length = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
        if length as u64 > MAX_FILE_BYTES {
            return Err(io::Error::other("it is too large to be one"));
        }
        Ok(SettingsFile::new(path, text))
    }

    /// Removes byte order marks. Editors add them, and a file edited twice may have two.
    pub(super) fn new(path: &Path, text: String) -> SettingsFile {
        let text = text.trim_start_matches('\u{feff}').to_owned();
        SettingsFile { path: path.to_owned(), text }
    }

    /// Returns the keys with their values, in the syntax of the command line.
    pub(super) fn read(&self) -> Result<Vec<(String, String)>, FlagsError> {
        let table: Table = self.text.parse().map_err(|error| self.malformed(&error))?;
        let value = |(key, value): (String, Value)| match as_written(&value) {
            Some(text) => Ok((key, text)),
            None => Err(self.wrong(&key, "expected a text, a number, true or false".into())),
        };
        table.into_iter().map(value).collect()
    }

    /// Returns the error for one setting.
    pub(super) fn wrong(&self, key: &str, reason: String) -> FlagsError {
        let key = key.escape_debug().to_string();
        FlagsError::Setting { path: self.path.clone(), key, reason }
    }

    fn malformed(&self, error: &toml::de::Error) -> FlagsError {
        let start = error.span().map_or(0, |span| span.start);
        let before = self.text.bytes().take(start);
        let line = 1 + before.filter(|byte| *byte == b'\n').count();
        let reason = error.message().lines().collect::<Vec<_>>().join("; ");
        FlagsError::Syntax { path: self.path.clone(), line, reason }
    }
}

fn as_written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(choice) => Some(choice.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}
