//! Tasks: requests in the words of the Tasks extension. A task's identifier is its request's.
//!
//! <https://modelcontextprotocol.github.io/ext-tasks/specification/2026-07-28/tasks.html>

use answerback::{
    api::{Problem, views::ToolView},
    domain::{
        Request, RequestId, Scope,
        request::{Outcome, RequestState},
    },
};
use serde_json::{Value, json};

use super::{
    Call,
    message::{Message, RpcError},
    result,
};
use crate::requests::{cancel_request, find_settled};

/// The suggested time between two looks at a task, in milliseconds.
const POLL_INTERVAL_MS: u32 = 5_000;

/// Shows a task, and its result once it is over.
pub(super) async fn get(call: &Call<'_>, message: &Message) -> Result<Value, RpcError> {
    let request = find(call, message).await?;
    let mut task = of_request(&request);
    if task["status"] == "completed" {
        let view = ToolView::new(&request, call.app.core.now());
        task["result"] = result::success(&view);
    }
    Ok(task)
}

/// Acknowledges input that no task has asked for.
pub(super) async fn update(call: &Call<'_>, message: &Message) -> Result<Value, RpcError> {
    find(call, message).await?;
    Ok(json!({}))
}

/// Cancels the request, unless it has ended.
pub(super) async fn cancel(call: &Call<'_>, message: &Message) -> Result<Value, RpcError> {
    let request = find(call, message).await?;
    if *request.state() == RequestState::Pending {
        let cancelled = cancel_request(call.app, request, None).await;
        // It may have ended meanwhile, which `tasks/get` shows.
        if let Err(problem) = cancelled
            && problem.status().is_server_error()
        {
            return Err(RpcError::failed(&problem));
        }
    }
    Ok(json!({}))
}

async fn find(call: &Call<'_>, message: &Message) -> Result<Request, RpcError> {
    message.require_tasks()?;
    let id = message.text("taskId")?;
    // A task of another account is like one that does not exist.
    let unknown = |_| RpcError::invalid_params("task not found");
    let _: RequestId = id.parse().map_err(unknown)?;
    call.caller.require(Scope::RequestsRead).map_err(|it| RpcError::failed(&it))?;
    find_settled(call.app, call.caller, id).await.map_err(|problem: Problem| {
        if problem.status() == 404 {
            RpcError::invalid_params("task not found")
        } else {
            RpcError::failed(&problem)
        }
    })
}

/// The task that `request` is, without its result.
pub(super) fn of_request(request: &Request) -> Value {
    let (status, updated_at) = match request.state() {
        RequestState::Ended(end) if end.outcome == Outcome::Cancelled => ("cancelled", end.at),
        RequestState::Ended(end) => ("completed", end.at),
        RequestState::Pending | RequestState::Erased { .. } => ("working", request.created_at),
    };
    json!({
        "taskId": request.id.to_string(),
        "status": status,
        "createdAt": format!("{:.3}", request.created_at),
        "lastUpdatedAt": format!("{updated_at:.3}"),
        "ttlMs": null,
        "pollIntervalMs": POLL_INTERVAL_MS,
    })
}
