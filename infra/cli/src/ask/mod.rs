//! `answerback ask`: a question from a script, and with `--wait` its answer as an exit code.

mod body;
mod parts;

use std::time::Duration;

use anyhow::ensure;

use crate::{
    client::{Call, Client, idempotency_key, new_idempotency_key},
    duration,
    exit::{Ended, Exit, Failure},
    output::{OutputFlags, Outputs},
    progress::Awaited,
    settings::{Server, ServerFlags},
    wait::{self, Attended, Session, WaitFlags},
};
use body::Question;
use parts::{DeadlinePart, FieldPart, OptionPart, QuorumPart};

pub(crate) const EXAMPLES: &str = "\
Examples:
  answerback ask 'Deploy v2.4.1?' --to ada@example.com --wait
  answerback ask 'Deploy v2.4.1?' --to ada@example.com --to bob@example.com --to cy@example.com \\
    --quorum 2 --veto reject --deadline 2h --idempotency-key deploy-v2.4.1 --wait && ./deploy
  answerback ask 'Which region?' --option eu:Europe --option us:'United States' \\
    --accept eu --accept us --wait
  git log -1 | answerback ask 'Merge?' --body-file - --field why:textarea:Why? \\
    --option yes:Merge:primary --option no:Close --wait --json
  id=$(answerback ask 'Deploy?' --to ada@example.com) && answerback wait \"$id\"

Without --option and --field, the options are `approve` and `reject`.";

/// The flags of `answerback ask`.
#[derive(Debug, clap::Args)]
pub(crate) struct Ask {
    /// Question in one line, up to 200 characters
    title: String,
    /// File with details in Markdown; `-` is standard input
    #[arg(long, value_name = "FILE", help_heading = "Question")]
    body_file: Option<String>,
    /// Email address of a recipient; repeat it for several [default: anyone who has the link]
    #[arg(long, value_name = "EMAIL", help_heading = "Question")]
    to: Vec<String>,
    /// Option: `approve:Approve:primary`. Styles are primary, secondary and destructive. A label that
    /// contains a colon needs a style after it
    #[arg(long = "option", value_name = "VALUE:LABEL[:STYLE]", help_heading = "Question")]
    options: Vec<OptionPart>,
    /// Form field: `why:textarea:Why?`. Types are text, textarea, number, date, toggle,
    /// `select=a,b` and `multi_select=a,b`
    #[arg(long = "field", value_name = "KEY:TYPE:LABEL", help_heading = "Question")]
    fields: Vec<FieldPart>,
    /// Action that the approval is for, as `{"name": …, "args": …}`; `-` is standard input. Use up
    /// the approval with `answerback consume`
    #[arg(long, value_name = "FILE", help_heading = "Question")]
    action_file: Option<String>,
    /// Time in which the approval of an action can be used [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = duration::positive, requires = "action_file",
        help_heading = "Question")]
    consume_within: Option<Duration>,
    /// Number of times that the approval of an action can be used [default: 1]
    #[arg(long, value_name = "COUNT", requires = "action_file", help_heading = "Question")]
    consume_count: Option<u32>,
    /// Answers that decide: `all`, `any`, or the number of people who must choose the accepted option,
    /// of which there is one
    #[arg(long, value_name = "all|any|N", help_heading = "Question")]
    quorum: Option<QuorumPart>,
    /// Option that ends the request at once; repeat it for several
    #[arg(long, value_name = "VALUE", help_heading = "Question")]
    veto: Vec<String>,
    /// Time to answer, such as `2h`, or its end in RFC 3339 [default: 1d]
    #[arg(long, value_name = "DURATION|TIME", help_heading = "Question")]
    deadline: Option<DeadlinePart>,
    /// Time after which those who have not answered are reminded, at least `1m`; repeat it for several
    #[arg(long, value_name = "DURATION", value_parser = duration::positive, help_heading = "Question")]
    remind_after: Vec<Duration>,
    /// Option that is decided if the deadline passes, or `expire` [default: expire]
    #[arg(long, value_name = "VALUE", help_heading = "Question")]
    on_deadline: Option<String>,
    /// Your own name for the request, for `answerback list --reference`
    #[arg(long, value_name = "REFERENCE", help_heading = "Question")]
    reference: Option<String>,
    /// A rerun with the same key and flags asks nothing new and continues with the same request, for
    /// at least 24 hours
    #[arg(long, value_name = "KEY", value_parser = idempotency_key, help_heading = "Question")]
    idempotency_key: Option<String>,
    /// Wait for the decision: print it, and exit with 0 only if it is accepted. Without it, print the
    /// request's id
    #[arg(long = "wait", help_heading = "Waiting")]
    waits: bool,
    #[command(flatten)]
    wait: WaitFlags,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    server: ServerFlags,
}

