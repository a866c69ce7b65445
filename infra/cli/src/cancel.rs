//! `answerback cancel`: the end of a pending request.

use answerback::domain::RequestId;
use serde_json::json;

use crate::{
    client::{Call, Client},
    exit::{Ended, Exit},
    output::{Links, print_json},
    printable::write_line,
    request::Status,
    settings::ServerFlags,
};

/// The flags of `answerback cancel`.
#[derive(Debug, clap::Args)]
pub(crate) struct Cancel {
    /// Id of the request: `req_…`
    id: RequestId,
    /// Reason, which recipients see
    #[arg(long)]
    reason: Option<String>,
    /// Print the request as JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
    #[command(flatten)]
    server: ServerFlags,
}

/// Cancels the request. A cancelled request stays as it is.
pub(crate) async fn run(cancel: Cancel) -> Ended {
    let client = Client::choose(&cancel.server)?;
    let path = format!("/v1/requests/{}", cancel.id);
    let call = Call::post(format!("{path}/cancel"));
    let call = match &cancel.reason {
        Some(reason) => call.with_body(json!({ "reason": reason }).to_string()),
        None => call,
    };
    let shown = match client.call(&call).await {
        Ok(reply) => reply.request()?,
        // The response of an earlier attempt may have been lost.
        Err(err) if err.code() == Some("already_finished") => {
            let shown = client.request(&Call::get(path)).await?;
            if shown.request.status != Status::Cancelled {
                return Err(err.into());
            }
            shown
        }
        Err(err) => return Err(err.into()),
    };
    write_line(&format!("cancelled {}", shown.request.id));
    if cancel.json {
        print_json(&shown.json, Links::Removed)?;
    }
    Ok(Exit::Accepted)
}
