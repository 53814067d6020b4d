//! The rows of a CSV file: the columns, and either an account or an error for each row.

use std::collections::HashMap;
use std::io::Read;

use letschat_protocol::dialogue::Secret;
use letschat_protocol::password::{self, WeakPassword};
use letschat_protocol::username::{Username, UsernameError};
use letschat_server::store::password::is_current;

use super::table::{Row, Table, TableError};

/// More accounts than a server can hold. The limit stops a device that never ends.
const MAX_ROWS: usize = 1_000_000;

/// The prefix of all hashes that are likely to be mistaken for passwords.
const HASH_START: &str = "$argon2";

/// The reason why a whole file can't be imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("it is empty")]
    Empty,
    #[error("line {0}: {1}")]
    Header(u64, HeaderError),
    #[error("it has more than {MAX_ROWS} rows")]
    ManyRows,
}

/// A fault of the header. The error repeats no cell, because a file without a header may have a
/// password there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("column {0} is none of username, password and password_hash")]
    Unknown(usize),
    #[error("column {0} has the name of an earlier one")]
    Twice(usize),
    #[error("there is no column username")]
    NoUsername,
    #[error("there is no column password or password_hash")]
    NoPassword,
}

/// A fault of a row. The error repeats no cell but a valid name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RowError {
    #[error("it is not UTF-8")]
    NotUtf8,
    #[error("it has {found} cells instead of {expected}")]
    Cells { found: usize, expected: usize },
    #[error(transparent)]
    Username(#[from] UsernameError),
    #[error("{0} stands in line {1} already")]
    Twice(Username, u64),
    #[error("there is an account {0} already")]
    Taken(Username),
    #[error("{0} has neither a password nor a hash")]
    NoPassword(Username),
    #[error("{0} has both a password and a hash")]
    Both(Username),
    #[error("{0}: {1}")]
    Weak(Username, WeakPassword),
    #[error("{0} has a hash in the place of a password; its column has to be password_hash")]
    HashAsPassword(Username),
    #[error("{0}: the hash is not argon2id with this server's parameters")]
    ForeignHash(Username),
}

/// An account to be created.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) line: u64,
    pub(super) username: Username,
    pub(super) credential: Credential,
}

/// The credential of a new account.
#[derive(Debug)]
pub(super) enum Credential {
    /// A validated password.
    Password(Secret),
    /// A validated PHC string.
    Hash(String),
}

/// The rows of a whole file.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) people: Vec<Person>,
    /// The faulty rows with their line numbers.
    pub(super) bad: Vec<(u64, RowError)>,
}

impl Rows {
    /// Reads and validates all rows, without comparing them with existing accounts.
    pub(super) fn read(source: impl Read) -> Result<Rows, FileError> {
        let mut table = Table::new(source)?;
        let first = table.next_row()?.ok_or(FileError::Empty)?;
        let (mut rows, mut lines) = (Rows::default(), HashMap::new());
        let header = Columns::named(&first).map_err(|why| FileError::Header(first.line, why))?;
        let columns = header.unwrap_or(Columns::UNNAMED);
        if header.is_none() {
            rows.add(&first, columns, &mut lines);
        }
        while let Some(row) = table.next_row()? {
            if rows.count() == MAX_ROWS {
                return Err(FileError::ManyRows);
            }
            rows.add(&row, columns, &mut lines);
        }
        Ok(rows)
    }

    pub(super) fn count(&self) -> usize {
        self.people.len() + self.bad.len()
    }

    /// Moves rows with a taken name to the bad rows.
    pub(super) fn refuse_taken(&mut self, is_taken: impl Fn(&Username) -> bool) {
        for person in self.people.extract_if(.., |person| is_taken(&person.username)) {
            self.bad.push((person.line, RowError::Taken(person.username)));
        }
        self.bad.sort_by_key(|(line, _)| *line);
    }

