//! Messages on stderr while a request is pending: a live line on a terminal, plain lines in a log.

use std::{
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use answerback::{domain::RequestId, platform::config::optional};
use console::style;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;

use crate::{
    client::trying_again,
    duration,
    printable::{printable, write_line},
    request::{Outcome, Request, Response},
};

/// Interval between lines in a log that nothing else is written to. Some CI systems stop a job
/// that is silent for ten minutes.
const LINE_INTERVAL: Duration = Duration::from_mins(5);
/// Interval between frames of the spinner.
const FRAME_INTERVAL: Duration = Duration::from_millis(120);
/// Most recipients that the progress line names.
const NAMES_MAX: usize = 3;

/// The messages about one request.
pub(crate) struct Progress {
    output: Output,
    /// The times of the answers that were reported, by row.
    reported: Vec<Option<Timestamp>>,
    trouble: Option<String>,
    wrote_at: Instant,
}

/// A request that a command waits for, as far as it is known.
#[derive(Clone, Copy)]
pub(crate) enum Awaited<'a> {
    /// It was not read yet.
    Unread(RequestId),
    /// It was pending when it was read.
    Pending(&'a Request),
}

/// The place where messages go.
enum Output {
    /// A terminal: the last line is replaced.
    Terminal(ProgressBar),
    /// A log: every line stays.
    Log,
}

impl Progress {
    /// Writes to stderr, in the way that suits it.
    pub(crate) fn new() -> Self {
        let output = if is_terminal() {
            let style = ProgressStyle::with_template("{spinner} {wide_msg}");
            let bar = ProgressBar::new_spinner().with_style(style.expect("a valid template"));
            bar.enable_steady_tick(FRAME_INTERVAL);
            Output::Terminal(bar)
        } else {
            Output::Log
        };
        Self { output, reported: Vec::new(), trouble: None, wrote_at: Instant::now() }
    }

    /// True if a person reads along.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.output, Output::Terminal(_))
    }

    /// Writes a line that stays.
    pub(crate) fn line(&mut self, text: &str) {
        match &self.output {
            Output::Terminal(bar) => bar.suspend(|| write_line(text)),
            Output::Log => write_line(text),
        }
        self.wrote_at = Instant::now();
    }

    /// Reports answers that are new since the last call.
    pub(crate) fn report(&mut self, request: &Request) {
        self.reported.resize(request.responses.len(), None);
        for (row, response) in request.responses.iter().enumerate() {
            if self.reported[row] != response.answered_at {
                self.reported[row] = response.answered_at;
                self.line(&answer(response));
            }
        }
    }

    /// Shows the state at `now`. Without a request, one is being created. Called about once a second.
    pub(crate) fn tick(
        &mut self,
        awaited: Option<Awaited<'_>>,
        trouble: Option<String>,
        now: Timestamp,
    ) {
        if self.trouble != trouble {
            match (&self.trouble, &trouble) {
                (None, Some(failure)) => {
                    self.line(&trying_again(failure));
                }
                (Some(_), None) => self.line("the server responds again"),
                // The reason changed. One line for an outage is enough.
                _ => (),
            }
            self.trouble = trouble;
        }
        let text = match awaited {
            None => "creating the request".to_owned(),
            Some(Awaited::Unread(id)) => format!("waiting for {id}"),
            Some(Awaited::Pending(request)) => state(request, now),
        };
        match &self.output {
            Output::Terminal(bar) if self.trouble.is_some() => {
                bar.set_message(format!("{text} · no connection"));
            }
            Output::Terminal(bar) => bar.set_message(text),
            Output::Log if self.wrote_at.elapsed() >= LINE_INTERVAL => self.line(&text),
            Output::Log => (),
        }
    }

    /// Reports the end of the request, and removes the live line.
    pub(crate) fn end(&mut self, request: &Request) {
        let text = end(request, self.is_live());
        self.line(&text);
        self.clear();
    }

    /// Removes the live line.
    pub(crate) fn clear(&mut self) {
        if let Output::Terminal(bar) = &self.output {
            bar.finish_and_clear();
        }
    }
}

