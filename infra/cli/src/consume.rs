//! `answerback consume`: the program that acts proves that this action was approved, and uses the
//! approval up.

use answerback::domain::RequestId;
use serde_json::{Value, json};

use crate::{
    action::ActionFile,
    client::{Call, CallError, Client, idempotency_key, new_idempotency_key},
    exit::{Ended, Exit, Failure},
    output::{Links, print_json},
    printable::write_line,
    settings::ServerFlags,
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  answerback consume req_01jd… --action-file action.json && ./deploy action.json
  answerback consume \"$id\" --action-file action.json --idempotency-key \"deploy-$GITHUB_RUN_ID\"

Exit codes:
  0    this action was approved, and may be done now
  1    not approved, another action, or used up
  2    wrong command line, settings or file
  3    the approval has lapsed
  5    refused by the server (for example 401, 403, 404)
  6    the server was unreachable for longer than --give-up
  124  not decided yet";

/// The flags of `answerback consume`.
#[derive(Debug, clap::Args)]
pub(crate) struct Consume {
    /// Id of the request: `req_…`
    id: RequestId,
    /// File with the action that is about to be done: `{"name": …, "args": …}`; `-` is standard input
    #[arg(long, value_name = "FILE")]
    action_file: String,
    /// A rerun with the same key succeeds again, and uses the approval up once
    #[arg(long, value_name = "KEY", value_parser = idempotency_key)]
    idempotency_key: Option<String>,
    /// Print the server's response as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerFlags,
}

/// Uses the approval up. Only exit code 0 allows the action.
pub(crate) async fn run(consume: Consume) -> Ended {
    let digest = ActionFile::read(&consume.action_file)?.digest().to_string();
    let client = Client::choose(&consume.server)?;
    let key = consume.idempotency_key.unwrap_or_else(new_idempotency_key);
    let call = Call::post(format!("/v1/requests/{}/consume", consume.id))
        .with_body(json!({ "digest": digest }).to_string())
        .once(key);
    let reply = client.call(&call).await.map_err(failure)?;
    if reply.json["consumed"] != json!(true) && !reply.json["consumed"].is_number() {
        let text = "the server's response does not say that the approval was consumed";
        return Err(Failure::new(Exit::Refused, anyhow::anyhow!(text)));
    }
    let remaining = match &reply.json["remaining"] {
        Value::Number(count) => format!("; {count} uses remain"),
        _ => String::new(),
    };
    write_line(&format!("consumed the approval {} of {digest}{remaining}", consume.id));
    if consume.json {
        print_json(&reply.json, Links::Removed)?;
    }
    Ok(Exit::Accepted)
}

/// The exit code of a refusal.
fn failure(error: CallError) -> Failure {
    let exit = match error.code() {
        Some("not_decided") => Exit::StillPending,
        Some("not_approved" | "digest_mismatch" | "already_consumed") => Exit::Otherwise,
        Some("approval_lapsed") => Exit::DeadlinePassed,
        _ => return error.into(),
    };
    Failure::new(exit, error)
}
