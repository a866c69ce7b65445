//! `answerback cancel`: the end of a pending request.

use answerback::domain::RequestId;

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
    let shown = match client.call(&Call::post(format!("{path}/cancel"))).await {
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
