//! `answerback list`: requests, newest first.

use serde_json::Value;
use url::form_urlencoded;

use crate::{
    client::{Call, Client},
    exit::{Ended, Exit},
    output::{JsonFlags, print_json, print_line},
    printable::printable,
    request::{Outcome, Request, Shown},
    settings::ServerFlags,
};

/// Most requests on a page of the API.
const PAGE_MAX: usize = 100;

/// The flags of `answerback list`.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only requests with this status
    #[arg(long, value_parser = ["pending", "finished", "cancelled"])]
    status: Option<String>,
    /// Only requests with this reference
    #[arg(long, value_name = "REFERENCE")]
    reference: Option<String>,
    /// Most requests to print
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    output: JsonFlags,
    #[command(flatten)]
    server: ServerFlags,
}

/// Prints the requests: a line for each, or a JSON list.
pub(crate) async fn run(list: List) -> Ended {
    let client = Client::choose(&list.server)?;
    let found = find(&client, &list).await?;
    if list.output.json {
        let all: Vec<Value> = found.into_iter().map(|it| it.json).collect();
        print_json(&all.into(), list.output)?;
    } else {
        for shown in &found {
            print_line(&line(&shown.request))?;
        }
    }
    Ok(Exit::Accepted)
}

/// Reads pages until there are enough requests.
async fn find(client: &Client, list: &List) -> Result<Vec<Shown>, crate::exit::Failure> {
    let mut found = Vec::new();
    let mut cursor = None;
    while found.len() < list.limit {
        let page = client.call(&Call::get(path(list, found.len(), cursor.as_deref()))).await?.json;
        for json in page["data"].as_array().into_iter().flatten() {
            let shown = Shown::read(json.clone());
            found.push(shown.map_err(|err| anyhow::anyhow!("the list has no requests: {err}"))?);
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    Ok(found)
}

fn path(list: &List, n_found: usize, cursor: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &(list.limit - n_found).min(PAGE_MAX).to_string());
    let filters = [
        ("status", list.status.as_deref()),
        ("external_reference_id", list.reference.as_deref()),
        ("cursor", cursor),
    ];
    for (name, value) in filters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    format!("/v1/requests?{}", query.finish())
}

fn line(request: &Request) -> String {
    let outcome = request.outcome.map_or(request.status.as_str(), Outcome::as_str);
    let decision = request.decision.as_deref().unwrap_or("-");
    printable(&format!("{}  {outcome:<9}  {decision:<9}  {}", request.id, request.title))
}