impl Awaited<'_> {
    /// The request's id.
    pub(crate) fn id(self) -> RequestId {
        match self {
            Self::Unread(id) => id,
            Self::Pending(request) => request.id,
        }
    }

    /// The request's state when the command stops to wait for it.
    pub(crate) fn last_state(self) -> String {
        match self {
            Self::Unread(id) => format!("the state of {id} is unknown"),
            Self::Pending(request) => format!("{} is still pending", request.id),
        }
    }
}

/// True if stderr is a terminal that can replace a line.
fn is_terminal() -> bool {
    let is_dumb = optional::<String>("TERM").ok().flatten().is_none_or(|it| it == "dumb");
    io::stderr().is_terminal() && !is_dumb
}

/// The answer in a row.
pub(crate) fn answer(response: &Response) -> String {
    let who = printable(response.who());
    if response.answered_at.is_none() {
        return format!("{who} has not answered");
    }
    let option = response.option.as_deref().map(|it| format!(": {it}")).unwrap_or_default();
    let fields = response.fields.iter().filter(|(_, value)| !value.is_null());
    let fields: Vec<String> = fields.map(|(key, value)| format!("{key}={value}")).collect();
    let fields =
        if fields.is_empty() { String::new() } else { format!(" ({})", fields.join(", ")) };
    format!("{who} answered{}", printable(&format!("{option}{fields}")))
}

/// The state of a pending request.
fn state(request: &Request, now: Timestamp) -> String {
    let n_rows = request.responses.len();
    let open: Vec<&Response> =
        request.responses.iter().filter(|it| it.answered_at.is_none()).collect();
    let left = match request.time_left(now) {
        Duration::ZERO => "the deadline has passed".to_owned(),
        left => format!("{} left", duration::text(left)),
    };
    let mut names: Vec<String> =
        open.iter().map(|it| printable(it.who())).take(NAMES_MAX).collect();
    if open.len() > NAMES_MAX {
        names.push(format!("{} more", open.len() - NAMES_MAX));
    }
    let waiting = if names.is_empty() {
        String::new()
    } else {
        format!(", waiting for {}", names.join(", "))
    };
    format!("{} of {n_rows} answered, {left}{waiting}", n_rows - open.len())
}

/// The end of a request.
fn end(request: &Request, is_live: bool) -> String {
    let outcome = request.outcome.map_or(request.status.as_str(), Outcome::as_str);
    let decision = request.decision.as_deref().map(printable);
    let decision = match decision {
        Some(it) if is_live => format!(", decision: {}", style(it).bold().for_stderr()),
        Some(it) => format!(", decision: {it}"),
        None => String::new(),
    };
    let by = match request.decided_by.as_deref() {
        Some("deadline_policy") => " (by the deadline)",
        _ => "",
    };
    format!("{} {outcome}{decision}{by}", request.id)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::request::Shown;

    fn request(responses: &Value) -> Request {
        let json = json!({
            "id": "req_00000000000000000000000001", "status": "pending", "outcome": null, "decided_by": null,
            "decision": null, "title": "Deploy?", "options": [], "recipients": [],
            "responses": responses, "deadline": "2026-11-27T12:00:00Z",
            "created_at": "2026-11-27T10:00:00Z", "external_reference_id": null,
        });
        Shown::read(json).expect("a request").request
    }

    #[test]
    fn progress_names_who_has_not_answered() {
        let open = |name: &str| json!({ "recipient": name, "option": null, "answered_at": null });
        let answered = json!({
            "recipient": "ada@example.com", "option": "approve",
            "answered_at": "2026-11-27T10:30:00Z", "fields": { "why": "a\nb", "n": null },
        });
        let request = request(&json!([answered, open("b"), open("c"), open("d"), open("e")]));
        let now = "2026-11-27T10:55:00Z".parse().expect("a time");
        let expected = "1 of 5 answered, 1 h 5 min left, waiting for b, c, d, 1 more";
        assert_eq!(state(&request, now), expected);
        let expected = r#"ada@example.com answered: approve (why="a\nb")"#;
        assert_eq!(answer(&request.responses[0]), expected);
        let late = "2026-11-27T12:00:01Z".parse().expect("a time");
        assert!(state(&request, late).contains("the deadline has passed"));
    }
}