    /// Adds a good row. Of several with the same name only the first counts.
    fn add(&mut self, row: &Row<'_>, columns: Columns, lines: &mut HashMap<Username, u64>) {
        match columns.read(row) {
            Ok(person) => match lines.get(&person.username) {
                Some(line) => {
                    self.bad.push((row.line, RowError::Twice(person.username, *line)));
                }
                None => {
                    lines.insert(person.username.clone(), row.line);
                    self.people.push(person);
                }
            },
            Err(error) => self.bad.push((row.line, error)),
        }
    }
}

/// The positions of the columns, from 0.
#[derive(Debug, Clone, Copy)]
struct Columns {
    count: usize,
    username: usize,
    password: Option<usize>,
    hash: Option<usize>,
}

impl Columns {
    /// The columns of a file without a header.
    const UNNAMED: Columns = Columns { count: 2, username: 0, password: Some(1), hash: None };

    /// Parses the header. Returns `None` if no cell names a column, so that the row is no header.
    fn named(row: &Row<'_>) -> Result<Option<Columns>, HeaderError> {
        let Ok(cells) = row.cells() else { return Ok(None) };
        let names: Vec<String> = cells.iter().map(|cell| cell.trim().to_lowercase()).collect();
        let is_known = |name: &str| matches!(name, "username" | "password" | "password_hash");
        if !names.iter().any(|name| is_known(name)) {
            return Ok(None);
        }
        for (column, name) in names.iter().enumerate() {
            if !is_known(name) {
                return Err(HeaderError::Unknown(column + 1));
            }
            if names[..column].contains(name) {
                return Err(HeaderError::Twice(column + 1));
            }
        }
        let find = |name: &str| names.iter().position(|other| other == name);
        let (password, hash) = (find("password"), find("password_hash"));
        if password.is_none() && hash.is_none() {
            return Err(HeaderError::NoPassword);
        }
        let username = find("username").ok_or(HeaderError::NoUsername)?;
        Ok(Some(Columns { count: names.len(), username, password, hash }))
    }

