//! Applies each operation to two tables, and compares their responses.

use answerback::store::{
    Attributes, Cursor, DueCursor, DynamoDb, Error, Key, ListStart, Table as _,
    keys::{ATTEMPTS, LIST_INDEX, WEBHOOK_INDEX},
};
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use simulation::table::SimulatedTable;

use super::operations::{Operation, PARTITIONS, PKS, SKS};

/// More pages than any list here has.
const PAGES_MAX: usize = 100;

/// The same table twice.
pub(super) struct Both {
    real: DynamoDb,
    pub(super) simulated: SimulatedTable,
    /// Begins every key and partition of this sequence.
    prefix: String,
    /// Number of operations: the simulated table's time.
    now: i64,
    /// Cursors of earlier pages: their rows may have changed since, or gone.
    due_cursors: Vec<DueCursor>,
    cursors: Vec<(&'static str, String, Cursor)>,
}

impl Both {
    /// Two tables without anything of this sequence.
    pub(super) fn new(real: DynamoDb, sequence: u32) -> Self {
        Self {
            real,
            simulated: SimulatedTable::default(),
            prefix: format!("{sequence}."),
            now: 0,
            due_cursors: Vec::new(),
            cursors: Vec::new(),
        }
    }

    /// A name that only this sequence uses.
    pub(super) fn own(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn key(&self, (pk, sk): (&str, &str)) -> Key {
        Key { pk: self.own(pk), sk: sk.to_owned() }
    }

    /// Attributes with partitions that only this sequence uses.
    fn attributes(&self, attributes: Vec<(&'static str, AttributeValue)>) -> Attributes {
        let own = |(name, value): (&str, AttributeValue)| {
            let value = match value {
                AttributeValue::S(text) if PARTITIONS.iter().any(|it| it.0 == name) => {
                    AttributeValue::S(self.own(&text))
                }
                value => value,
            };
            (name.to_owned(), value)
        };
        attributes.into_iter().map(own).collect()
    }

    /// Applies an operation to both tables, and compares the responses.
    pub(super) async fn run(&mut self, operation: Operation) -> Result<(), Error> {
        self.now += 1;
        let now = self.now;
        match operation {
            Operation::Get(key) => {
                let key = self.key(key);
                assert_eq!(self.simulated.get(&key), self.real.get(key).await?);
            }
            Operation::GetMany(keys) => {
                let keys: Vec<Key> = keys.into_iter().map(|it| self.key(it)).collect();
                assert_eq!(self.simulated.get_many(&keys), self.real.get_many(keys).await?);
            }
            Operation::PutNew(key, attributes) => {
                let mut attributes = self.attributes(attributes);
                attributes.extend(self.key(key).into_attributes());
                let simulated = self.simulated.put_new(attributes.clone(), now);
                assert_eq!(simulated, self.real.put_new(attributes).await?);
            }
            Operation::Update(key, moving, previous) => {
                let (key, moving) = (self.key(key), self.attributes(moving));
                let simulated = self.simulated.update(&key, moving.clone(), previous, now);
                assert_eq!(simulated, self.real.update(key, moving, previous).await?);
            }
            Operation::PutOff(key, until, n_errors) => {
                let key = self.key(key);
                let simulated = self.simulated.postpone(&key, until, n_errors, now);
                assert_eq!(simulated, self.real.postpone(key, time(until), n_errors).await?);
            }
            Operation::Disarm(key, due_at) => {
                let key = self.key(key);
                self.simulated.quarantine(&key, due_at, now);
                self.real.quarantine(key, time(due_at)).await?;
            }
            Operation::CountUp(key, by, max, expires_at) => {
                let key = self.key(key);
                let simulated = self.simulated.count_up(&key, by, max, expires_at);
                let expires_at = Timestamp::from_second(expires_at).expect("in range");
                assert_eq!(simulated, self.real.count_up(key, by, max, expires_at).await?);
            }
            Operation::NListed(index, partition, max) => {
                let partition = self.own(partition);
                let simulated = self.simulated.n_listed(index, &partition, max, now);
                assert_eq!(simulated, self.real.n_listed(index, partition, max).await?);
            }
            Operation::Due { shard, until, limit, from } => {
                self.due(self.own(shard), until, limit, from).await?;
            }
            Operation::List { index, partition, limit, from } => {
                self.list(index, self.own(partition), limit, from).await?;
            }
            Operation::Attempts { pk, limit, after } => {
                let after = after.map(str::to_owned);
                self.attempts(self.own(pk), limit, after).await?;
            }
            // Forgetting invisible versions must not change any response.
            Operation::Settle => self.simulated.settle(now),
        }
        Ok(())
    }

    /// All pages, from the start or the end of an earlier page.
    ///
    /// AWS does not document the order of two rows that are due at the same time. The simulated
    /// table takes the emulator's order, by the keys of the items, and is compared in it.
    async fn due(
        &mut self,
        shard: String,
        until: i64,
        limit: i32,
        from: Option<usize>,
    ) -> Result<(), Error> {
        // AWS refuses a cursor that the query itself would not have returned.
        let fits = |it: &&DueCursor| {
            let due_at = it.0["due_at"].as_n().ok().and_then(|it| it.parse::<i64>().ok());
            let is_in_time = due_at.is_some_and(|it| it <= until);
            is_in_time && it.0["due_shard"].as_s() == Ok(&shard)
        };
        let fitting: Vec<_> = self.due_cursors.iter().filter(fits).cloned().collect();
        let mut after = from.and_then(|it| fitting.get(it % fitting.len().max(1)).cloned());
        for _ in 0..PAGES_MAX {
            let simulated = self.simulated.due(&shard, until, limit, after.as_ref(), self.now);
            let real = self.real.due(shard.clone(), time(until), limit, after).await?;
            assert_eq!(simulated, real);
            assert_stops_at_the_limit(real.items.len(), real.next.is_some(), limit);
            let Some(next) = real.next else { return Ok(()) };
            self.due_cursors.push(next.clone());
            after = Some(next);
        }
        panic!("the pages do not end");
    }

    /// All pages, from the start or the end of an earlier page. Rows with equal sort keys come in
    /// the emulator's order here too.
    async fn list(
        &mut self,
        index: &'static str,
        partition: String,
        limit: i32,
        from: Option<usize>,
    ) -> Result<(), Error> {
        let fits = |it: &&(_, String, _)| (it.0, &it.1) == (index, &partition);
        let fitting: Vec<_> = self.cursors.iter().filter(fits).map(|it| it.2.clone()).collect();
        let cursor = from.and_then(|it| fitting.get(it % fitting.len().max(1)).cloned());
        // Pages that continue another start after its last row, or at the time of that row.
        let is_even = from.is_some_and(|it| it % 2 == 0);
        let mut start = cursor.map(|it| match it.created_at {
            Some(created_at) if is_even => ListStart::AtOrBefore(created_at),
            _ => ListStart::After(it),
        });
        for _ in 0..PAGES_MAX {
            let simulated = self.simulated.list(index, &partition, limit, start.as_ref(), self.now);
            let real = self.real.list(index, partition.clone(), limit, start).await?;
            assert_eq!(simulated, real);
            assert_stops_at_the_limit(real.items.len(), real.next.is_some(), limit);
            let Some(next) = real.next else { return Ok(()) };
            self.cursors.push((index, partition.clone(), next.clone()));
            start = Some(ListStart::After(next));
        }
        panic!("the pages do not end");
    }

    /// All pages of attempts, and the length of each.
    pub(super) async fn attempts(
        &self,
        pk: String,
        limit: i32,
        mut after: Option<String>,
    ) -> Result<Vec<usize>, Error> {
        let mut lengths = Vec::new();
        for _ in 0..PAGES_MAX {
            let simulated = self.simulated.under(&pk, ATTEMPTS, limit, after.as_deref());
            let real = self.real.under(pk.clone(), ATTEMPTS.to_owned(), limit, after).await?;
            assert_eq!(simulated, real);
            lengths.push(real.items.len());
            let Some(next) = real.next else { return Ok(lengths) };
            after = Some(next.key.sk);
        }
        panic!("the pages do not end");
    }

    /// Compares all items, and each index row by row, so that pages end between any two rows.
    pub(super) async fn compare(&mut self) -> Result<(), Error> {
        for sk in SKS {
            self.run(Operation::GetMany(PKS.map(|pk| (pk, sk)).into())).await?;
        }
        for (_, partition) in PARTITIONS.iter().filter(|it| it.0 == "due_shard") {
            self.due(self.own(partition), i64::from(u32::MAX), 1, None).await?;
        }
        for (index, name) in [(LIST_INDEX, "list_pk"), (WEBHOOK_INDEX, "webhook_pk")] {
            for (_, partition) in PARTITIONS.iter().filter(|it| it.0 == name) {
                self.list(index, self.own(partition), 1, None).await?;
            }
        }
        Ok(())
    }
}

/// AWS returns a cursor whenever a page ends at its limit, even if nothing follows, because it does
/// not look further. The product then reads an empty page, so both tables must return the cursor.
fn assert_stops_at_the_limit(n_items: usize, has_next: bool, limit: i32) {
    assert_eq!(has_next, i32::try_from(n_items) == Ok(limit));
}

fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).expect("in range")
}
