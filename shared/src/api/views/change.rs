//! Changes: the part of a request that an event is about.

use serde::Serialize;

use super::response::email;
use crate::domain::{Request, request::EventDetail};

/// The part of a request that an event is about.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum ChangeView<'a> {
    /// The recipient whose link was locked.
    Recipient { recipient: Option<&'a str> },
    /// The step that was taken, if it was one, and the recipients who were reminded or asked.
    Step { step: Option<usize>, to: Vec<&'a str> },
}

impl<'a> ChangeView<'a> {
    /// The view of an event's detail. `None`: the event is about the request as a whole.
    pub(super) fn of(request: &'a Request, detail: &EventDetail) -> Option<Self> {
        match detail {
            EventDetail::None | EventDetail::Answered(_) | EventDetail::Message(_) => None,
            EventDetail::Recipient(row) => {
                Some(Self::Recipient { recipient: email(request, *row) })
            }
            EventDetail::Step { step, rows, .. } => {
                let to = rows.iter().filter_map(|it| email(request, *it)).collect();
                Some(Self::Step { step: *step, to })
            }
        }
    }
}