    fn read(self, row: &Row<'_>) -> Result<Person, RowError> {
        let cells = row.cells().map_err(|_| RowError::NotUtf8)?;
        if cells.len() != self.count {
            return Err(RowError::Cells { found: cells.len(), expected: self.count });
        }
        let username: Username = cells[self.username].parse()?;
        let filled = |column: Option<usize>| column.map(|at| cells[at]).filter(|c| !c.is_empty());
        let credential = match (filled(self.password), filled(self.hash)) {
            (None, None) => return Err(RowError::NoPassword(username)),
            (Some(_), Some(_)) => return Err(RowError::Both(username)),
            (Some(password), None) if password.starts_with(HASH_START) => {
                return Err(RowError::HashAsPassword(username));
            }
            (Some(password), None) => match password::check(password, &username) {
                Ok(()) => Credential::Password(Secret(password.to_owned())),
                Err(why) => return Err(RowError::Weak(username, why)),
            },
            (None, Some(phc)) if is_current(phc) => Credential::Hash(phc.to_owned()),
            (None, Some(_)) => return Err(RowError::ForeignHash(username)),
        };
        Ok(Person { line: row.line, username, credential })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm8gc3VjaCBhY2NvdW50Lg\
                        $dGhpcyBpcyBub3QgdGhlIGhhc2ggb2YgYW55dGhpbmc";

    fn read(text: &str) -> Rows {
        Rows::read(text.as_bytes()).unwrap()
    }

    fn names(rows: &Rows) -> Vec<&str> {
        rows.people.iter().map(|person| person.username.as_str()).collect()
    }

    fn failure_reports(text: &str) -> Vec<String> {
        read(text).bad.iter().map(|(line, why)| format!("line {line}: {why}")).collect()
    }

    fn refused(text: &str) -> String {
        Rows::read(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn header_says_which_cell_is_what() {
        for text in [
            format!("username,password,password_hash\na,correct horse,\nb,,\"{HASH}\"\n"),
            format!(
                "\u{feff}Password_Hash, PASSWORD ,UserName\r\n,correct horse,a\r\n\"{HASH}\",,b"
            ),
        ] {
            let rows = read(&text);
            assert_eq!(names(&rows), ["a", "b"], "{:?}", rows.bad);
            let [Credential::Password(password), Credential::Hash(hash)] =
                rows.people.iter().map(|person| &person.credential).collect::<Vec<_>>()[..]
            else {
                panic!("{:?}", rows.people)
            };
            assert_eq!((password.0.as_str(), hash.as_str()), ("correct horse", HASH));
        }
    }

    #[test]
    fn file_without_header_has_names_and_passwords() {
        assert_eq!(names(&read("alice,correct horse\nbob,battery staple\n")), ["alice", "bob"]);
        assert_eq!(
            failure_reports("alice,correct horse,1\n"),
            ["line 1: it has 3 cells instead of 2"]
        );
    }

    #[test]
    fn header_with_unknown_or_missing_columns_is_refused() {
        for (text, why) in [
            ("username,password,email\n", "line 1: column 3 is none of "),
            ("\n\nname,password\n", "line 3: column 1 is none of "),
            ("username,correct horse\n", "line 1: column 2 is none of "),
            ("username,password,username\n", "line 1: column 3 has the name of an earlier one"),
            ("username\n", "line 1: there is no column password or password_hash"),
            ("password,password_hash\n", "line 1: there is no column username"),
            ("", "it is empty"),
            ("\u{feff}\r\n\r\n", "it is empty"),
        ] {
            let told = refused(text);
            assert!(told.starts_with(why), "{text:?}: {told}");
            assert!(!told.contains("correct horse"), "{told}");
        }
        assert_eq!(read("username,password\n").count(), 0);
    }

    #[test]
    fn bad_rows_are_named_by_their_lines() {
        let text = format!(
            "username,password,password_hash\n\
             alice,\"correct\nhorse\",\n\
             bob,short,\n\
             Bob,correct horse,\n\
             bob,correct horse,\n\
             -1,correct horse,\n\
             carol,,\n\
             dave,correct horse,\"{HASH}\"\n\
             erin,\"{HASH}\",\n\
             frank,,$2b$12$abc\n\
             gina,correct horse\n\
             hans,correct\u{0}horse,\n"
        );
        assert_eq!(names(&read(&text)), ["bob"]);
        assert_eq!(
            failure_reports(&text),
            [
                "line 2: alice: a password has no control characters",
                "line 4: bob: a password has at least 8 characters",
                "line 6: bob stands in line 5 already",
                "line 7: a username begins with a letter or a digit",
                "line 8: carol has neither a password nor a hash",
                "line 9: dave has both a password and a hash",
                "line 10: erin has a hash in the place of a password; its column has to be \
                 password_hash",
                "line 11: frank: the hash is not argon2id with this server's parameters",
                "line 12: it has 2 cells instead of 3",
                "line 13: hans: a password has no control characters",
            ]
        );
    }

    #[test]
    fn bytes_that_are_not_utf_8_spoil_their_row_only() {
        let rows = Rows::read(&b"a,correct horse\nb,caf\xe9 au lait\nc,correct horse\n"[..]);
        let rows = rows.unwrap();
        assert_eq!((names(&rows), &rows.bad[..]), (vec!["a", "c"], &[(2, RowError::NotUtf8)][..]));
    }

    #[test]
    fn taken_names_join_the_bad_rows_in_order() {
        let mut rows = read("alice,correct horse\nbob,short\ncarol,correct horse\n");
        rows.refuse_taken(|username| username.as_str() != "carol");
        let lines: Vec<u64> = rows.bad.iter().map(|(line, _)| *line).collect();
        assert_eq!((names(&rows), lines), (vec!["carol"], vec![1, 2]));
    }
}
