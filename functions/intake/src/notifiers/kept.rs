//! The stored secrets that a change of a notifier keeps.
//!
//! A secret goes only to the server that it was set for. When the server of a notifier changes, its
//! secrets have to be set again.

use answerback::domain::{
    notifier::{EmailTransport, IncomingWebhookSettings, NotifierSettings, OwnSystemSettings},
    secret::Sealed,
};
use serde_json::{Map, Value};

use crate::callback::{CredentialsUpdate, NewCredentials, origin};

/// The stored settings, and what a patch takes out of them.
pub(super) struct Kept<'a> {
    stored: Option<&'a NotifierSettings>,
    /// Members that the patch sets or removes.
    named: Vec<String>,
    credentials: Option<CredentialsUpdate>,
}

/// The stored secrets of a Slack app.
#[derive(Clone, Copy)]
pub(super) struct KeptSlack<'a> {
    pub(super) bot_token: Option<&'a Sealed>,
    pub(super) signing_secret: Option<&'a Sealed>,
}

/// The stored secrets of an ntfy topic.
#[derive(Clone, Copy)]
pub(super) struct KeptNtfy<'a> {
    pub(super) topic: Option<&'a Sealed>,
    pub(super) token: Option<&'a Sealed>,
}

impl<'a> Kept<'a> {
    /// Nothing, because the notifier is new.
    pub(super) fn none() -> Self {
        Self { stored: None, named: Vec::new(), credentials: None }
    }

    /// The secrets that a patch of `stored` keeps. Takes the names of headers that it removes out of it.
    pub(super) fn of_patch(stored: &'a NotifierSettings, patch: &mut Map<String, Value>) -> Self {
        let mut nothing = Map::new();
        let settings = match patch.get_mut("settings") {
            Some(Value::Object(settings)) => settings,
            _ => &mut nothing,
        };
        let credentials = Some(CredentialsUpdate::of_patch(settings));
        Self { stored: Some(stored), named: settings.keys().cloned().collect(), credentials }
    }

    /// The password of a mail server.
    pub(super) fn password(&self, host: &str, port: u16) -> Option<&'a Sealed> {
        let NotifierSettings::Email(email) = self.stored? else { return None };
        let EmailTransport::Smtp(server) = &email.transport else { return None };
        let password = server.login.as_ref().map(|it| &it.password);
        self.unless_named("password", password)
            .filter(|_| server.host == host && server.port == port)
    }

    /// The secrets of a Slack app whose API is at this address.
    pub(super) fn slack(&self, api_url: &str) -> Option<KeptSlack<'a>> {
        let NotifierSettings::Slack(slack) = self.stored? else { return None };
        let kept = KeptSlack {
            bot_token: self.unless_named("bot_token", Some(&slack.bot_token)),
            signing_secret: self.unless_named("signing_secret", Some(&slack.signing_secret)),
        };
        (origin(&slack.api_url) == origin(api_url)).then_some(kept)
    }

    /// The secrets of a topic of the server at `url`.
    pub(super) fn ntfy(&self, url: &str) -> Option<KeptNtfy<'a>> {
        let NotifierSettings::Ntfy(ntfy) = self.stored? else { return None };
        let kept = KeptNtfy {
            topic: self.unless_named("topic", Some(&ntfy.topic)),
            token: self.unless_named("token", ntfy.token.as_ref()),
        };
        (origin(&ntfy.url) == origin(url)).then_some(kept)
    }

    /// The settings of an incoming webhook whose URL stays.
    pub(super) fn incoming_webhook(&self) -> Option<&'a IncomingWebhookSettings> {
        let NotifierSettings::IncomingWebhook(webhook) = self.stored? else { return None };
        self.unless_named("url", Some(webhook))
    }

    /// The account's own system before the change.
    pub(super) fn own_system(&self) -> Option<&'a OwnSystemSettings> {
        match self.stored? {
            NotifierSettings::Webhook(system) => Some(system),
            _ => None,
        }
    }

    /// The change of its credentials, of which `new` are new.
    pub(super) fn credentials(&self, new: NewCredentials) -> CredentialsUpdate {
        match &self.credentials {
            Some(update) => update.clone().with(new),
            None => CredentialsUpdate::replacing(new),
        }
    }

    /// The error of a missing secret.
    pub(super) fn required(&self) -> &'static str {
        match self.stored {
            None => "is required",
            Some(_) => "is required; a stored one is kept only while the server stays the same",
        }
    }

    fn unless_named<T>(&self, name: &str, value: Option<&'a T>) -> Option<&'a T> {
        value.filter(|_| !self.named.iter().any(|it| it == name))
    }
}
