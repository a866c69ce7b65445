//! An item's row in a secondary index, and the time at which it shows.
//!
//! An index follows the table with a lag. It applies each item's writes in order:
//!
//! ```text
//! writes    1 ────────┐      2 ───────────────┐   3 ───┐
//!                     ▼                       ┆        ▼
//! shows               1                       ┆        3      (2 would show later than 3: never)
//! ```
//!
//! A write that would show later than the next one is skipped: the next one includes its effect. So
//! the index never goes back.

use answerback::store::{
    Attributes, Key,
    keys::{CREATED_AT, DUE_INDEX, LIST_INDEX, WEBHOOK_INDEX},
};
use aws_sdk_dynamodb::types::AttributeValue;

use super::limits;

/// An index, defined by its attributes.
pub(super) struct Index {
    name: &'static str,
    partition: &'static str,
    pub(super) sort: &'static str,
}

/// All indexes of the table.
pub(super) const INDEXES: [Index; 3] = [
    Index { name: DUE_INDEX, partition: "due_shard", sort: "due_at" },
    Index { name: LIST_INDEX, partition: "list_pk", sort: CREATED_AT },
    Index { name: WEBHOOK_INDEX, partition: "webhook_pk", sort: CREATED_AT },
];

/// The attributes of a row that the index adds to the item's key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) partition: String,
    pub(super) sort: i64,
}

/// The position of a row in its partition.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place<'a> {
    pub(super) sort: i64,
    pub(super) pk: &'a str,
    pub(super) sk: &'a str,
}

/// One item's rows in one index, each with the time from which it shows, in that order.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows(Vec<(i64, Option<Row>)>);

impl Index {
    pub(super) const DUE: usize = 0;
    pub(super) const ONLY_DUE: [bool; 3] = [true, false, false];

    /// Number of the index with this name.
    pub(super) fn called(name: &str) -> usize {
        let is_it = |it: &Self| it.name == name;
        INDEXES.iter().position(is_it).unwrap_or_else(|| panic!("there is no index `{name}`"))
    }

    /// Returns true if a write of these attributes may change the item's row.
    pub(super) fn is_touched_by(&self, moving: &Attributes) -> bool {
        moving.contains_key(self.partition) || moving.contains_key(self.sort)
    }

    /// The item's row, if it has both attributes.
    pub(super) fn row(&self, item: &Attributes) -> Option<Row> {
        let (partition, sort) = self.keys(item);
        Some(Row { partition: partition?.to_owned(), sort: sort? })
    }

    /// The partition and the position that a row's attributes define.
    pub(super) fn place<'a>(&self, row: &'a Attributes) -> Option<(&'a str, Place<'a>)> {
        let (partition, sort) = self.keys(row);
        Some((partition?, Place { sort: sort?, pk: text(row, "pk")?, sk: text(row, "sk")? }))
    }

    /// The first rows of `found` as a query returns them, and whether it stopped at the limit.
    pub(super) fn page(
        &self,
        partition: &str,
        found: &[Place<'_>],
        limit: i32,
    ) -> (Vec<Attributes>, bool) {
        let limit = limits::admit_limit(limit);
        let spell = |place: &Place<'_>| {
            let key = Key { pk: place.pk.to_owned(), sk: place.sk.to_owned() };
            let mut row = key.into_attributes();
            row.insert(self.partition.to_owned(), AttributeValue::S(partition.to_owned()));
            row.insert(self.sort.to_owned(), AttributeValue::N(place.sort.to_string()));
            row
        };
        (found.iter().take(limit).map(spell).collect(), found.len() >= limit)
    }

    /// DynamoDB refuses a write that gives an index key a wrong type.
    fn keys<'a>(&self, item: &'a Attributes) -> (Option<&'a str>, Option<i64>) {
        let partition = item.get(self.partition).map(|it| match it {
            AttributeValue::S(text) if limits::is_partition_key(text) => &**text,
            _ => self.refuse(item),
        });
        let sort = item.get(self.sort).map(|it| match it {
            // The product's sort keys are times.
            AttributeValue::N(number) => number.parse().unwrap_or_else(|_| self.refuse(item)),
            _ => self.refuse(item),
        });
        (partition, sort)
    }

    fn refuse(&self, item: &Attributes) -> ! {
        panic!("DynamoDB refuses {item:?}: it does not fit the index {}", self.name)
    }
}

impl Rows {
    /// Shows `row`, or no row, from `visible_at` on, and no older row after that.
    pub(super) fn write(&mut self, row: Option<Row>, visible_at: i64) {
        while self.0.pop_if(|it| it.0 >= visible_at).is_some() {}
        let last = self.0.last().and_then(|it| it.1.as_ref());
        if last != row.as_ref() {
            self.0.push((visible_at, row));
        }
    }

    /// The row that shows at this time.
    pub(super) fn at(&self, at: i64) -> Option<&Row> {
        self.0.iter().rev().find(|it| it.0 <= at)?.1.as_ref()
    }

    /// Drops rows that no longer show.
    pub(super) fn settle(&mut self, at: i64) {
        let n_begun = self.0.partition_point(|it| it.0 <= at);
        let Some(showing) = n_begun.checked_sub(1) else { return };
        let n_over = if self.0[showing].1.is_none() { n_begun } else { showing };
        self.0.drain(..n_over);
    }

    /// The smallest number that any row sorts by.
    pub(super) fn first_number(&self) -> Option<i64> {
        let rows = self.0.iter().filter_map(|it| it.1.as_ref());
        rows.map(|it| it.sort).min()
    }
}

/// A text attribute.
pub(super) fn text<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a str> {
    attributes.get(name)?.as_s().ok().map(|it| &**it)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(at: i64) -> Row {
        Row { partition: "0".to_owned(), sort: at }
    }

    fn shown(rows: &Rows) -> Vec<Option<i64>> {
        [9, 10, 20, 30, 40].map(|at| rows.at(at).map(|it| it.sort)).into()
    }

    #[test]
    fn row_shows_from_its_time_until_a_later_row_shows() {
        let mut rows = Rows::default();
        rows.write(Some(row(1)), 10);
        rows.write(Some(row(2)), 40);
        assert_eq!(shown(&rows), [None, Some(1), Some(1), Some(1), Some(2)]);
        // The third shows earlier than the second, so the second never does.
        rows.write(None, 20);
        rows.write(Some(row(4)), 30);
        assert_eq!(shown(&rows), [None, Some(1), None, Some(4), Some(4)]);
    }

    #[test]
    fn rows_that_no_longer_show_are_dropped() {
        let mut rows = Rows::default();
        rows.write(Some(row(1)), 10);
        rows.write(Some(row(5)), 20);
        rows.write(None, 30);
        assert_eq!(rows.first_number(), Some(1));
        rows.settle(19);
        assert_eq!(rows.first_number(), Some(1));
        rows.settle(20);
        assert_eq!(rows.first_number(), Some(5));
        assert_eq!(shown(&rows), [None, None, Some(5), None, None]);
        rows.settle(30);
        assert_eq!(rows.first_number(), None);
    }
}
