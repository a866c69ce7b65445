//! The way to a program that is dead now and then.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::http::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::watch;

use crate::stack::{Stack, pause, try_call};

/// How long somebody goes on calling, and looks for callbacks. A hint that a killed worker had
/// taken comes again with the next start, five times; then it is dead, and what the sweep handed on
/// is handed on again after 5 minutes.
pub(crate) const PATIENCE: Duration = Duration::from_mins(8);
/// How long who got no answer waits before the same call.
const AGAIN: Duration = Duration::from_millis(10);

/// Where the program is to be found just now; shut while it is dead. Clones lead to the same one.
#[derive(Clone, Default)]
pub(crate) struct Door {
    to: Arc<watch::Sender<Option<Value>>>,
    /// Calls that got no answer.
    n_lost: Arc<AtomicUsize>,
}

impl Door {
    /// Callers find this program from now on.
    pub(crate) fn open(&self, stack: &Stack) {
        self.to.send_replace(Some(stack.ready.clone()));
    }

    /// Callers wait. Calls that are under way are not stopped.
    pub(crate) fn shut(&self) {
        self.to.send_replace(None);
    }

    /// Calls until there is an answer. One that says that something failed is none.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> (StatusCode, Value) {
        let began = Instant::now();
        loop {
            if let Some(answer) = self.try_call(method.clone(), path, headers, body).await {
                return answer;
            }
            assert!(began.elapsed() < PATIENCE, "nobody answers {path}");
            pause(AGAIN).await;
        }
    }

    /// Calls once, as soon as the door is open.
    pub(crate) async fn try_call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Option<(StatusCode, Value)> {
        let mut to = self.to.subscribe();
        let to = to.wait_for(Option::is_some).await.expect("the sender is ours").clone()?;
        let text = |name: &str| to[name].as_str().expect("a text");
        let key = format!("Bearer {}", text("api_key"));
        let headers = [&[("authorization", key.as_str())], headers].concat();
        let url = format!("{}{path}", text("base_url"));
        let answer = try_call(method, &url, &headers, body.to_string()).await;
        let answer = answer.filter(|(status, _)| !status.is_server_error());
        self.n_lost.fetch_add(answer.is_none().into(), Ordering::SeqCst);
        answer
    }

    pub(crate) fn n_lost(&self) -> usize {
        self.n_lost.load(Ordering::SeqCst)
    }
}
