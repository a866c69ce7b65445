//! The server that a command calls, and the key for it.
//!
//! | source | when |
//! |--------|------|
//! | `--url`, `--profile` | always first |
//! | `ANSWERBACK_URL`, `ANSWERBACK_API_KEY`, `ANSWERBACK_PROFILE` | without these flags |
//! | the default profile in `~/.config/answerback/config.toml` | without these variables |
//! | a local stack: `.answerback/dev.json` here or in a folder above | without any of these |
//!
//! A key that is stored with an address is sent to this address only. A key from the environment goes
//! only to an address from a flag or the environment. A file is read only if it is needed.

mod file;
mod local_stack;

use std::{net::IpAddr, time::Duration};

use answerback::platform::config::optional;
use anyhow::{Context as _, bail, ensure};
use secrecy::SecretString;
use url::{Host, Url};

use crate::duration;
pub(crate) use file::{ConfigFile, DEFAULT_PROFILE, Profile};

/// Permissions of the group and of others.
const NOT_THE_OWNER: u32 = 0o077;
/// Settings that nothing provides.
const NOTHING_SET: &str = "no server is set: run `answerback login`, set ANSWERBACK_URL and \
                           ANSWERBACK_API_KEY, or start a local stack here with `answerback dev`";

/// The same for a hook.
const NO_LOCAL_STACK: &str = "no server is set for hooks: run `answerback login`, or set \
                              ANSWERBACK_URL and ANSWERBACK_API_KEY; they ignore the local stack \
                              of a folder, which an agent could fake";

/// The flags that choose a server.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AddressFlags {
    /// Base URL of the API [default: `ANSWERBACK_URL`, a profile, or a local stack]
    #[arg(long, value_name = "URL", conflicts_with = "profile", help_heading = "Server")]
    pub(crate) url: Option<String>,
    /// Profile in the configuration file, as `answerback login` wrote it [default:
    /// `ANSWERBACK_PROFILE`, or the default profile]
    #[arg(long, value_name = "NAME", help_heading = "Server")]
    pub(crate) profile: Option<String>,
}

/// The flags that choose a server, and the patience with it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServerFlags {
    #[command(flatten)]
    pub(crate) address: AddressFlags,
    /// Exit with 6 if the server was unreachable for this long
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration::parse,
        help_heading = "Server")]
    pub(crate) give_up: Duration,
}

/// A server and the key for it.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) url: Url,
    pub(crate) key: SecretString,
}

/// The sources of settings, but for the flags.
#[derive(Clone)]
struct Sources {
    url: Option<String>,
    key: Option<String>,
    profile: Option<String>,
    file: fn() -> anyhow::Result<ConfigFile>,
    local_stack: fn() -> anyhow::Result<Option<Profile>>,
}

impl Server {
    /// The server that the flags, the environment and the files choose.
    pub(crate) fn choose(flags: &AddressFlags) -> anyhow::Result<Self> {
        Sources::read()?.choose(flags)
    }

    /// The same without the local stack of a folder. An agent that works there could fake one, and
    /// approve what it asks.
    pub(crate) fn choose_for_hook(flags: &AddressFlags) -> anyhow::Result<Self> {
        Sources { local_stack: || bail!(NO_LOCAL_STACK), ..Sources::read()? }.choose(flags)
    }

    /// A server at a URL that [`parse_url`] accepted.
    pub(crate) fn new(url: Url, key: &str) -> anyhow::Result<Self> {
        let key = key.trim();
        let is_key = key.bytes().all(|it| it.is_ascii_graphic());
        ensure!(!key.is_empty() && is_key, "the API key has invalid characters, or none");
        Ok(Self { url, key: key.into() })
    }

    /// True if the server is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }
}

impl Sources {
    fn read() -> anyhow::Result<Self> {
        Ok(Self {
            url: optional("ANSWERBACK_URL")?,
            key: optional("ANSWERBACK_API_KEY")?,
            profile: optional("ANSWERBACK_PROFILE")?,
            file: ConfigFile::read,
            local_stack: local_stack::find,
        })
    }

    fn choose(self, flags: &AddressFlags) -> anyhow::Result<Server> {
        if let Some(name) = &flags.profile {
            return (self.file)()?.profile(name)?.server();
        }
        if let Some(url) = flags.url.as_ref().or(self.url.as_ref()) {
            let url = parse_url(url)?;
            let key = match &self.key {
                Some(key) => Some(key.clone()),
                None => self.stored_key(&url)?,
            };
            let key = key.with_context(|| {
                format!(
                    "no API key is set for {url}: set ANSWERBACK_API_KEY, or run `answerback login`"
                )
            })?;
            return Server::new(url, &key);
        }
        ensure!(self.key.is_none(), "ANSWERBACK_API_KEY is set, and ANSWERBACK_URL is not");
        let file = (self.file)()?;
        let stored = match &self.profile {
            Some(name) => Some(file.profile(name)?),
            None => file.default_profile()?,
        };
        match stored {
            Some(stored) => stored.server(),
            None => (self.local_stack)()?.context(NOTHING_SET)?.server(),
        }
    }

    /// The key that is stored for this address.
    fn stored_key(&self, url: &Url) -> anyhow::Result<Option<String>> {
        let is_same = |it: &&Profile| parse_url(&it.url).is_ok_and(|it| it == *url);
        if let Some(stored) = (self.file)()?.profiles().find(is_same) {
            return Ok(Some(stored.api_key.clone()));
        }
        if !is_loopback(url) {
            return Ok(None);
        }
        let local = (self.local_stack)()?;
        Ok(local.filter(|it| is_same(&it)).map(|it| it.api_key))
    }
}

