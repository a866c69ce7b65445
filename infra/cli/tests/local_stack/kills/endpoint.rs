//! Calls to a program that is sometimes dead.

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

/// Longest wait for a response and for callbacks. A hint that a killed worker had received comes again
/// with the next start, five times. Then it is dead, and the sweep sends another after 5 minutes.
pub(crate) const WAIT_MAX: Duration = Duration::from_mins(8);
/// Interval between repeated calls.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// The address of the running program. Closed while it is dead. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Endpoint {
    ready: Arc<watch::Sender<Option<Value>>>,
    /// Calls that got no response.
    n_lost: Arc<AtomicUsize>,
}

impl Endpoint {
    /// Sends calls to this program from now on.
    pub(crate) fn open(&self, stack: &Stack) {
        self.ready.send_replace(Some(stack.ready.clone()));
    }

    /// Makes new calls wait. Calls in flight continue.
    pub(crate) fn close(&self) {
        self.ready.send_replace(None);
    }

    /// Repeats a call until there is a response other than a server error.
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
            assert!(began.elapsed() < WAIT_MAX, "no response from {path}");
            pause(RETRY_INTERVAL).await;
        }
    }

    /// Calls once, as soon as the endpoint is open.
    pub(crate) async fn try_call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Option<(StatusCode, Value)> {
        let mut ready = self.ready.subscribe();
        let ready = ready.wait_for(Option::is_some).await.expect("the sender is ours").clone()?;
        let text = |name: &str| ready[name].as_str().expect("a text");
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
