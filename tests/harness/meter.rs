//! Counts calls to DynamoDB, the capacity that they consume, and messages sent to SQS.
//!
//! A [`Meter`] is an interceptor of the SDK. It asks for the consumed capacity in each call and
//! reads it from the response:
//!
//! ```text
//! store ─▶ SDK ─┬─ one more call of this operation ─▶ DynamoDB
//!               └◀ these units, table and indexes ───────┘
//! ```
//!
//! A write whose condition failed is a call without units: DynamoDB does not report its charge.
//!
//! The units of writes are also counted by partition key, of the table and of each index. The meter
//! remembers the index keys of every item, so it knows from which partition a write removes a row.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::Add,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{
            AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut,
        },
    },
    error::BoxError,
    operation::{
        batch_get_item::{BatchGetItemInput, BatchGetItemOutput},
        get_item::{GetItemInput, GetItemOutput},
        put_item::{PutItemInput, PutItemOutput},
        query::{QueryInput, QueryOutput},
        update_item::{UpdateItemInput, UpdateItemOutput},
    },
    types::{AttributeValue, Capacity, ConsumedCapacity, ReturnConsumedCapacity::Indexes},
};
use aws_smithy_runtime_api::client::{interceptors::dyn_dispatch_hint, orchestrator::Metadata};
use aws_smithy_types::config_bag::{Storable, StoreReplace};

/// The operations that write one item each.
const WRITES: [&str; 2] = ["PutItem", "UpdateItem"];
/// The operations that read.
const READS: [&str; 3] = ["BatchGetItem", "GetItem", "Query"];

/// Counts calls and units. Clones share their counts.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    bill: Bill,
    /// The index keys of each item: by its `pk` and `sk`, and the name of the index.
    rows: HashMap<(String, String, String), String>,
}

/// Counts by operation, and units written by partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bill {
    /// Calls to DynamoDB.
    lines: BTreeMap<String, Line>,
    written: BTreeMap<Partition, f64>,
    /// Calls that send messages.
    n_sends: u32,
}

/// A partition of the table, or of one of its indexes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partition {
    /// The name of the index, or `table`.
    pub of: String,
    /// The partition key.
    pub key: String,
}

/// The cost of one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Line {
    /// Number of calls.
    pub n_calls: u32,
    /// Capacity units consumed by the table and its indexes.
    pub units: f64,
}

impl Meter {
    /// Counts since the previous call of this function.
    pub fn take(&self) -> Bill {
        std::mem::take(&mut self.counts().bill)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, cfg: &ConfigBag, n_calls: u32, units: f64) {
        let Some(call) = cfg.load::<Metadata>() else { return };
        let bill = &mut self.counts().bill;
        match call.service() {
            "DynamoDB" => {
                let line = bill.lines.entry(call.name().to_owned()).or_default();
                *line = *line + Line { n_calls, units };
            }
            "SQS" => bill.n_sends += n_calls,
            _ => {}
        }
    }
}

impl Bill {
    /// All writes.
    ///
    /// # Panics
    ///
    /// If there are operations that the project must not use: transactions, scans or batch writes.
    pub fn writes(&self) -> Line {
        self.sum(&WRITES)
    }

    /// All reads. Panics as [`Bill::writes`] does.
    pub fn reads(&self) -> Line {
        self.sum(&READS)
    }

    /// The units written to each partition.
    pub fn written(&self) -> &BTreeMap<Partition, f64> {
        &self.written
    }

    /// Calls that send messages to a queue.
    pub fn n_sends(&self) -> u32 {
        self.n_sends
    }

    fn sum(&self, wanted: &[&str]) -> Line {
        let others =
            self.lines.keys().find(|it| !WRITES.contains(&&***it) && !READS.contains(&&***it));
        assert_eq!(others, None, "the operation is too expensive, or is not counted");
        let lines = self.lines.iter().filter(|(operation, _)| wanted.contains(&&***operation));
        lines.fold(Line::default(), |sum, (_, line)| sum + *line)
    }
}

