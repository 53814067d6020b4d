//! The operator's access to a MySQL database.

use ::mysql::prelude::Queryable as _;
use ::mysql::{Row, Value};
use letschat_protocol::username::Username;

use super::cluster::Standing;
use super::failure::{Failure, column, refused_as_duplicate};
use super::location::MysqlLocation;
use super::session::{Role, Session};
use super::{Mysql, mailbox};
use crate::store::admin::{Absent, AccountAdmin, AccountSummary, NewAccount};
use crate::store::{Created, StoreError, time_from_column};

/// The accounts per statement, so that an import does not cost a round trip for each.
const AT_ONCE: usize = 500;

impl Mysql {
    /// Connects without the lock, so that a server may use the database.
    pub(in crate::store) fn open_beside_server(
        location: &MysqlLocation,
        absent: Absent,
    ) -> Result<Mysql, StoreError> {
        Mysql::open_as(Role::Operator(absent), location)
    }

    pub(super) fn open_as(role: Role, location: &MysqlLocation) -> Result<Mysql, StoreError> {
        let mut session = Session::new(role, location.clone())?;
        session.run(|_| Ok(()))?;
        if matches!(role, Role::Server | Role::Member) {
            session.enter_service()?;
        }
        Ok(Mysql { session, doubtful: Vec::new(), member: None, standing: Standing::default() })
    }
}

impl AccountAdmin for Mysql {
    fn accounts_after(
        &mut self,
        username: Option<&Username>,
        limit: usize,
    ) -> Result<Vec<AccountSummary>, StoreError> {
        // Every name sorts after the empty text.
        let after = username.map_or("", Username::as_str);
        self.session.run(|conn| {
            let rows: Vec<Row> = conn.exec(
                "SELECT a.username, a.created_ms, a.banned,
                        count(k.public_key) AS key_count, max(k.used_ms) AS used_ms
                 FROM accounts AS a LEFT JOIN account_keys AS k ON k.username = a.username
                 WHERE a.username > ? GROUP BY a.username, a.created_ms, a.banned
                 ORDER BY a.username LIMIT ?",
                (after, limit),
            )?;
            rows.iter().map(summary).collect()
        })
    }

    fn set_banned(&mut self, username: &Username, banned: bool) -> Result<bool, StoreError> {
        self.session.run(|conn| {
            let update = "UPDATE accounts SET banned = ? WHERE username = ?";
            conn.exec_drop(update, (banned, username.as_str()))?;
            Ok(conn.affected_rows() == 1)
        })
    }

    fn delete_account(&mut self, username: &Username) -> Result<bool, StoreError> {
        self.session.transact(|conn| {
            mailbox::delete_keys(conn, username.as_str(), "")?;
            conn.exec_drop("DELETE FROM accounts WHERE username = ?", (username.as_str(),))?;
            Ok(conn.affected_rows() == 1)
        })
    }

    fn import_accounts(
        &mut self,
        accounts: &[NewAccount],
        created_ms: u64,
    ) -> Result<Created, StoreError> {
        let mut is_taken = false;
        let imported = self.session.transact(|conn| {
            for some in accounts.chunks(AT_ONCE) {
                let rows = vec!["(?, ?, ?)"; some.len()].join(", ");
                let insert =
                    format!("INSERT INTO accounts (username, phc, created_ms) VALUES {rows}");
                let values = |account: &NewAccount| -> [Value; 3] {
                    let NewAccount { username, phc } = account;
                    [username.as_str().into(), phc.into(), created_ms.into()]
                };
                let values: Vec<Value> = some.iter().flat_map(values).collect();
                if let Err(error) = conn.exec_drop(insert, values) {
                    is_taken = refused_as_duplicate(&error);
                    return Err(error.into());
                }
            }
            Ok(())
        });
        match imported {
            Err(_) if is_taken => Ok(Created::Taken),
            imported => imported.map(|()| Created::New),
        }
    }

    fn credentials_after(
        &mut self,
        username: Option<&Username>,
        limit: usize,
    ) -> Result<Vec<(NewAccount, bool)>, StoreError> {
        let after = username.map_or("", Username::as_str);
        self.session.run(|conn| {
            let rows: Vec<Row> = conn.exec(
                "SELECT username, phc, banned FROM accounts
                 WHERE username > ? ORDER BY username LIMIT ?",
                (after, limit),
            )?;
            let credentials = |row: &Row| {
                let account = NewAccount { username: name(row)?, phc: column(row, "phc")? };
                Ok((account, column(row, "banned")?))
            };
            rows.iter().map(credentials).collect()
        })
    }
}

fn name(row: &Row) -> Result<Username, Failure> {
    let username: String = column(row, "username")?;
    let invalid = |error| StoreError::Content(format!("the name of an account: {error}"));
    Ok(username.parse().map_err(invalid)?)
}

fn summary(row: &Row) -> Result<AccountSummary, Failure> {
    let used_ms: Option<i64> = column(row, "used_ms")?;
    Ok(AccountSummary {
        username: name(row)?,
        created_ms: time_from_column(column(row, "created_ms")?),
        banned: column(row, "banned")?,
        keys: column(row, "key_count")?,
        used_ms: used_ms.and_then(|used_ms| u64::try_from(used_ms).ok()),
    })
}
