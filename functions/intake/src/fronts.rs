//! The APIs of other products, which make ordinary requests in words of their own.
//!
//! Each front translates a body into that of `POST /v1/requests`; all rules are applied there. What
//! a front does not know it leaves out: clients say things that mean nothing here.

pub(crate) mod nextks;
pub(crate) mod ping;

use answerback::service::{
    Place, Problem,
    fields::{Faults, note},
};
use serde_json::{Map, Value};

use crate::create::{self, Draft};

/// A body in our own words, and where its parts stand in the front's.
#[derive(Default)]
struct Translation {
    members: Map<String, Value>,
    places: Vec<(String, String)>,
}

impl Translation {
    /// Adds a member, if there is one, and where it stood.
    fn put(&mut self, name: &str, value: Option<Value>, place: &str) {
        if let Some(value) = value {
            self.members.insert(name.to_owned(), value);
        }
        self.moved(format!("/{name}"), place);
    }

    /// Notes where what is now at `ours` stood.
    fn moved(&mut self, ours: String, theirs: impl Into<String>) {
        self.places.push((ours, theirs.into()));
    }

    /// What the body asks for, or everything that is wrong with it, where it stood; `faults` are
    /// those that the front has found itself.
    fn read(mut self, mut faults: Faults) -> Result<Draft, Problem> {
        let body = Value::Object(std::mem::take(&mut self.members));
        let problem = match create::read(body) {
            Ok(draft) if faults.is_empty() => return Ok(draft),
            Ok(_) => return Err(Problem::invalid(faults)),
            Err(problem) => problem,
        };
        for fault in problem.faults() {
            let Place::Pointer(ours) = &fault.place else { continue };
            note(&mut faults, self.place(ours), fault.detail.clone());
            // One text may have become two members.
            let last = faults.len() - 1;
            if faults[..last].contains(&faults[last]) {
                faults.pop();
            }
        }
        Err(Problem::invalid(faults))
    }

    /// Where what is at `ours` stood.
    fn place(&self, ours: &str) -> String {
        let rest =
            |it: &str| ours.strip_prefix(it).filter(|it| it.is_empty() || it.starts_with('/'));
        let moved = self.places.iter().filter_map(|(at, theirs)| Some((theirs, rest(at)?)));
        let nearest = moved.min_by_key(|(_, rest)| rest.len());
        nearest.map_or_else(|| ours.to_owned(), |(theirs, rest)| format!("{theirs}{rest}"))
    }
}
