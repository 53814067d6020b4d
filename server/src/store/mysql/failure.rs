//! Errors of MySQL as sentences.

use std::error::Error as _;
use std::io::{self, ErrorKind};

use ::mysql::prelude::FromValue;
use ::mysql::{DriverError, Error, Row};

use crate::store::StoreError;

/// The reason why work with the database failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// An error of the database or the connection.
    Database(Error),
    /// An error of the content or the request.
    Store(StoreError),
}

impl Failure {
    /// Returns true if the connection is still usable, since the database only refused the work.
    /// After other failures it may be in the middle of an answer.
    pub(super) fn leaves_the_connection_whole(&self) -> bool {
        matches!(self, Failure::Database(Error::MySqlError(_)) | Failure::Store(_))
    }

    /// Returns true if the database rolled the transaction back, since it and another one waited for each other.
    pub(super) fn is_deadlock(&self) -> bool {
        matches!(self, Failure::Database(error) if has_code(error, DEADLOCK))
    }

    /// Returns true if the database did not answer in time.
    pub(super) fn is_late(&self) -> bool {
        let Failure::Database(error) = self else { return false };
        let is_late =
            |error: &io::Error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        matches!(error, Error::DriverError(DriverError::ConnectTimeout))
            || systems(error).is_some_and(is_late)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Database(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Store(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Store(error) => error,
            Failure::Database(error) => StoreError::Database(sentence(&error)),
        }
    }
}

fn sentence(error: &Error) -> String {
    match error {
        Error::MySqlError(said) if said.code == ACCESS_DENIED => format!(
            "{}; the password comes from LETSCHAT_SERVER_STORE_PASSWORD or --store-password-file",
            said.message
        ),
        Error::MySqlError(said) => format!("{} (error {})", said.message, said.code),
        Error::DriverError(DriverError::CouldNotConnect(Some((_, why, _)))) => {
            format!("nobody answers there: {why}")
        }
        Error::DriverError(DriverError::ConnectTimeout) => "nobody answered in time".into(),
        Error::DriverError(DriverError::TlsNotSupported) => {
            "it offers no TLS; --store-tls off goes without".into()
        }
        Error::DriverError(DriverError::UnknownAuthPlugin(plugin)) => format!(
            "it asks for {plugin}, which this program does not speak; MySQL may do so when it \
             does not know the user"
        ),
        other => match systems(other) {
            Some(error) => broken(error),
            None => other.to_string(),
        },
    }
}

/// Returns the system's error inside, if there is one. The driver does not export the type that
/// wraps some of them.
fn systems(error: &Error) -> Option<&io::Error> {
    match error {
        Error::IoError(error) => Some(error),
        Error::CodecError(error) => error.source()?.downcast_ref(),
        _ => None,
    }
}

fn broken(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "it did not answer in time".into(),
        _ => format!("the connection broke: {error}"),
    }
}

/// Error codes that MySQL and MariaDB share.
const ACCESS_DENIED: u16 = 1045;
const UNKNOWN_DATABASE: u16 = 1049;
const DUPLICATE_KEY: u16 = 1062;
const UNKNOWN_CONNECTION: u16 = 1094;
const NO_SUCH_TABLE: u16 = 1146;
const DEADLOCK: u16 = 1213;

/// Returns true if a row was refused because its key exists.
pub(super) fn refused_as_duplicate(error: &Error) -> bool {
    has_code(error, DUPLICATE_KEY)
}

/// Returns true if no database has that name.
pub(super) fn database_is_missing(error: &Error) -> bool {
    has_code(error, UNKNOWN_DATABASE)
}

/// Returns true if no table has that name.
pub(super) fn table_is_missing(error: &Error) -> bool {
    has_code(error, NO_SUCH_TABLE)
}

/// Returns true if the connection to be killed had already ended.
pub(super) fn connection_is_gone(error: &Error) -> bool {
    has_code(error, UNKNOWN_CONNECTION)
}

fn has_code(error: &Error, code: u16) -> bool {
    matches!(error, Error::MySqlError(said) if said.code == code)
}

/// Returns a column's value. The driver's own conversion panics on unexpected types.
pub(super) fn column<T: FromValue>(row: &Row, name: &str) -> Result<T, StoreError> {
    row.get_opt(name)
        .and_then(Result::ok)
        .ok_or_else(|| StoreError::Content(format!("column {name} is not what it should be")))
}

/// Returns one column of all rows.
pub(super) fn columns<T: FromValue>(rows: &[Row], name: &str) -> Result<Vec<T>, StoreError> {
    rows.iter().map(|row| column(row, name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::mysql::MySqlError;

    #[test]
    fn what_the_database_says_is_passed_on_with_its_number() {
        let said = MySqlError { state: "42000".into(), message: "No".into(), code: 1142 };
        let error = StoreError::from(Failure::from(Error::MySqlError(said)));
        assert_eq!(error.to_string(), "the database failed: No (error 1142)");
    }

    #[test]
    fn only_an_answer_leaves_the_connection_whole() {
        let broken = Failure::from(Error::server_disconnected());
        assert!(!broken.leaves_the_connection_whole());
        let said = MySqlError { state: String::new(), message: String::new(), code: DUPLICATE_KEY };
        assert!(Failure::from(Error::MySqlError(said)).leaves_the_connection_whole());
    }
}
