//! `answerback login`: an address and a key, checked and stored.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use answerback::platform::config::optional;
use anyhow::{Context as _, bail, ensure};
use console::Term;
use reqwest::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::{
    client::{Call, Client},
    exit::{Ended, Exit, Failure},
    files::read_stdin,
    printable::{printable, write_line},
    settings::{ConfigFile, DEFAULT_PROFILE, Profile, Server, parse_url},
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
    #[arg(long, value_name = "NAME", default_value = DEFAULT_PROFILE)]
    profile: String,
    /// Base URL of the API [default: `ANSWERBACK_URL`, or a prompt]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Read the key from standard input
    #[arg(long)]
    with_key: bool,
}

/// Asks for what is missing, checks the key, and writes the profile.
pub(crate) async fn run(login: Login) -> Ended {
    let mut file = ConfigFile::read()?;
    let url = match login.url {
        Some(url) => url,
        None => match optional("ANSWERBACK_URL")? {
            Some(url) => url,
            None => prompt_url(login.with_key)?,
        },
    };
    let url = parse_url(&url)?;
    let key = if login.with_key { read_stdin()?.into() } else { prompt_key()? };
    let server = Server::new(url, key.expose_secret())?;
    let client = Client::new(&server, GIVE_UP)?;
    let checked = match client.call(&Call::get("/v1/key")).await {
        Ok(reply) => reply.json,
        Err(err) if err.status() == Some(StatusCode::NOT_FOUND) => {
            let text =
                format!("{} is not the base URL of an Answerback API that has /v1/key", server.url);
            return Err(Failure::new(Exit::Refused, anyhow::Error::from(err).context(text)));
        }
        Err(err) => return Err(err.into()),
    };
    let url = server.url.as_str().trim_end_matches('/').to_owned();
    file.set(&login.profile, Profile { url, api_key: server.key.expose_secret().to_owned() });
    let path = file.write()?;
    write_line(&describe(&checked));
    write_line(&format!("wrote profile `{}` to {}", login.profile, path.display()));
    Ok(Exit::Accepted)
}

fn prompt_url(has_key_on_stdin: bool) -> anyhow::Result<String> {
    ensure!(!has_key_on_stdin, "--url or ANSWERBACK_URL must be set with --with-key");
    let terminal = terminal("--url")?;
    terminal.write_str("Base URL of the API: ").context("cannot write to the terminal")?;
    let url = terminal.read_line().context("cannot read the URL")?;
    if url.trim().is_empty() {
        bail!("no URL was entered");
    }
    Ok(url)
}

/// Asks for the key without showing it.
fn prompt_key() -> anyhow::Result<SecretString> {
    let terminal = terminal("--with-key")?;
    terminal.write_str("API key (hidden): ").context("cannot write to the terminal")?;
    let key = terminal.read_secure_line().context("cannot read the key")?;
    Ok(key.into())
}

/// The terminal for prompts.
fn terminal(instead: &str) -> anyhow::Result<Term> {
    ensure!(
        io::stdin().is_terminal() && io::stderr().is_terminal(),
        "there is no terminal for a prompt; use {instead}"
    );
    Ok(Term::stderr())
}

/// The key, as the server describes it.
fn describe(key: &Value) -> String {
    let text = |name: &str| key[name].as_str().unwrap_or("?").to_owned();
    let name = key["name"].as_str().map(|it| format!(" `{it}`")).unwrap_or_default();
    let mode = if key["livemode"] == Value::Bool(false) { "test" } else { "live" };
    let scopes: Vec<&str> =
        key["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let scopes = scopes.join(", ");
    printable(&format!("key {}{name}, {mode} mode, with {scopes}", text("id")))
}
