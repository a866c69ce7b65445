//! Query parameters and pages of lists.

pub(crate) mod merged;

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use answerback::{
    api::{FieldError, FieldErrors, Problem, cursor, views::Page},
    domain::limits::WAIT_SECONDS_MAX,
    store::Cursor,
};
use axum::extract::{FromRequestParts, Query};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// Default number of entries on a page.
const PAGE_ENTRIES: i32 = 20;
/// Most entries on a page.
const PAGE_ENTRIES_MAX: i32 = 100;
/// Most bytes of a page. Lambda responses have at most 6 MB.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Collects a page of entries that may be large.
#[derive(Default)]
pub(crate) struct PageBuilder {
    pub(crate) data: Vec<Box<RawValue>>,
    n_bytes: usize,
}

/// Room on a page for further entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Some,
    None,
}

impl PageBuilder {
    /// Adds an entry. Without room after it, the next entry starts the next page.
    pub(crate) fn push(&mut self, view: &impl Serialize) -> Result<Room, Problem> {
        let view = to_raw_value(view).map_err(Problem::internal)?;
        self.n_bytes += view.get().len();
        self.data.push(view);
        Ok(if self.n_bytes > PAGE_BYTES_MAX { Room::None } else { Room::Some })
    }
}

/// The query. Parameters are taken one by one, and all errors are collected.
pub(crate) struct Parameters {
    values: BTreeMap<String, String>,
    faults: FieldErrors,
}

/// The page of a list that the client asks for.
pub(crate) struct PageQuery {
    pub(crate) limit: i32,
    pub(crate) cursor: Option<Cursor>,
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &S,
    ) -> Result<Self, Problem> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(pairs) = query.map_err(|_| {
            Problem::invalid(vec![FieldError::parameter("query", "is not properly encoded")])
        })?;
        let mut parameters = Self { values: BTreeMap::new(), faults: FieldErrors::default() };
        for (name, value) in pairs {
            if parameters.values.contains_key(&name) {
                parameters.fault(&name, "is duplicated");
            }
            parameters.values.insert(name, value);
        }
        Ok(parameters)
    }
}

impl Parameters {
    /// Takes the text of a parameter.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.values.remove(name)
    }

    /// Takes a parameter and parses it. `what` completes the error `must be …`.
    pub(crate) fn parsed<T>(
        &mut self,
        name: &str,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.text(name)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.fault(name, format!("must be {what}"));
        }
        parsed
    }

    /// Takes the longest time for which the call may be held.
    pub(crate) fn wait(&mut self) -> Duration {
        let what = format!("a whole number of seconds from 0 to {WAIT_SECONDS_MAX}");
        let seconds =
            self.parsed("wait", &what, |it| number(it).filter(|it| *it <= WAIT_SECONDS_MAX));
        Duration::from_secs(u64::from(seconds.unwrap_or(0)))
    }

    /// Takes the page that the client asks for.
    pub(crate) fn page(&mut self) -> PageQuery {
        let limit = self.limit();
        PageQuery { limit, cursor: self.cursor(cursor::parse) }
    }

    /// Takes the most entries of the page.
    pub(crate) fn limit(&mut self) -> i32 {
        let what = format!("a whole number from 1 to {PAGE_ENTRIES_MAX}");
        let limit = self.parsed("limit", &what, |it| {
            number(it).filter(|it| (1..=PAGE_ENTRIES_MAX).contains(it))
        });
        limit.unwrap_or(PAGE_ENTRIES)
    }

    /// Takes the start of the page.
    pub(crate) fn cursor<T>(&mut self, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.parsed("cursor", "the `next_cursor` of a page", parse)
    }

    /// Refuses errors and unknown parameters. A misspelled filter must not be ignored.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        for name in std::mem::take(&mut self.values).keys() {
            self.fault(name, "is not a known parameter");
        }
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::invalid(self.faults)) }
    }

    fn fault(&mut self, name: &str, detail: impl Into<String>) {
        self.faults.add(|| FieldError::parameter(name, detail));
    }
}

/// A whole number as JSON has it. Rust's own parser accepts a sign and leading zeros too.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let is_padded = text.len() > 1 && text.starts_with('0');
    (!is_padded && text.bytes().all(|it| it.is_ascii_digit())).then(|| text.parse().ok())?
}

/// A page with the cursor of the next one.
pub(crate) fn page<T>(data: Vec<T>, next: Option<&Cursor>) -> Page<T> {
    Page { data, next_cursor: next.map(cursor::text) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn number_is_as_in_json() {
        assert_eq!(number("0"), Some(0_u64));
        assert_eq!(number("250"), Some(250_u64));
        for text in
            ["", "025", "00", "+5", "-5", " 5", "5 ", "5.0", "5e0", "٥", "18446744073709551616"]
        {
            assert_eq!(number::<u64>(text), None, "{text:?}");
        }
    }

    proptest! {
        /// Each parameter is taken, or named in an error.
        #[test]
        fn no_query_parameter_is_ignored(
            query in r"((limit|cursor|wait|%6cimit|a)?=?((%2B|-)?[0-9]{1,4}|1\.5|%|%zz|%00|YSBi|[a-z]{1,3})?&?){0,4}",
        ) {
            let uri = format!("/?{query}").parse::<axum::http::Uri>().expect("a URI");
            let request = axum::http::Request::get(uri).body(()).expect("a request");
            let (mut parts, ()) = request.into_parts();
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let read = runtime.block_on(Parameters::from_request_parts(&mut parts, &()));
            let mut parameters = read.expect("every encoding is accepted");
            let sent = parameters.values.clone();
            let (wait, query_page) = (parameters.wait(), parameters.page());
            prop_assert!(wait <= Duration::from_secs(WAIT_SECONDS_MAX.into()));
            prop_assert!((1..=PAGE_ENTRIES_MAX).contains(&query_page.limit));
            match parameters.finish() {
                Ok(()) => {
                    for (name, value) in sent {
                        let taken = match name.as_str() {
                            "limit" => query_page.limit.to_string(),
                            "wait" => wait.as_secs().to_string(),
                            "cursor" => query_page.cursor.as_ref().map(cursor::text).unwrap_or_default(),
                            other => panic!("`{other}` was ignored"),
                        };
                        prop_assert_eq!(taken, value);
                    }
                }
                Err(problem) => {
                    for fault in problem.errors().as_slice() {
                        let shown = serde_json::to_value(fault).expect("plain data");
                        let name = shown["parameter"].as_str().expect("a parameter of the query");
                        prop_assert!(sent.contains_key(name), "{} of {}", fault, query);
                    }
                }
            }
        }
    }
}
