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

use std::{
    collections::BTreeMap,
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
    types::{ConsumedCapacity, ReturnConsumedCapacity::Indexes},
};
use aws_smithy_runtime_api::client::{interceptors::dyn_dispatch_hint, orchestrator::Metadata};

/// The operations that write one item each.
const WRITES: [&str; 2] = ["PutItem", "UpdateItem"];
/// The operations that read.
const READS: [&str; 3] = ["BatchGetItem", "GetItem", "Query"];

/// Counts calls and units. Clones share their counts.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<Bill>>);

/// Counts of all calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bill {
    /// Calls to DynamoDB.
    lines: BTreeMap<String, Line>,
    /// Calls that send messages.
    n_sends: u32,
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
        std::mem::take(&mut *self.bill())
    }

    fn bill(&self) -> MutexGuard<'_, Bill> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, cfg: &ConfigBag, n_calls: u32, units: f64) {
        let Some(call) = cfg.load::<Metadata>() else { return };
        let mut bill = self.bill();
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
        Ok(())
    }
}
