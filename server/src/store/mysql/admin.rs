//! The operator's side of a database that is elsewhere.

use ::mysql::Row;
use ::mysql::prelude::Queryable as _;
use letschat_protocol::username::Username;

use super::Mysql;
use super::failure::{Failure, column};
use super::location::MysqlLocation;
use super::session::{Role, Session};
use crate::store::StoreError;
use crate::store::admin::{Absent, AccountAdmin, AccountSummary};

impl Mysql {
    /// Connects beside a server that may have the database.
    pub(in crate::store) fn open_beside_server(
        location: &MysqlLocation,
        absent: Absent,
    ) -> Result<Mysql, StoreError> {
        Mysql::open_as(Role::Operator(absent), location)
    }

    pub(super) fn open_as(role: Role, location: &MysqlLocation) -> Result<Mysql, StoreError> {
        let mut session = Session::new(role, location.clone())?;
        session.run(|_| Ok(()))?;
        if role == Role::Server {
            session.enter_service()?;
        }
        Ok(Mysql { session, doubtful: Vec::new() })
    }
}

impl AccountAdmin for Mysql {
    fn accounts_after(
        &mut self,
        username: Option<&Username>,
        limit: usize,
    ) -> Result<Vec<AccountSummary>, StoreError> {
        // Every name comes after the empty text.
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
        // The keys go with it: they refer to it.
        self.session.run(|conn| {
            conn.exec_drop("DELETE FROM accounts WHERE username = ?", (username.as_str(),))?;
            Ok(conn.affected_rows() == 1)
        })
    }
}

fn summary(row: &Row) -> Result<AccountSummary, Failure> {
    let username: String = column(row, "username")?;
    let username = username
        .parse()
        .map_err(|error| StoreError::Content(format!("the name of an account: {error}")))?;
    Ok(AccountSummary {
        username,
        created_ms: column(row, "created_ms")?,
        banned: column(row, "banned")?,
        keys: column(row, "key_count")?,
        used_ms: column(row, "used_ms")?,
    })
}
