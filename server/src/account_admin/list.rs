//! The table of accounts.

use chrono::{DateTime, SecondsFormat, Utc};
use letschat_server::store::StoreError;
use letschat_server::store::admin::{AccountAdmin, AccountSummary};
use serde_json::Value;

/// The page size of the query, so that a server on the same database is not blocked.
pub(super) const PAGE: usize = 500;

/// Returns all accounts, sorted by name.
pub(super) fn read_all(store: &mut dyn AccountAdmin) -> Result<Vec<AccountSummary>, StoreError> {
    let mut accounts: Vec<AccountSummary> = Vec::new();
    loop {
        let last = accounts.last().map(|account| account.username.clone());
        let page = store.accounts_after(last.as_ref(), PAGE)?;
        if page.is_empty() {
            return Ok(accounts);
        }
        accounts.extend(page);
    }
}

/// Returns the accounts in columns below a header.
pub(super) fn table(accounts: &[AccountSummary]) -> String {
    let header = ["USERNAME", "CREATED (UTC)", "BANNED", "KEYS", "LAST USED (UTC)"];
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(accounts.iter().map(|account| {
        [
            account.username.to_string(),
            for_people(Some(account.created_ms)),
            if account.banned { "banned" } else { "-" }.to_owned(),
            account.keys.to_string(),
            for_people(account.used_ms),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths: [usize; 5] = std::array::from_fn(width);
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// Returns one JSON object per line and account.
pub(super) fn json(accounts: &[AccountSummary]) -> String {
    let line = |account: &AccountSummary| {
        let AccountSummary { username, created_ms, banned, keys, used_ms } = account;
        let [created, used] = [Some(*created_ms), *used_ms].map(for_programs);
        let username = Value::from(username.as_str());
        format!(
            r#"{{"username":{username},"created":{created},"banned":{banned},"keys":{keys},"last_used":{used}}}"#
        ) + "\n"
    };
    accounts.iter().map(line).collect()
}

fn for_people(time_ms: Option<u64>) -> String {
    let Some(time_ms) = time_ms else { return "-".into() };
    time(time_ms).map_or("?".into(), |time| time.format("%Y-%m-%d %H:%M:%S").to_string())
}

fn for_programs(time_ms: Option<u64>) -> Value {
    time_ms.and_then(time).map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true)).into()
}

/// Converts a time. Returns `None` for one that is out of range.
fn time(time_ms: u64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(i64::try_from(time_ms).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json as value;

    fn accounts() -> [AccountSummary; 2] {
        let alice = AccountSummary {
            username: "alice".parse().unwrap(),
            created_ms: 1_795_254_442_617,
            banned: false,
            keys: 12,
            used_ms: Some(1_795_254_500_000),
        };
        let bob = AccountSummary {
            username: "bob.the.second".parse().unwrap(),
            created_ms: 0,
            banned: true,
            keys: 0,
            used_ms: None,
        };
        [alice, bob]
    }

    #[test]
    fn the_columns_stand_in_line() {
        let expected = "\
USERNAME        CREATED (UTC)        BANNED  KEYS  LAST USED (UTC)
alice           2026-11-21 09:47:22  -       12    2026-11-21 09:48:20
bob.the.second  1970-01-01 00:00:00  banned  0     -
";
        assert_eq!(table(&accounts()), expected);
    }

    #[test]
    fn a_program_gets_an_object_on_a_line_for_each() {
        let lines: Vec<Value> =
            json(&accounts()).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            lines,
            [
                value!({"username": "alice", "created": "2026-11-21T09:47:22.617Z", "banned": false,
                       "keys": 12, "last_used": "2026-11-21T09:48:20.000Z"}),
                value!({"username": "bob.the.second", "created": "1970-01-01T00:00:00.000Z",
                       "banned": true, "keys": 0, "last_used": null}),
            ]
        );
    }
}