impl Counts {
    /// Counts a write of `key` that moved its rows in indexes to these partitions.
    fn write(&mut self, key: &Attributes, moved: impl Fn(&str) -> Moved, units: &ConsumedCapacity) {
        let (pk, sk) = (text(key, "pk"), text(key, "sk"));
        let of_table = units.table().and_then(Capacity::capacity_units).unwrap_or(0.0);
        self.add("table", pk.clone(), of_table);
        for (index, units) in units.global_secondary_indexes().into_iter().flatten() {
            let attribute =
                if index == "due" { "due_shard".to_owned() } else { format!("{index}_pk") };
            let row = (pk.clone(), sk.clone(), index.clone());
            let before = self.rows.get(&row).cloned();
            let after = match moved(&attribute) {
                Moved::To(partition) => Some(partition),
                Moved::Away => None,
                Moved::Not => before.clone(),
            };
            match &after {
                Some(partition) => drop(self.rows.insert(row, partition.clone())),
                None => drop(self.rows.remove(&row)),
            }
            let touched: Vec<String> = match (before, after) {
                (Some(before), Some(after)) if before == after => vec![after],
                (before, after) => before.into_iter().chain(after).collect(),
            };
            let units = units.capacity_units().unwrap_or(0.0);
            let share =
                units / f64::from(u32::try_from(touched.len().max(1)).expect("two at most"));
            for partition in touched {
                self.add(index, partition, share);
            }
        }
    }

    fn add(&mut self, of: &str, key: String, units: f64) {
        *self.bill.written.entry(Partition { of: of.to_owned(), key }).or_default() += units;
    }
}

/// The input of a write, until its response.
#[derive(Clone, Debug)]
enum Write {
    Put(PutItemInput),
    Update(UpdateItemInput),
}

impl Storable for Write {
    type Storer = StoreReplace<Self>;
}

type Attributes = HashMap<String, AttributeValue>;

/// The row of an item in an index, after a write.
enum Moved {
    To(String),
    Away,
    Not,
}

fn text(attributes: &Attributes, name: &str) -> String {
    attributes.get(name).and_then(|it| it.as_s().ok()).cloned().unwrap_or_default()
}

/// The key of an index that a put sets.
fn moved_by_put(item: &Attributes, attribute: &str) -> Moved {
    if item.contains_key(attribute) { Moved::To(text(item, attribute)) } else { Moved::Away }
}

/// The key of an index that an update sets or removes: it names attribute `#1` and its value `:1`.
fn moved_by_update(update: &UpdateItemInput, attribute: &str) -> Moved {
    let names = update.expression_attribute_names().into_iter().flatten();
    let Some((name, _)) = names.into_iter().find(|it| it.1 == attribute) else { return Moved::Not };
    let values = update.expression_attribute_values();
    let value = values.and_then(|it| it.get(&name.replace('#', ":")));
    value.and_then(|it| it.as_s().ok()).cloned().map_or(Moved::Away, Moved::To)
}

impl Add for Line {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { n_calls: self.n_calls + other.n_calls, units: self.units + other.units }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>3} calls {:>6.1} units", self.n_calls, self.units)
    }
}

/// Asks for the consumed capacity if the input is of this type.
macro_rules! ask {
    ($context:ident, $($input:ty),*) => {
        $(if let Some(input) = $context.input_mut().downcast_mut::<$input>() {
            input.return_consumed_capacity = Some(Indexes);
        })*
    };
}

/// Finds the consumed capacity in an output of one of these types.
macro_rules! found {
    ($output:ident, $($type:ty),*) => {
        None$(.or_else(|| $output.downcast_ref::<$type>().and_then(|it| it.consumed_capacity())))*
    };
}

#[dyn_dispatch_hint]
impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        ask!(context, BatchGetItemInput, GetItemInput, PutItemInput, QueryInput, UpdateItemInput);
        let input = context.input();
        if let Some(put) = input.downcast_ref::<PutItemInput>() {
            cfg.interceptor_state().store_put(Write::Put(put.clone()));
        }
        if let Some(update) = input.downcast_ref::<UpdateItemInput>() {
            cfg.interceptor_state().store_put(Write::Update(update.clone()));
        }
        self.count(cfg, 1, 0.0);
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Ok(output) = context.output_or_error() else { return Ok(()) };
        let batch = output.downcast_ref::<BatchGetItemOutput>();
        let one: Option<&ConsumedCapacity> =
            found!(output, GetItemOutput, PutItemOutput, QueryOutput, UpdateItemOutput);
        let all = batch.map(BatchGetItemOutput::consumed_capacity).unwrap_or_default();
        let units = all.iter().chain(one).filter_map(ConsumedCapacity::capacity_units).sum();
        self.count(cfg, 0, units);
        let Some(units) = one else { return Ok(()) };
        match cfg.load::<Write>() {
            Some(Write::Put(put)) => {
                let item = put.item().expect("a put has an item");
                self.counts().write(item, |it| moved_by_put(item, it), units);
            }
            Some(Write::Update(update)) => {
                let key = update.key().expect("an update has a key");
                self.counts().write(key, |it| moved_by_update(update, it), units);
            }
            None => (),
        }
        Ok(())
    }
}
