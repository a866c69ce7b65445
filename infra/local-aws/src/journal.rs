//! Storage of the queues: two tables in the same database as the emulated DynamoDB.
//!
//! A record has a name, a short head that changes, and a body that never changes. Changing the head
//! does not rewrite the body:
//!
//! ```text
//! heads    name ─▶ head
//! bodies   name ─▶ body, if it has one
//! ```

use std::collections::BTreeMap;

use anyhow::Context as _;
use dynoxide::storage::Storage;

use crate::database::Database;

/// The tables. No table of DynamoDB has a space in its name.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS \"queue heads\" (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS \"queue bodies\" (name TEXT PRIMARY KEY, text TEXT NOT NULL);
";
const PUT_HEAD: &str = "INSERT OR REPLACE INTO \"queue heads\" (name, text) VALUES (?1, ?2)";
const PUT_BODY: &str = "INSERT OR REPLACE INTO \"queue bodies\" (name, text) VALUES (?1, ?2)";
const DELETE_HEAD: &str = "DELETE FROM \"queue heads\" WHERE name = ?1";
const DELETE_BODY: &str = "DELETE FROM \"queue bodies\" WHERE name = ?1";
const READ: &str = "SELECT name, heads.text, coalesce(bodies.text, '')
    FROM \"queue heads\" heads LEFT JOIN \"queue bodies\" bodies USING (name)";

#[derive(Clone)]
pub(super) struct Journal(Database);

/// Writes that are made together.
#[derive(Default)]
pub(super) struct Changes(Vec<Change>);

enum Change {
    PutHead { name: String, text: String },
    PutBody { name: String, text: String },
    Delete { name: String },
}

/// A stored record.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) head: String,
    pub(super) body: String,
}

impl Journal {
    /// Opens the tables, and creates them if they are missing.
    pub(super) fn open(database: Database) -> anyhow::Result<Self> {
        database.storage().conn().execute_batch(TABLES).context("creating the queues' tables")?;
        Ok(Self(database))
    }

    /// Makes `changes` in one transaction.
    pub(super) fn write(&self, changes: &Changes) -> anyhow::Result<()> {
        if changes.0.is_empty() {
            return Ok(());
        }
        let storage = self.0.storage();
        storage.begin_transaction()?;
        let made = changes.0.iter().try_for_each(|it| it.make(&storage));
        let made = made.and_then(|()| Ok(storage.commit()?));
        if made.is_err() {
            // The error of the write says more than that of the rollback.
            let _: Result<(), _> = storage.rollback();
        }
        made.context("writing the queues' tables")
    }

    /// All records, by name.
    pub(super) fn read(&self) -> anyhow::Result<BTreeMap<String, Record>> {
        let storage = self.0.storage();
        let mut statement = storage.conn().prepare(READ)?;
        let rows = statement.query_map((), |row| {
            Ok((row.get(0)?, Record { head: row.get(1)?, body: row.get(2)? }))
        });
        rows?.collect::<Result<_, _>>().context("reading the queues' tables")
    }
}

impl Changes {
    /// Sets the head of `name`.
    pub(super) fn put_head(&mut self, name: String, text: String) {
        self.0.push(Change::PutHead { name, text });
    }

    /// Sets the body of `name`.
    pub(super) fn put_body(&mut self, name: String, text: String) {
        self.0.push(Change::PutBody { name, text });
    }

    /// Deletes `name`.
    pub(super) fn delete(&mut self, name: String) {
        self.0.push(Change::Delete { name });
    }
}

impl Change {
    fn make(&self, storage: &Storage) -> anyhow::Result<()> {
        let connection = storage.conn();
        match self {
            Self::PutHead { name, text } => {
                connection.prepare_cached(PUT_HEAD)?.execute((name, text))?;
            }
            Self::PutBody { name, text } => {
                connection.prepare_cached(PUT_BODY)?.execute((name, text))?;
            }
            Self::Delete { name } => {
                connection.prepare_cached(DELETE_HEAD)?.execute((name,))?;
                connection.prepare_cached(DELETE_BODY)?.execute((name,))?;
            }
        }
        Ok(())
    }
}
