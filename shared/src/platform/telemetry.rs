//! What the functions say of themselves: one line of JSON for each thing worth knowing.
//!
//! ```text
//! tracing::info!(request.id = …, Outcome = "completed", RequestsFinished = 1, "answered")
//!
//! {"timestamp": …, "level": "INFO", "target": "intake::requests", "message": "answered",
//!  "requestId": …, "request": {"id": …}, "Outcome": "completed", "RequestsFinished": 1,
//!  "Stack": …, "_aws": {…}}
//! ```
//!
//! A field that is named in [`METRICS`] is a metric: the line then says so in CloudWatch's embedded
//! metric format, and CloudWatch counts it on its way into the log. That costs no call, and what was
//! counted can be looked up. No line holds what people wrote, a secret, or an answer's token.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::{error, fmt, panic};

use serde_json::{Map, Value, json};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter,
        format::{JsonFields, Writer},
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
};

use crate::platform::{Clock, config::optional};

/// Where CloudWatch shows our metrics.
pub const NAMESPACE: &str = "Answerback";
/// The dimension that each metric has: the stack, of which an account may have several.
const STACK: &str = "Stack";

/// Something that is counted or measured.
#[derive(Debug)]
pub struct Metric {
    /// Its name, and that of the field.
    pub name: &'static str,
    /// Its unit, as CloudWatch calls it.
    pub unit: &'static str,
    /// The field that it is told apart by, beside the stack.
    pub by: Option<&'static str>,
}

/// Everything that is counted or measured. Each combination that occurs in an hour is paid for, so
/// they are few, and none is told apart by account.
pub const METRICS: &[Metric] = &[
    // From requests.
    count("RequestsCreated", None),
    count("RequestsFinished", Some("Outcome")),
    // How long after the deadline a time-out was settled.
    milliseconds("TimeoutLateness"),
    // From deliveries.
    count("Attempts", Some("Result")),
    // From what is told until its first attempt.
    milliseconds("FirstAttemptLatency"),
    count("DeadLetters", None),
    count("BreakerOpenings", None),
    // From sweeps, each minute: what is due and was left, and how long the oldest has been due.
    count("SweepBacklog", None),
    milliseconds("SweepDuration"),
    Metric { name: "OldestDueAge", unit: "Seconds", by: None },
    // From sweeps that came upon something bad.
    count("SweepErrors", None),
    count("Quarantined", None),
    // By how much at least this machine's clock and DynamoDB's differ, where that is much.
    milliseconds("ClockSkew"),
];

const fn count(name: &'static str, by: Option<&'static str>) -> Metric {
    Metric { name, unit: "Count", by }
}

const fn milliseconds(name: &'static str) -> Metric {
    Metric { name, unit: "Milliseconds", by: None }
}

/// Begins to log to standard output: JSON where Lambda is asked for it (`AWS_LAMBDA_LOG_FORMAT`),
/// of the level `info` and above unless `RUST_LOG` says otherwise. Metrics are lines of `info`.
pub(super) fn init() -> anyhow::Result<()> {
    let levels = optional("RUST_LOG")?;
    let levels = levels.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let format: Option<String> = optional("AWS_LAMBDA_LOG_FORMAT")?;
    if format.is_some_and(|it| it.eq_ignore_ascii_case("json")) {
        let stack: Option<String> = optional("STACK_NAME")?;
        tracing::subscriber::set_global_default(json(stack, levels, std::io::stdout))?;
        // What a panic says may quote what people wrote; where it was says enough.
        panic::set_hook(Box::new(|panic| {
            tracing::error!(location = panic.location().map(tracing::field::display), "panicked");
        }));
    } else {
        let lines = tracing_subscriber::fmt::layer().with_filter(levels);
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines))?;
    }
    Ok(())
}

/// What writes lines of JSON. Without a stack they count nothing.
pub fn json<W>(stack: Option<String>, levels: Targets, writer: W) -> impl Subscriber
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(Lines { stack })
        .with_writer(writer);
    tracing_subscriber::registry().with(lines.with_filter(levels))
}

struct Lines {
    stack: Option<String>,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = Clock::System.now();
        let mut line = Line(Map::new());
        line.set("timestamp", format!("{now:.3}").into());
        line.set("level", event.metadata().level().as_str().into());
        line.set("target", event.metadata().target().into());
        // Lambda's own span names the invocation.
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>();
            let fields = fields.and_then(|it| serde_json::from_str::<Map<_, _>>(it).ok());
            line.0.extend(fields.unwrap_or_default());
        }
        event.record(&mut line);
        if let Some(stack) = &self.stack {
            line.count(stack, now.as_millisecond());
        }
        writeln!(writer, "{}", Value::Object(line.0))
    }
}

/// A line in the making.
struct Line(Map<String, Value>);

impl Line {
    /// Sets a field. One with a full stop in its name is a member of another.
    fn set(&mut self, name: &str, value: Value) {
        // `r#type` is how Rust spells a field `type`.
        let name = name.replace("r#", "");
        if let Some((outer, inner)) = name.split_once('.')
            && let Value::Object(members) = self.0.entry(outer).or_insert_with(|| json!({}))
        {
            members.insert(inner.to_owned(), value);
        } else {
            self.0.insert(name, value);
        }
    }

    /// Says which of its fields are metrics.
    fn count(&mut self, stack: &str, millisecond: i64) {
        let mut directives = Vec::new();
        for metric in METRICS.iter().filter(|it| self.0.contains_key(it.name)) {
            let dimensions: Vec<&str> = [STACK].into_iter().chain(metric.by).collect();
            directives.push(json!({
                "Namespace": NAMESPACE,
                "Dimensions": [dimensions],
                "Metrics": [{ "Name": metric.name, "Unit": metric.unit }],
            }));
        }
        if directives.is_empty() {
            return;
        }
        self.set(STACK, stack.into());
        self.set("_aws", json!({ "Timestamp": millisecond, "CloudWatchMetrics": directives }));
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), value.into());
    }

    /// With everything that led to it.
    fn record_error(&mut self, field: &Field, value: &(dyn error::Error + 'static)) {
        let causes = std::iter::successors(Some(value), |it| it.source());
        let text: Vec<String> = causes.map(ToString::to_string).collect();
        self.set(field.name(), text.join(": ").into());
    }
}
