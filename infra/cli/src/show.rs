//! `answerback show`: one request.

use answerback::domain::RequestId;

use crate::{
    client::{Call, Client},
    exit::{Ended, Exit},
    output::{JsonFlags, print_json, print_line},
    printable::{printable, write_line},
    progress,
    request::{Outcome, Recipient, Request},
    settings::ServerFlags,
};

/// The flags of `answerback show`.
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// Id of the request: `req_…`
    id: RequestId,
    #[command(flatten)]
    output: JsonFlags,
    #[command(flatten)]
    server: ServerFlags,
}

/// Prints the request. It exits with 0 whatever was decided.
pub(crate) async fn run(show: Show) -> Ended {
    let client = Client::choose(&show.server)?;
    let shown = client.request(&Call::get(format!("/v1/requests/{}", show.id))).await?;
    if show.output.json {
        print_json(&shown.json, show.output.links())?;
        return Ok(Exit::Accepted);
    }
    for line in lines(&shown.request) {
        print_line(&line)?;
    }
    if show.output.show_links && shown.request.is_pending() {
        for Recipient { email, answer_url } in &shown.request.recipients {
            let who = email.as_deref().unwrap_or("anyone");
            match answer_url {
                Some(link) => print_line(&printable(&format!("answer link for {who}: {link}")))?,
                // A script reads links from stdout.
                None => write_line(&printable(&format!("this key sees no link of {who}"))),
            }
        }
    }
    Ok(Exit::Accepted)
}

fn lines(request: &Request) -> Vec<String> {
    let mut lines = vec![
        printable(&format!("{}  {}", request.id, request.title)),
        format!("status    {}", request.status.as_str()),
        format!("created   {}", request.created_at),
        format!("deadline  {}", request.deadline),
    ];
    let optional = [
        ("outcome ", request.outcome.map(Outcome::as_str)),
        ("decision", request.decision.as_deref()),
        ("by      ", request.decided_by.as_deref()),
        ("ref     ", request.external_reference_id.as_deref()),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            lines.push(printable(&format!("{name}  {value}")));
        }
    }
    if let Some(action) = &request.action {
        lines.push(printable(&format!("action    {} ({})", action.name, action.digest)));
    }
    lines.extend(request.responses.iter().map(|it| format!("- {}", progress::answer(it))));
    lines
}
