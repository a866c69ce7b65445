//! Telemetry: JSON log lines, some of which carry metrics.
//!
//! ```text
//! tracing::info!(request.id = …, Outcome = "completed", RequestsFinished = 1, "answered")
//!
//! {"timestamp": …, "level": "INFO", "target": "intake::requests", "message": "answered",
//!  "requestId": …, "request": {"id": …}, "Outcome": "completed", "RequestsFinished": 1,
//!  "Stack": …, "_aws": {…}}
//! ```
//!
//! A field that is named in [`METRICS`] is a metric. Its line declares it in CloudWatch's embedded
//! metric format, and CloudWatch counts it on the way into the log. That costs no call, and the log
//! shows each counted event. No line contains text that people wrote, a secret, or a link token.
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

/// The CloudWatch namespace of our metrics.
pub const NAMESPACE: &str = "Answerback";
/// The field of the Lambda runtime's span with the id of the call in X-Ray.
const X_RAY_TRACE: &str = "xrayTraceId";
/// Dimension of every metric: the stack, because an AWS account may have several.
const STACK: &str = "Stack";

/// A count or a measurement.
#[derive(Debug)]
pub struct Metric {
    /// Name of the metric and of the log field.
    pub name: &'static str,
    /// CloudWatch unit.
    pub unit: &'static str,
    /// Field that is a second dimension, in addition to the stack.
    pub by: Option<&'static str>,
}

/// All metrics. CloudWatch bills each combination of dimensions that occurs in an hour, so there
/// are few, and none has the account as a dimension.
pub const METRICS: &[Metric] = &[
    // From requests.
    count("RequestsCreated", None),
    count("RequestsFinished", Some("Outcome")),
    // Time from the deadline until its time-out was settled.
    milliseconds("TimeoutLateness"),
    // From deliveries.
    count("Attempts", Some("Result")),
    // Time from the event until the first attempt to deliver it.
    milliseconds("FirstAttemptLatency"),
    // Of each delivery that ended: 1 if its retries are used up, or else 0.
    count("DeadLetters", None),
    // Deliveries whose workers died in every attempt.
    count("CrashLoops", None),
    count("BreakerOpenings", None),
    // From sweeps, each minute: due items that were left, and the age of the oldest.
    count("SweepBacklog", None),
    milliseconds("SweepDuration"),
    Metric { name: "OldestDueAge", unit: "Seconds", by: None },
    // From sweeps that failed on an item.
    count("SweepErrors", None),
    count("Quarantined", None),
    // Difference between this machine's clock and DynamoDB's, if it is a second or more.
    milliseconds("ClockSkew"),
];

const fn count(name: &'static str, by: Option<&'static str>) -> Metric {
    Metric { name, unit: "Count", by }
}

const fn milliseconds(name: &'static str) -> Metric {
    Metric { name, unit: "Milliseconds", by: None }
}

/// Starts to log to standard output, as JSON if `AWS_LAMBDA_LOG_FORMAT` asks for it. The level is
/// `info` unless `RUST_LOG` is set. Most metrics are on `info` lines, so a higher level loses them.
pub(super) fn init() -> anyhow::Result<()> {
    let levels = optional("RUST_LOG")?;
    let levels = levels.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let format: Option<String> = optional("AWS_LAMBDA_LOG_FORMAT")?;
    if format.is_some_and(|it| it.eq_ignore_ascii_case("json")) {
        let stack: Option<String> = optional("STACK_NAME")?;
        tracing::subscriber::set_global_default(json(stack, levels, std::io::stdout))?;
        // A panic message may quote text that people wrote, so only its location is logged.
        panic::set_hook(Box::new(|panic| {
            tracing::error!(location = panic.location().map(tracing::field::display), "panicked");
        }));
    } else {
        let lines = tracing_subscriber::fmt::layer().with_filter(levels);
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines))?;
    }
    Ok(())
}

/// A subscriber that writes JSON lines. Without a stack they carry no metrics.
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
        // The Lambda runtime's span has the invocation's request id.
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>();
            let fields = fields.and_then(|it| serde_json::from_str::<Map<_, _>>(it).ok());
            for (name, value) in fields.unwrap_or_default() {
                // X-Ray is off, so its id, of a hundred bytes in each line, leads nowhere.
                if name != X_RAY_TRACE {
                    line.set(&name, value);
                }
            }
        }
        event.record(&mut line);
        if let Some(stack) = &self.stack {
            line.declare_metrics(stack, now.as_millisecond());
        }
        let text = serde_json::to_string(&line.0).map_err(|_| fmt::Error)?;
        writeln!(writer, "{text}")
    }
}

/// A log line under construction.
struct Line(Map<String, Value>);

impl Line {
    /// Sets a field. A name with a period is a member of an object.
    fn set(&mut self, name: &str, value: Value) {
        // Rust spells the field `type` as `r#type`.
        let name = name.replace("r#", "");
        if let Some((outer, inner)) = name.split_once('.')
            && let Value::Object(members) = self.0.entry(outer).or_insert_with(|| json!({}))
        {
            members.insert(inner.to_owned(), value);
        } else {
            self.0.insert(name, value);
        }
    }

    /// Declares which fields are metrics.
    fn declare_metrics(&mut self, stack: &str, millisecond: i64) {
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

    /// Records an error with its causes.
    fn record_error(&mut self, field: &Field, value: &(dyn error::Error + 'static)) {
        let causes = std::iter::successors(Some(value), |it| it.source());
        let text: Vec<String> = causes.map(ToString::to_string).collect();
        self.set(field.name(), text.join(": ").into());
    }
}
