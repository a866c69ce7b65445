//! The encoding of attempts: of the first one in its delivery, and of all others.

use serde::{Deserialize, Serialize};

use super::{
    item::{Encoded, Item, Layout},
    keys::{self, Key, Related},
    reader::{DecodeError, Reader, time},
    webhook_item,
};
use crate::domain::{
    Attempt, Delivery,
    attempt::{AttemptError, ErrorKind, Exchange, Response},
};

/// The first attempt, as a part of its delivery.
#[derive(Serialize, Deserialize)]
pub(super) struct FirstAttemptItem {
    #[serde(rename = "t")]
    started_at: i64,
    #[serde(rename = "d")]
    duration_ms: u32,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    exchange: Option<ExchangeItem>,
    /// The kind of error, and its message.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    error: Option<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct ExchangeItem {
    #[serde(rename = "u")]
    url: String,
    #[serde(rename = "h")]
    headers: Vec<(String, String)>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    response: Option<ResponseItem>,
}

#[derive(Serialize, Deserialize)]
struct ResponseItem {
    #[serde(rename = "s")]
    status: u16,
    #[serde(rename = "h")]
    headers: Vec<(String, String)>,
    #[serde(rename = "b")]
    body: String,
}

impl Item for Attempt {
    const NAME: &'static str = "an attempt";

    fn key(&self) -> Key {
        keys::attempt(self.id)
    }

    /// An attempt is written once, and a second time when it is erased.
    fn revision(&self) -> u64 {
        u64::from(self.exchange.is_none())
    }

    fn immutable(&self, layout: &Layout) -> Encoded {
        let of_webhook = self
            .webhook
            .as_ref()
            .map(|it| keys::related(&Related::WebhookAttempts(self.owner, it.clone())));
        Encoded::default()
            .text("webhook", self.webhook.as_ref().map(ToString::to_string))
            .text("webhook_pk", of_webhook)
            .owner(self.owner)
            .time("created_at", self.started_at)
            .number("duration_ms", i64::from(self.duration_ms))
            .text("error_kind", self.error.as_ref().map(|it| it.kind.as_str().to_owned()))
            .ttl(Some(self.started_at + layout.retention))
    }

    fn mutable(&self, _: &Layout) -> Encoded {
        let encoded = Encoded::default()
            .number("revision", self.revision().cast_signed())
            .text("error_message", self.error.as_ref().map(|it| it.message.clone()));
        match &self.exchange {
            Some(exchange) => encoded.json("exchange", &ExchangeItem::from(exchange)),
            None => encoded.text("exchange", None).text("error_message", None),
        }
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        let error_kind = item
            .optional_text("error_kind")?
            .map(|it| ErrorKind::parse(&it).ok_or(DecodeError::of("error_kind")))
            .transpose()?;
        let message = item.optional_text("error_message")?.unwrap_or_default();
        let id = keys::attempt_at(&item.text("pk")?, &item.text("sk")?);
        Ok(Self {
            id: id.ok_or(DecodeError::of("sk"))?,
            owner: item.owner()?,
            webhook: webhook_item::read_reference(&mut item)?,
            started_at: item.time("created_at")?,
            duration_ms: item.number("duration_ms")?,
            exchange: item.optional_json::<ExchangeItem>("exchange")?.map(Into::into),
            error: error_kind.map(|kind| AttemptError { kind, message }),
        })
    }
}

impl From<&Exchange> for ExchangeItem {
    fn from(exchange: &Exchange) -> Self {
        let response = exchange.response.clone();
        Self {
            url: exchange.url.clone(),
            headers: exchange.headers.clone(),
            response: response.map(|Response { status, headers, body }| ResponseItem {
                status,
                headers,
                body,
            }),
        }
    }
}

impl From<ExchangeItem> for Exchange {
    fn from(ExchangeItem { url, headers, response }: ExchangeItem) -> Self {
        let response = response.map(|ResponseItem { status, headers, body }| Response {
            status,
            headers,
            body,
        });
        Self { url, headers, response }
    }
}

impl From<&Attempt> for FirstAttemptItem {
    fn from(attempt: &Attempt) -> Self {
        let error = attempt.error.as_ref();
        Self {
            started_at: attempt.started_at.as_millisecond(),
            duration_ms: attempt.duration_ms,
            exchange: attempt.exchange.as_ref().map(ExchangeItem::from),
            error: error.map(|it| (it.kind.as_str().to_owned(), it.message.clone())),
        }
    }
}

impl FirstAttemptItem {
    pub(super) fn read(self, delivery: &Delivery) -> Result<Attempt, DecodeError> {
        let wrong = || DecodeError::of("first");
        let error = self.error.map(|(kind, message)| {
            let kind = ErrorKind::parse(&kind).ok_or_else(wrong)?;
            Ok(AttemptError { kind, message })
        });
        Ok(Attempt {
            id: delivery.id.attempt(1),
            owner: delivery.owner,
            webhook: delivery.webhook.clone(),
            started_at: time("first", self.started_at)?,
            duration_ms: self.duration_ms,
            exchange: self.exchange.map(Into::into),
            error: error.transpose()?,
        })
    }
}