impl Ask {
    fn check_waiting(&self) -> anyhow::Result<()> {
        let has_flags = self.wait.wait_timeout.is_some() || self.wait.cancel_on_interrupt;
        ensure!(
            self.waits || !has_flags,
            "--wait-timeout and --cancel-on-interrupt require --wait"
        );
        Ok(())
    }
}

/// Creates the request, and waits for it if the flags say so.
pub(crate) async fn run(ask: Ask) -> Ended {
    ask.check_waiting()?;
    let Question { body, accepted } = Question::read(&ask)?;
    let mut outputs = Outputs::new(ask.output)?;
    let client = Client::new(&Server::choose(&ask.server.address)?, ask.server.give_up)?;
    let key = ask.idempotency_key.clone().unwrap_or_else(new_idempotency_key);
    let create = Call::post("/v1/requests").with_body(body).once(key.clone());

    let mut session = Session::new(&ask.wait)?;
    let reply = match session.attend(&client, None, client.call(&create)).await {
        Attended::Done(Err(err)) if err.is_final() => return Err(err.into()),
        Attended::Done(Err(err)) => return Err(Failure::from(err).and(&rerun(&key))),
        Attended::Done(Ok(reply)) => reply,
        Attended::Interrupted(exit) => {
            let interrupted = interrupted(&mut session, &client, &create, exit);
            return Ok(interrupted.await.unwrap_or_else(|| {
                session.progress.line(&format!("interrupted; {}", rerun(&key)));
                session.progress.clear();
                exit
            }));
        }
        Attended::OutOfTime => return Err(out_of_time(&key)),
    };
    let is_replayed = reply.is_replayed;
    let shown = reply.request().map_err(|err| err.and(&rerun(&key)))?;
    if is_replayed {
        session.progress.line("an earlier run with this idempotency key asked already");
    }
    session.announce(&shown.request, outputs.flags);
    if !ask.waits {
        session.progress.clear();
        outputs.print(&shown, &shown.request.id.to_string())?;
        outputs.set_step_outputs(&shown.request)?;
        return Ok(Exit::Accepted);
    }
    outputs.set_step_outputs(&shown.request)?;
    wait::finish(&mut session, &client, shown, &accepted, &mut outputs).await
}

/// Cancels after a signal that arrived before the request's id did. `None` if the flags do not say so,
/// or no id arrives.
async fn interrupted(
    session: &mut Session,
    client: &Client,
    create: &Call,
    exit: Exit,
) -> Option<Exit> {
    if !session.cancels() {
        return None;
    }
    // The call may have arrived. Repeating it finds the request, or creates one that is cancelled.
    let shown = session.hurry(client.request(create)).await?.ok()?;
    Some(session.interrupted(client, Awaited::Unread(shown.request.id), exit).await)
}

fn out_of_time(key: &str) -> Failure {
    let error = anyhow::anyhow!("no success within --wait-timeout; {}", rerun(key));
    Failure::new(Exit::Unreachable, error)
}

/// The way on after an uncertain end of the creation.
fn rerun(key: &str) -> String {
    format!(
        "the request may exist and be pending, and a rerun with --idempotency-key {key} continues with it"
    )
}
