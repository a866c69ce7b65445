//! `answerback mcp`: the Model Context Protocol on stdin and stdout, forwarded to `POST /mcp`.
//!
//! ```text
//! line on stdin ─▶ message ─┬─ request ─────────────────▶ a call in flight ─▶ line on stdout
//!                           ├─ notifications/cancelled ─▶ ends a call in flight
//!                           └─ other notification ──────▶ a call whose response is dropped
//! ```
//!
//! - One message a line (<https://modelcontextprotocol.io/specification/2026-07-28/basic/transports>).
//!   Only messages go to stdout.
//! - Calls are in flight next to each other: one that is held blocks no other.
//! - The server keeps nothing between messages. This keeps the version that a handshake agreed on.

mod forward;
mod message;

use std::{
    collections::HashMap,
    io::{self, BufRead as _, BufReader, Read as _},
    sync::Arc,
    time::Duration,
};

use answerback::platform::Clock;
use serde_json::Value;
use tokio::{
    sync::mpsc::{self, Receiver},
    task::{AbortHandle, JoinSet},
};

use crate::{
    client::Client,
    exit::{Ended, Exit},
    output::print_line,
    printable::{printable, write_line},
    settings::{AddressFlags, Server},
};
use forward::{Forwarder, rpc_error};
use message::{Kind, Message};

pub(crate) const EXAMPLES: &str = "\
Examples:
  claude mcp add answerback -- answerback mcp --profile agent
  codex mcp add answerback -- answerback mcp --profile agent";

/// Longest message, in bytes. The API takes less.
const LINE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most calls in flight. A further one is refused.
const IN_FLIGHT_MAX: usize = 100;
/// Time for the calls in flight after the end of stdin.
const LAST_CALLS: Duration = Duration::from_secs(5);

const PARSE_ERROR: i32 = -32_700;
const INTERNAL_ERROR: i32 = -32_603;

/// The flags of `answerback mcp`.
#[derive(Debug, clap::Args)]
pub(crate) struct Mcp {
    #[command(flatten)]
    server: AddressFlags,
}

/// A line on stdin.
enum Line {
    Text(String),
    /// It is longer than [`LINE_BYTES_MAX`], or no UTF-8.
    Unreadable,
}

/// The messages of one client.
struct Session {
    forwarder: Arc<Forwarder>,
    calls: JoinSet<Done>,
    in_flight: HashMap<String, AbortHandle>,
}

/// A call that ended.
struct Done {
    /// The id of the request in JSON. `None`: a notification.
    id: Option<String>,
    response: Option<Value>,
}

/// Forwards messages until the end of stdin.
pub(crate) async fn run(mcp: Mcp) -> Ended {
    let server = Server::choose(&mcp.server)?;
    // A call is forwarded once: the agent decides whether it tries again.
    let client = Client::new(&server, Duration::ZERO)?;
    let mut lines = read_lines();
    let mut session = Session {
        forwarder: Arc::new(Forwarder::new(client)),
        calls: JoinSet::new(),
        in_flight: HashMap::new(),
    };
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => session.take(line)?,
                None => break,
            },
            Some(ended) = session.calls.join_next() => session.end(ended.ok())?,
        }
    }
    session.finish().await?;
    Ok(Exit::Accepted)
}

impl Session {
    /// Handles a line.
    fn take(&mut self, line: Line) -> anyhow::Result<()> {
        let Line::Text(text) = line else {
            let text = format!("a message must be UTF-8 of at most {LINE_BYTES_MAX} bytes");
            return answer(&rpc_error(&Value::Null, PARSE_ERROR, &text));
        };
        if text.trim().is_empty() {
            return Ok(());
        }
        let message = match Message::read(text) {
            Ok(message) => message,
            Err(err) => {
                let text = format!("the line is not JSON: {err}");
                return answer(&rpc_error(&Value::Null, PARSE_ERROR, &text));
            }
        };
        match message.kind() {
            Kind::Cancellation(id) => {
                if let Some(call) = self.in_flight.remove(&id) {
                    call.abort();
                }
                Ok(())
            }
            // The server asks nothing.
            Kind::Response => {
                write_line("ignored a response to no request");
                Ok(())
            }
            Kind::Request | Kind::Notification => self.forward(message),
        }
    }

    fn forward(&mut self, message: Message) -> anyhow::Result<()> {
        if self.calls.len() >= IN_FLIGHT_MAX {
            let text = format!("{IN_FLIGHT_MAX} calls are in flight; wait for one of them");
            // A notification that is dropped loses nothing.
            let Some(id) = message.id() else { return Ok(()) };
            return answer(&rpc_error(id, INTERNAL_ERROR, &text));
        }
        let id = message.id().map(ToString::to_string);
        let forwarder = Arc::clone(&self.forwarder);
        let key = id.clone();
        let call = self.calls.spawn(async move {
            let response = forwarder.forward(&message).await;
            Done { id: key, response }
        });
        if let Some(id) = id {
            self.in_flight.insert(id, call);
        }
        Ok(())
    }

    /// Prints the response of a call. `None`: the call was cancelled.
    fn end(&mut self, done: Option<Done>) -> anyhow::Result<()> {
        let Some(Done { id, response }) = done else { return Ok(()) };
        if let Some(id) = id {
            self.in_flight.remove(&id);
        }
        response.map_or(Ok(()), |it| answer(&it))
    }

    /// Lets the calls in flight end, for a short time.
    async fn finish(&mut self) -> anyhow::Result<()> {
        let mut out_of_time = std::pin::pin!(Clock::System.sleep(LAST_CALLS));
        loop {
            tokio::select! {
                ended = self.calls.join_next() => match ended {
                    Some(ended) => self.end(ended.ok())?,
                    None => return Ok(()),
                },
                () = &mut out_of_time => {
                    write_line(&format!("stdin ended; left {} calls", self.calls.len()));
                    return Ok(());
                }
            }
        }
    }
}

/// Prints a message.
fn answer(message: &Value) -> anyhow::Result<()> {
    print_line(&message.to_string())
}

/// The lines on stdin. A thread reads them, which ends with the process.
fn read_lines() -> Receiver<Line> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut stdin = BufReader::new(io::stdin());
        loop {
            let line = match read_line(&mut stdin) {
                Ok(Some(line)) => line,
                Ok(None) => return,
                Err(err) => return write_line(&printable(&format!("cannot read stdin: {err}"))),
            };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// The next line. `None` at the end.
fn read_line(stdin: &mut BufReader<io::Stdin>) -> io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    let n_read = stdin.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
    if n_read == 0 {
        return Ok(None);
    }
    if bytes.len() as u64 == LINE_BYTES_MAX && bytes.last() != Some(&b'\n') {
        skip_line(stdin)?;
        return Ok(Some(Line::Unreadable));
    }
    Ok(Some(String::from_utf8(bytes).map_or(Line::Unreadable, Line::Text)))
}

/// Skips the rest of a line, without keeping it.
fn skip_line(stdin: &mut BufReader<io::Stdin>) -> io::Result<()> {
    loop {
        let part = stdin.fill_buf()?;
        if part.is_empty() {
            return Ok(());
        }
        let end = part.iter().position(|it| *it == b'\n');
        let n_skipped = end.map_or(part.len(), |it| it + 1);
        stdin.consume(n_skipped);
        if end.is_some() {
            return Ok(());
        }
    }
}
