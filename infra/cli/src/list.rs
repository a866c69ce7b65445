//! `answerback list`: requests, newest first.

use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use crate::{
    client::{Call, Client, other_than},
    exit::{Ended, Exit, Failure},
    output::{Links, print_json, print_line},
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
    /// Print the requests as JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// Leave answer links in the JSON, if the key may see them. Anyone who reads a link can answer
    /// with it
    #[arg(long, requires = "json", help_heading = "Output")]
    show_links: bool,
    #[command(flatten)]
    server: ServerFlags,
}

/// A page of requests.
#[derive(Deserialize)]
struct Page {
    data: Vec<Value>,
    next_cursor: Option<String>,
}

/// Prints the requests: a line for each, or a JSON list.
pub(crate) async fn run(list: List) -> Ended {
    let client = Client::choose(&list.server)?;
    let found = find(&client, &list).await?;
    if list.json {
        let all: Vec<Value> = found.into_iter().map(|it| it.json).collect();
        let links = if list.show_links { Links::Shown } else { Links::Removed };
        print_json(&all.into(), links)?;
    } else {
        for shown in &found {
            print_line(&line(&shown.request))?;
        }
    }
    Ok(Exit::Accepted)
}

/// Reads pages until there are enough requests.
async fn find(client: &Client, list: &List) -> Result<Vec<Shown>, Failure> {
    let mut found = Vec::new();
    let mut cursor = None;
    while found.len() < list.limit {
        let call = Call::get(path(list, found.len(), cursor.as_deref()));
        let page: Page = client.call(&call).await?.read("a list")?;
        // A page may be empty because of the filters, but the next one has another cursor.
        let is_end =
            page.next_cursor.is_none() || (page.data.is_empty() && page.next_cursor == cursor);
        for json in page.data {
            let shown = Shown::read(json).map_err(|err| other_than("a list of requests", &err))?;
            found.push(shown);
        }
        if is_end {
            break;
        }
        cursor = page.next_cursor;
    }
    // A server may send more than it was asked for.
    found.truncate(list.limit);
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
