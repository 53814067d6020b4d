//! The operator's access to the embedded database.

use std::path::Path;

use letschat_protocol::username::Username;
use rusqlite::{Row, params};

use super::schema::{self, MIGRATIONS};
use super::{Sqlite, accounts, connect, files, from_column};
use crate::store::admin::{
    Absent, AccountAdmin, AccountSummary, NewAccount, Version, nothing_there,
};
use crate::store::{Created, StoreError, time_from_column};

impl Sqlite {
    /// Opens the database beside a running server.
    ///
    /// Two processes that create the same database at the same time don't conflict: each waits for
    /// the other's transaction and then finds the tables.
    pub(in crate::store) fn open_beside_server(
        path: &Path,
        absent: Absent,
    ) -> Result<Sqlite, StoreError> {
        match absent {
            Absent::Make => drop(files::open_or_make(path)?),
            Absent::Refuse if !path.exists() => return Err(nothing_there()),
            Absent::Refuse => {}
        }
        let mut connection = connect(path)?;
        match Version::judge(schema::version(&connection)?, MIGRATIONS.len())? {
            Version::Known => {}
            Version::None if absent == Absent::Make => schema::migrate(&mut connection)?,
            Version::None => return Err(nothing_there()),
        }
        Sqlite::on(connection, path)
    }
}

impl AccountAdmin for Sqlite {
    fn accounts_after(
        &mut self,
        username: Option<&Username>,
        limit: usize,
    ) -> Result<Vec<AccountSummary>, StoreError> {
        let mut statement = self.connection()?.prepare_cached(
            "SELECT a.username, a.created_ms, a.banned,
                    count(k.public_key) AS keys, max(k.used_ms) AS used_ms
             FROM accounts AS a LEFT JOIN account_keys AS k USING (username)
             WHERE a.username > ?1 GROUP BY a.username ORDER BY a.username LIMIT ?2",
        )?;
        // Every name sorts after the empty text.
        let after = username.map_or("", Username::as_str);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![after, limit])?;
        let mut accounts = Vec::new();
        while let Some(row) = rows.next()? {
            accounts.push(summary(row)?);
        }
        Ok(accounts)
    }

    fn set_banned(&mut self, username: &Username, banned: bool) -> Result<bool, StoreError> {
        let changed = self
            .connection()?
            .prepare_cached("UPDATE accounts SET banned = ?2 WHERE username = ?1")?
            .execute(params![username.as_str(), banned])?;
        Ok(changed == 1)
    }

    fn delete_account(&mut self, username: &Username) -> Result<bool, StoreError> {
        // The foreign key deletes the account's keys with it.
        let deleted = self
            .connection()?
            .prepare_cached("DELETE FROM accounts WHERE username = ?1")?
            .execute([username.as_str()])?;
        Ok(deleted == 1)
    }

    fn import_accounts(
        &mut self,
        new: &[NewAccount],
        created_ms: u64,
    ) -> Result<Created, StoreError> {
        self.transact(|transaction| {
            // Nobody else writes during the transaction, so free names stay free.
            for NewAccount { username, .. } in new {
                if accounts::find(transaction, username)?.is_some() {
                    return Ok(Created::Taken);
                }
            }
            for NewAccount { username, phc } in new {
                accounts::create(transaction, username, phc, created_ms)?;
            }
            Ok(Created::New)
        })
    }

    fn credentials_after(
        &mut self,
        username: Option<&Username>,
        limit: usize,
    ) -> Result<Vec<(NewAccount, bool)>, StoreError> {
        let mut statement = self.connection()?.prepare_cached(
            "SELECT username, phc, banned FROM accounts
             WHERE username > ?1 ORDER BY username LIMIT ?2",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![username.map_or("", Username::as_str), limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let account = NewAccount { username: name(row)?, phc: row.get("phc")? };
            found.push((account, row.get("banned")?));
        }
        Ok(found)
    }
}

fn name(row: &Row<'_>) -> Result<Username, StoreError> {
    let username: String = row.get("username")?;
    username
        .parse()
        .map_err(|error| StoreError::Content(format!("the name of an account: {error}")))
}

fn summary(row: &Row<'_>) -> Result<AccountSummary, StoreError> {
    let used_ms: Option<i64> = row.get("used_ms")?;
    Ok(AccountSummary {
        username: name(row)?,
        created_ms: time_from_column(row.get("created_ms")?),
        banned: row.get("banned")?,
        keys: from_column(row.get("keys")?)?,
        used_ms: used_ms.and_then(|used_ms| u64::try_from(used_ms).ok()),
    })
}
