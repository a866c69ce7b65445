//! Storage of the mails: a table in the same database as the emulated DynamoDB.

use anyhow::Context as _;
use dynoxide::storage::Storage;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{LISTED_BYTES_MAX, SentMail, input::NewMail};
use crate::database::Database;

/// The mails that are kept. Older ones are dropped, and the newest is always kept.
struct Limits {
    n_mails: i64,
    /// Their size. It is checked after a large mail only: all others together are at most as large.
    n_bytes: usize,
    /// The size from which a mail is large.
    large_bytes: usize,
}

const LIMITS: Limits =
    Limits { n_mails: 1_000, n_bytes: 256 * 1024 * 1024, large_bytes: 256 * 1024 };

/// The table. No table of DynamoDB has a space in its name. Numbers ascend: only the oldest are dropped.
const TABLE: &str = "
CREATE TABLE IF NOT EXISTS \"sent mails\" (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, head TEXT NOT NULL, raw BLOB NOT NULL
);
";
const NEXT_NUMBER: &str = "SELECT coalesce(max(number), 0) + 1 FROM \"sent mails\"";
const INSERT: &str = "INSERT INTO \"sent mails\" (number, id, head, raw) VALUES (?1, ?2, ?3, ?4)";
const DROP_OLD: &str = "DELETE FROM \"sent mails\" WHERE number <= ?1";
const DROP_LARGE: &str = "DELETE FROM \"sent mails\" WHERE number < ?1 AND number IN (
    SELECT number FROM (
        SELECT number, sum(length(raw)) OVER (ORDER BY number DESC) AS n_bytes FROM \"sent mails\"
    ) WHERE n_bytes > ?2
)";
const LIST: &str = "SELECT id, head, length(raw), substr(raw, 1, ?3) FROM \"sent mails\"
    WHERE ?1 IS NULL OR number < (SELECT number FROM \"sent mails\" WHERE id = ?1)
    ORDER BY number DESC LIMIT ?2";
const GET: &str = "SELECT id, head, length(raw), raw FROM \"sent mails\" WHERE id = ?1";

/// The part of a mail that the call named.
#[derive(Deserialize, Serialize)]
struct Head {
    sent_at: Timestamp,
    from: String,
    to: Vec<String>,
}

/// A row as it is read.
struct Row {
    id: String,
    head: String,
    n_bytes: usize,
    raw: Vec<u8>,
}

/// Creates the table if it is missing.
pub(super) fn create(database: &Database) -> anyhow::Result<()> {
    database.storage().conn().execute_batch(TABLE).context("creating the mails' table")
}

/// Stores a mail, drops old ones, and returns its id.
pub(super) fn insert(
    database: &Database,
    mail: NewMail,
    sent_at: Timestamp,
) -> anyhow::Result<String> {
    insert_within(&LIMITS, database, mail, sent_at)
}

fn insert_within(
    limits: &Limits,
    database: &Database,
    mail: NewMail,
    sent_at: Timestamp,
) -> anyhow::Result<String> {
    let storage = database.storage();
    storage.begin_transaction()?;
    let inserted = insert_into(&storage, limits, mail, sent_at).and_then(|id| {
        storage.commit()?;
        Ok(id)
    });
    if inserted.is_err() {
        // The error of the write says more than that of the rollback.
        let _: Result<(), _> = storage.rollback();
    }
    inserted.context("writing the mails' table")
}

fn insert_into(
    storage: &Storage,
    limits: &Limits,
    mail: NewMail,
    sent_at: Timestamp,
) -> anyhow::Result<String> {
    let NewMail { from, to, raw, .. } = mail;
    let connection = storage.conn();
    let number: i64 = connection.prepare_cached(NEXT_NUMBER)?.query_row((), |row| row.get(0))?;
    let id = format!("{}-000000", crate::ids::unique_id(sent_at, number.unsigned_abs()));
    let head = serde_json::to_string(&Head { sent_at, from, to })?;
    connection.prepare_cached(INSERT)?.execute((number, &id, head, &raw))?;
    connection.prepare_cached(DROP_OLD)?.execute((number - limits.n_mails,))?;
    if raw.len() >= limits.large_bytes {
        connection.prepare_cached(DROP_LARGE)?.execute((number, limits.n_bytes))?;
    }
    Ok(id)
}

/// Up to `max` mails, newest first.
pub(super) fn list(
    database: &Database,
    before: Option<&str>,
    max: usize,
) -> anyhow::Result<Vec<SentMail>> {
    let storage = database.storage();
    let mut statement = storage.conn().prepare_cached(LIST)?;
    let rows = statement.query_map((before, max, LISTED_BYTES_MAX), |row| {
        Ok(Row { id: row.get(0)?, head: row.get(1)?, n_bytes: row.get(2)?, raw: row.get(3)? })
    })?;
    let rows: Vec<Row> = rows.collect::<Result<_, _>>().context("reading the mails' table")?;
    rows.into_iter().map(SentMail::try_from).collect()
}

/// The mail with this id.
pub(super) fn get(database: &Database, id: &str) -> anyhow::Result<Option<SentMail>> {
    let storage = database.storage();
    let mut statement = storage.conn().prepare_cached(GET)?;
    let mut rows = statement.query_map((id,), |row| {
        Ok(Row { id: row.get(0)?, head: row.get(1)?, n_bytes: row.get(2)?, raw: row.get(3)? })
    })?;
    let row = rows.next().transpose().context("reading the mails' table")?;
    row.map(SentMail::try_from).transpose()
}

impl TryFrom<Row> for SentMail {
    type Error = anyhow::Error;

    fn try_from(row: Row) -> anyhow::Result<Self> {
        let Row { id, head, n_bytes, raw } = row;
        let Head { sent_at, from, to } =
            serde_json::from_str(&head).context("reading a mail's head")?;
        Ok(Self { id, sent_at, from, to, n_bytes, raw })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Limits = Limits { n_mails: 3, n_bytes: 100, large_bytes: 40 };

    fn database() -> Database {
        let database = Database::memory().expect("memory");
        create(&database).expect("memory");
        database
    }

    fn keep(database: &Database, to: &str, n_bytes: usize) -> String {
        let mail = NewMail {
            from: "a@b".to_owned(),
            to: vec![to.to_owned()],
            raw: vec![b'x'; n_bytes],
            tags: <_>::default(),
        };
        insert_within(&FEW, database, mail, Timestamp::UNIX_EPOCH).expect("memory")
    }

    fn recipients(database: &Database, before: Option<&str>, max: usize) -> Vec<String> {
        let mails = list(database, before, max).expect("memory");
        mails.into_iter().flat_map(|it| it.to).collect()
    }

    #[test]
    fn latest_mails_are_kept_and_old_ones_dropped() {
        let database = database();
        let ids = ["a", "b", "c", "d", "e"].map(|it| keep(&database, it, 10));
        assert_eq!(recipients(&database, None, 10), ["e", "d", "c"]);
        assert_eq!(recipients(&database, None, 2), ["e", "d"]);
        assert_eq!(recipients(&database, Some(&ids[4]), 1), ["d"]);
        assert_eq!(recipients(&database, Some(&ids[1]), 10), [""; 0]);
        assert_eq!(get(&database, &ids[1]).expect("memory"), None);
        assert_eq!(
            get(&database, &ids[2]).expect("memory").map(|it| it.to),
            Some(vec!["c".into()])
        );
    }

    #[test]
    fn large_mails_displace_older_ones() {
        let database = database();
        keep(&database, "a", 10);
        keep(&database, "b", 60);
        assert_eq!(recipients(&database, None, 10), ["b", "a"]);
        keep(&database, "c", 60);
        assert_eq!(recipients(&database, None, 10), ["c"]);
        keep(&database, "d", 200);
        assert_eq!(recipients(&database, None, 10), ["d"]);
    }

    #[test]
    fn list_has_the_start_of_a_large_source() {
        let database = database();
        let id = keep(&database, "a", LISTED_BYTES_MAX + 1);
        let [listed] = list(&database, None, 10).expect("memory").try_into().expect("one");
        let whole = get(&database, &id).expect("memory").expect("it is kept");
        let sizes = [listed.n_bytes, listed.raw.len(), whole.n_bytes, whole.raw.len()];
        let all = LISTED_BYTES_MAX + 1;
        assert_eq!(sizes, [all, LISTED_BYTES_MAX, all, all]);
    }
}