impl Profile {
    fn server(&self) -> anyhow::Result<Server> {
        Server::new(parse_url(&self.url)?, &self.api_key)
    }
}

/// Parses a base URL, without a slash at its end. The key must not travel unencrypted, except on this
/// machine.
pub(crate) fn parse_url(text: &str) -> anyhow::Result<Url> {
    // The text may have a password, so an error quotes it only after the check.
    let url = Url::parse(text.trim().trim_end_matches('/')).context("the base URL is malformed")?;
    let has_user = !url.username().is_empty() || url.password().is_some();
    ensure!(
        !has_user && url.query().is_none() && url.fragment().is_none(),
        "the base URL must have no user, password, query or fragment"
    );
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => bail!("`{url}` must be https, because the API key would travel unencrypted"),
        _ => bail!("the base URL must be an https URL"),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    const WORK: &str = "https://work.example.com";
    const LOCAL: &str = "http://127.0.0.1:8787";

    fn flags(url: Option<&str>, profile: Option<&str>) -> AddressFlags {
        AddressFlags { url: url.map(str::to_owned), profile: profile.map(str::to_owned) }
    }

    fn sources(url: Option<&str>, key: Option<&str>) -> Sources {
        Sources {
            url: url.map(str::to_owned),
            key: key.map(str::to_owned),
            profile: None,
            file: || {
                let mut file = ConfigFile::default();
                file.set("work", Profile { url: WORK.to_owned(), api_key: "ab_work".to_owned() });
                Ok(file)
            },
            local_stack: || {
                Ok(Some(Profile { url: LOCAL.to_owned(), api_key: "ab_local".to_owned() }))
            },
        }
    }

    fn without_file(sources: Sources) -> Sources {
        Sources { file: || Ok(ConfigFile::default()), ..sources }
    }

    fn chosen(sources: &Sources, flags: &AddressFlags) -> Result<(String, String), String> {
        let server = sources.clone().choose(flags).map_err(|err| format!("{err:#}"))?;
        let url = server.url.as_str().trim_end_matches('/').to_owned();
        Ok((url, server.key.expose_secret().to_owned()))
    }

    #[test]
    fn flags_come_before_variables_files_and_the_local_stack() {
        let pair = |url: &str, key: &str| Ok((url.to_owned(), key.to_owned()));
        let none = flags(None, None);
        let env = sources(Some("https://env.example.com"), Some("ab_env"));
        assert_eq!(chosen(&env, &none), pair("https://env.example.com", "ab_env"));
        assert_eq!(chosen(&env, &flags(None, Some("work"))), pair(WORK, "ab_work"));
        let flag = flags(Some("https://flag.example.com/"), None);
        assert_eq!(chosen(&env, &flag), pair("https://flag.example.com", "ab_env"));
        assert_eq!(chosen(&sources(None, None), &none), pair(WORK, "ab_work"));
        let local = without_file(sources(None, None));
        assert_eq!(chosen(&local, &none), pair(LOCAL, "ab_local"));
        let nothing = Sources { local_stack: || Ok(None), ..local };
        assert_eq!(chosen(&nothing, &none), Err(NOTHING_SET.to_owned()));
    }

    #[test]
    fn key_of_the_environment_goes_to_no_stored_address() {
        let with_key = sources(None, Some("ab_env"));
        let with_profile = Sources { profile: Some("work".to_owned()), ..with_key.clone() };
        for sources in [without_file(with_key.clone()), with_key, with_profile] {
            let refused = chosen(&sources, &flags(None, None)).expect_err("no address");
            assert_eq!(refused, "ANSWERBACK_API_KEY is set, and ANSWERBACK_URL is not");
        }
    }

    #[test]
    fn stored_key_goes_to_its_own_address_only() {
        let none = flags(None, None);
        for (url, key) in [(WORK, "ab_work"), ("http://127.0.0.1:8787/", "ab_local")] {
            let (_, chosen) = chosen(&sources(Some(url), None), &none).expect("a stored key");
            assert_eq!(chosen, key);
        }
        let refused = chosen(&sources(Some("https://other.example.com"), None), &none);
        assert!(refused.expect_err("no key").starts_with("no API key is set for"));
        for url in ["http://work.example.com", "ftp://127.0.0.1", "https://a@work.example.com"] {
            assert!(chosen(&sources(Some(url), Some("ab_env")), &none).is_err(), "{url}");
        }
    }

    #[test]
    fn files_that_are_not_needed_may_be_broken() {
        let broken = Sources {
            file: || bail!("the file is malformed"),
            local_stack: || bail!("the local stack is malformed"),
            ..sources(Some(WORK), Some("ab_env"))
        };
        assert!(chosen(&broken, &flags(None, None)).is_ok());
        let needed = Sources { key: None, ..broken };
        let refused = chosen(&needed, &flags(None, None));
        assert_eq!(refused, Err("the file is malformed".to_owned()));
    }

    #[test]
    fn errors_about_an_address_quote_no_password() {
        for url in [
            "https://:hunter2@work.example.com",
            "https://ada:hunter2@work.example.com",
            "http://ada:hunter2@work.example.com",
            "ftp://ada:hunter2@work.example.com",
            "https://ada:hunter2@work.example.com:x",
        ] {
            for key in [None, Some("ab_env")] {
                let error = chosen(&sources(Some(url), key), &flags(None, None));
                let error = error.expect_err("a user");
                assert!(!error.contains("hunter2"), "{error}");
            }
        }
    }
}
