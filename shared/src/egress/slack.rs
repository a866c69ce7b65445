//! Calls of Slack's Web API.
//!
//! Slack answers 200 also when it refuses a call: `{"ok": false, "error": "…"}`. An answer may repeat the whole
//! message, so only its beginning is read, where everything is that counts.
//!
//! <https://docs.slack.dev/apis/web-api>

use std::{fmt, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::{Client, Failure, HeaderMap, HeaderValue, Post, Reply, USER_AGENT};
use crate::domain::{
    CallbackRules, CallbackUrl, CallbackUrlError,
    slack::{SlackId, SlackTs},
};

/// The Web API, called by a bot.
#[derive(Debug)]
pub struct SlackApi<'a> {
    /// The way out.
    pub egress: &'a Client,
    /// The rules for its address.
    pub rules: &'a CallbackRules,
    /// Its address, with a slash at the end.
    pub api_url: &'a str,
    /// The token of the bot.
    pub token: &'a SecretString,
    /// The time limit of each call.
    pub timeout: Duration,
}

/// The parts of an answer that we use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlackAnswer {
    /// The call was accepted.
    ok: bool,
    /// The reason of a refusal.
    error: Option<String>,
    /// The channel of a message.
    pub channel: Option<SlackId>,
    /// The time of a message, which names it.
    pub ts: Option<SlackTs>,
    /// A user.
    pub user: Option<SlackId>,
}

/// A call that was not accepted.
#[derive(Debug)]
pub enum SlackError {
    /// The address must not be called.
    Blocked(CallbackUrlError),
    /// Slack did not answer, or the token is none.
    Failed(Failure),
    /// Slack answered another status than 200.
    Status(Reply),
    /// Slack refused the call, for this reason.
    Refused(String),
}

impl SlackApi<'_> {
    /// Calls `method` with JSON.
    pub async fn call(&self, method: &str, body: &Value) -> Result<SlackAnswer, SlackError> {
        let body = body.to_string().into_bytes();
        self.post(method, "application/json; charset=utf-8", body).await
    }

    /// The user with this e-mail address. This method takes no JSON.
    pub async fn user_of(&self, email: &str) -> Result<SlackAnswer, SlackError> {
        let body = {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("email", email).finish().into_bytes()
        };
        self.post("users.lookupByEmail", "application/x-www-form-urlencoded", body).await
    }

    async fn post(
        &self,
        method: &str,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Result<SlackAnswer, SlackError> {
        let url = format!("{}{method}", self.api_url);
        let url = CallbackUrl::parse(&url, self.rules).map_err(SlackError::Blocked)?;
        let bearer = format!("Bearer {}", self.token.expose_secret());
        let mut bearer = HeaderValue::from_str(&bearer).expect("tokens are visible ASCII");
        bearer.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("authorization", bearer);
        headers.insert("content-type", HeaderValue::from_static(content_type));
        headers.insert("user-agent", HeaderValue::from_static(USER_AGENT));
        let post = Post { url, headers, body, timeout: self.timeout };
        let reply = match self.egress.post(post).await {
            // A message in it may be too long, and what counts comes before.
            Ok(reply) | Err(Failure { reply: Some(reply), .. }) => reply,
            Err(failure) => return Err(SlackError::Failed(failure)),
        };
        if reply.status != 200 {
            return Err(SlackError::Status(reply));
        }
        let answer = SlackAnswer::read(&reply.body);
        match answer {
            SlackAnswer { ok: true, .. } => Ok(answer),
            SlackAnswer { error, .. } => {
                Err(SlackError::Refused(error.unwrap_or_else(|| "unreadable_answer".to_owned())))
            }
        }
    }
}

impl SlackAnswer {
    /// Reads the beginning of an answer, as far as it goes.
    fn read(body: &[u8]) -> Self {
        let mut answer = Self::default();
        let mut json = serde_json::Deserializer::from_slice(body);
        // An end in the middle is an error, after everything before was read.
        drop(json.deserialize_map(Members { answer: &mut answer, is_user: false }));
        answer
    }
}

/// Reads members, and keeps those before an error.
struct Members<'a> {
    answer: &'a mut SlackAnswer,
    /// They are those of a user.
    is_user: bool,
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let answer = self.answer;
        while let Some(name) = members.next_key::<String>()? {
            match (name.as_str(), self.is_user) {
                ("ok", false) => answer.ok = members.next_value()?,
                ("error", false) => answer.error = Some(members.next_value()?),
                ("channel", false) => answer.channel = id(&members.next_value()?),
                ("ts", false) => {
                    let ts: Value = members.next_value()?;
                    answer.ts = ts.as_str().and_then(SlackTs::parse);
                }
                ("user", false) => {
                    members.next_value_seed(Members { answer: &mut *answer, is_user: true })?;
                }
                ("id", true) => answer.user = id(&members.next_value()?),
                _ => _ = members.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

fn id(value: &Value) -> Option<SlackId> {
    value.as_str().and_then(SlackId::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_far_as_they_go() {
        let (channel, user) = (SlackId::parse("C123ABC456"), SlackId::parse("W012A3CDE"));
        let posted =
            r#"{"ok":true,"channel":"C123ABC456","ts":"1503435956.000247","message":{"text":"Here"#;
        let ts = SlackTs::parse("1503435956.000247");
        let expected = SlackAnswer { ok: true, channel, ts, ..<_>::default() };
        assert_eq!(SlackAnswer::read(posted.as_bytes()), expected);
        let found =
            r#"{"ok":true,"user":{"id":"W012A3CDE","team_id":"T012AB3C4","profile":{"title":"#;
        let expected = SlackAnswer { ok: true, user, ..<_>::default() };
        assert_eq!(SlackAnswer::read(found.as_bytes()), expected);
        let refused = r#"{"ok":false,"error":"users_not_found"}"#;
        let error = Some("users_not_found".to_owned());
        assert_eq!(SlackAnswer::read(refused.as_bytes()), SlackAnswer { error, ..<_>::default() });
        for body in ["", "ok", "[]", "null", "{\"ok\":1}", "<html>"] {
            assert_eq!(SlackAnswer::read(body.as_bytes()), SlackAnswer::default(), "{body}");
        }
    }
}
