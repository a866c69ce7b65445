//! `answerback wait`, and the waiting of `answerback ask --wait`.

mod session;
mod verdict;

use std::time::Duration;

use answerback::domain::RequestId;

use crate::{
    client::{Call, Client},
    duration,
    exit::Ended,
    output::{OutputFlags, Outputs},
    progress::Awaited,
    request::Shown,
    settings::{Server, ServerFlags},
};

pub(crate) use session::{Attended, Session};
pub(crate) use verdict::Accepted;

pub(crate) const EXAMPLES: &str = "\
Examples:
  answerback wait req_01jd…
  answerback wait req_01jd… --wait-timeout 10m || [ $? -eq 124 ]
  answerback wait req_01jd… --json | jq .responses";

/// The flags of `answerback wait`.
#[derive(Debug, clap::Args)]
pub(crate) struct Wait {
    /// Id of the request: `req_…`
    id: RequestId,
    #[command(flatten)]
    flags: WaitFlags,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    server: ServerFlags,
}

/// The flags that say what to wait for, and how long.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct WaitFlags {
    /// Decision that counts as a yes; repeat it for several [default: the first option]
    #[arg(long, value_name = "VALUE", help_heading = "Waiting")]
    pub(crate) accept: Vec<String>,
    /// Stop waiting after this time, and exit with 124. The request stays pending
    #[arg(long, value_name = "DURATION", value_parser = duration::positive, help_heading = "Waiting")]
    pub(crate) wait_timeout: Option<Duration>,
    /// Cancel the request on Ctrl-C and SIGTERM. Without it the request stays pending
    #[arg(long, help_heading = "Waiting")]
    pub(crate) cancel_on_interrupt: bool,
}

/// Waits for a request that exists.
pub(crate) async fn run(wait: Wait) -> Ended {
    let mut outputs = Outputs::new(wait.output)?;
    let client = Client::new(&Server::choose(&wait.server.address)?, wait.server.give_up)?;
    let mut session = Session::new(&wait.flags)?;
    let read = Call::get(format!("/v1/requests/{}", wait.id));
    let awaited = Awaited::Unread(wait.id);
    let shown = match session.attend(&client, Some(awaited), client.request(&read)).await {
        Attended::Done(shown) => shown?,
        Attended::Interrupted(exit) => {
            return Ok(session.interrupted(&client, awaited, exit).await);
        }
        Attended::OutOfTime => return Ok(session.out_of_time(awaited)),
    };
    let options: Vec<String> = shown.request.options.iter().map(|it| it.value.clone()).collect();
    let accepted = Accepted::of(&wait.flags.accept, &options)?;
    session.announce(&shown.request, outputs.flags);
    outputs.set_step_outputs(&shown.request)?;
    finish(&mut session, &client, shown, &accepted, &mut outputs).await
}

/// Waits until the request ends, and reports it.
pub(crate) async fn finish(
    session: &mut Session,
    client: &Client,
    shown: Shown,
    accepted: &Accepted,
    outputs: &mut Outputs,
) -> Ended {
    let (shown, exit) = session.wait(client, shown, accepted).await?;
    outputs.print(&shown, shown.request.decision.as_deref().unwrap_or_default())?;
    outputs.set_step_outputs(&shown.request)?;
    Ok(exit)
}
