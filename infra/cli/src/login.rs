//! `answerback login`: an address and a key, checked and stored.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use answerback::platform::config::optional;
use anyhow::{Context as _, ensure};
use reqwest::StatusCode;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use crate::{
    client::{Call, Client},
    exit::{Ended, Exit, Failure},
    files::read_stdin,
    printable::{printable, write_line},
    settings::{ConfigFile, DEFAULT_PROFILE, Profile, Server, parse_url},
    signals::Signals,
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  answerback login
  answerback login --profile staging --url https://staging.example.com
  printenv KEY | answerback login --url https://answerback.example.com --with-key";

/// Longest time for which a login tries to reach the server. A person waits.
const GIVE_UP: Duration = Duration::from_secs(10);

/// The flags of `answerback login`.
#[derive(Debug, clap::Args)]
pub(crate) struct Login {
    /// Name of the profile to write
    #[arg(long, value_name = "NAME", default_value = DEFAULT_PROFILE, value_parser = profile_name)]
    profile: String,
    /// Base URL of the API [default: `ANSWERBACK_URL`, or a prompt]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Read the key from standard input
    #[arg(long)]
    with_key: bool,
}

/// The calling key, as the server describes it.
#[derive(Deserialize)]
struct Key {
    id: String,
    name: Option<String>,
    scopes: Vec<String>,
    livemode: bool,
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden {
    before: Termios,
}

/// Asks for what is missing, checks the key, and writes the profile.
pub(crate) async fn run(login: Login) -> Ended {
    let mut signals = Signals::new()?;
    tokio::select! {
        biased;
        exit = signals.next() => {
            Err(Failure::new(exit, anyhow::anyhow!("interrupted; no profile was written")))
        }
        ended = log_in(login) => ended,
    }
}

async fn log_in(login: Login) -> Ended {
    // A file that cannot be used must not cost a typed key.
    let mut file = ConfigFile::read()?;
    let url = match login.url {
        Some(url) => url,
        None => match optional("ANSWERBACK_URL")? {
            Some(url) => url,
            None => prompt_url(login.with_key).await?,
        },
    };
    let url = parse_url(&url)?;
    let key =
        if login.with_key { blocking(read_stdin).await?.into() } else { prompt_key().await? };
    let server = Server::new(url, key.expose_secret())?;
    let checked = check(&server).await?;
    let url = server.url.as_str().trim_end_matches('/').to_owned();
    file.set(&login.profile, Profile { url, api_key: server.key.expose_secret().to_owned() });
    let path = file.write()?;
    write_line(&printable(&checked.describe()));
    let name = printable(&login.profile);
    write_line(&format!("wrote profile `{name}` to {}", path.display()));
    if !file.is_default(&login.profile) {
        write_line(&format!(
            "another profile is the default; choose this one by `--profile {name}`"
        ));
    }
    Ok(Exit::Accepted)
}

/// Reads the description of the key.
async fn check(server: &Server) -> Result<Key, Failure> {
    let client = Client::new(server, GIVE_UP)?;
    let reply = client.call(&Call::get("/v1/key")).await.map_err(|err| match err.status() {
        Some(StatusCode::NOT_FOUND) => {
            let text =
                format!("{} is not the base URL of an Answerback API that has /v1/key", server.url);
            Failure::new(Exit::Refused, anyhow::Error::from(err).context(text))
        }
        _ => err.into(),
    })?;
    reply.read("a key")
}

async fn prompt_url(has_key_on_stdin: bool) -> anyhow::Result<String> {
    ensure!(!has_key_on_stdin, "--url or ANSWERBACK_URL must be set with --with-key");
    prompt("Base URL of the API: ", "--url")?;
    let url = blocking(read_line).await?;
    ensure!(!url.trim().is_empty(), "no URL was entered");
    Ok(url)
}

/// Asks for the key without showing it.
async fn prompt_key() -> anyhow::Result<SecretString> {
    prompt("API key (hidden): ", "--with-key")?;
    let _hidden = Hidden::new().context("cannot hide the key on the terminal")?;
    Ok(blocking(read_line).await?.into())
}

/// Writes a prompt. `instead` works without a terminal.
fn prompt(text: &str, instead: &str) -> anyhow::Result<()> {
    ensure!(
        io::stdin().is_terminal() && io::stderr().is_terminal(),
        "there is no terminal for a prompt; use {instead}"
    );
    write!(io::stderr(), "{text}").context("cannot write to the terminal")
}

fn read_line() -> anyhow::Result<String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line).context("cannot read from the terminal")?;
    Ok(line)
}

/// Reads on another thread, so that signals arrive meanwhile.
async fn blocking<T: Send + 'static>(read: fn() -> anyhow::Result<T>) -> anyhow::Result<T> {
    spawn_blocking(read).await.context("cannot read the input")?
}

impl Hidden {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
        // The line break was hidden, too.
        write_line("");
    }
}

impl Key {
    fn describe(&self) -> String {
        let name = self.name.as_ref().map(|it| format!(" `{it}`")).unwrap_or_default();
        let mode = if self.livemode { "live" } else { "test" };
        format!("key {}{name}, {mode} mode, with {}", self.id, self.scopes.join(", "))
    }
}

fn profile_name(text: &str) -> Result<String, String> {
    let is_name = !text.trim().is_empty() && !text.chars().any(char::is_control);
    if is_name {
        Ok(text.to_owned())
    } else {
        Err("must not be blank or contain control characters".to_owned())
    }
}
