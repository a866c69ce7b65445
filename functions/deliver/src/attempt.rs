//! One attempt at a delivery: send, judge, write down.

use answerback::{
    domain::{
        Attempt, CallbackUrl, Delivery, OpId, Trace,
        attempt::{AttemptError, ErrorKind, Exchange, RESPONSE_EXCERPT_BYTES_MAX, Response},
        delivery::{AttemptVerdict, DeliveryEnd, DeliveryState, FailureReason, Lane, Target},
        profile::{Permanent, Spec},
        retry,
    },
    egress::{Failure, FailureKind, HeaderMap, Post, Reply},
    store::AdvanceError,
};
use jiff::Timestamp;

use crate::{App, Error, breaker, endpoint::Endpoint, erasure, health, sign};

/// What came of sending.
struct Sent {
    verdict: AttemptVerdict,
    exchange: Exchange,
    error: Option<AttemptError>,
}

/// Attempts `delivery`, which is leased to `op`, and writes down what came of it.
///
/// `hops`: how many workers in a row have passed it on before.
pub(crate) async fn attempt(
    app: &App,
    delivery: Delivery,
    op: OpId,
    hops: u32,
) -> Result<(), Error> {
    let started_at = app.core.now();
    let mut webhook = None;
    let sent = match (&delivery.target, &delivery.body) {
        (Target::Https(receiver), Some(body)) => {
            let endpoint = match Endpoint::find(app, &delivery, receiver).await? {
                Ok(endpoint) => endpoint,
                Err(end) => return finish_unsent(app, delivery, end, op).await,
            };
            let sending = Box::pin(send(app, &delivery, &endpoint, body, started_at));
            let sent = breaker::watched(app, &delivery, sending).await?;
            webhook = endpoint.webhook;
            sent
        }
        (Target::Bus, Some(body)) => publish(app, &delivery, body).await,
        // Erased since it was leased; the eraser has cancelled it.
        (Target::Erased, _) | (_, None) => return Ok(()),
    };

    let now = app.core.now();
    let duration_ms = now.duration_since(started_at).as_millis();
    let record = Attempt {
        id: delivery.id.attempt(delivery.attempt),
        owner: delivery.owner,
        event: delivery.event,
        webhook: delivery.webhook.clone(),
        started_at,
        duration_ms: u32::try_from(duration_ms).unwrap_or(0),
        exchange: Some(sent.exchange),
        error: sent.error,
    };
    let chance = chance(app.core.entropy.next());
    let attempt = delivery.attempt;
    let (trace, happened_at) = (delivery.trace_or_own(), delivery.happened_at);
    let heard = breaker::heard(&delivery, &record, op);
    let lane = if breaker::is_slow_after(app, heard.as_ref()) { Lane::Slow } else { Lane::Fast };
    let finish = app.core.advance(delivery, |it| {
        let next = it.finish(sent.verdict, now, chance, op);
        Ok::<_, std::convert::Infallible>(next.map(|it| it.retried_in(lane)))
    });
    let (recorded, finished, (), ()) = futures::join!(
        app.core.store.create(&record),
        finish,
        breaker::note_attempt(app, heard),
        health::observe(app, webhook, sent.verdict, started_at),
    );
    let end = match &finished {
        Ok(Delivery { state: DeliveryState::Done { end, op: by, .. }, .. }) if *by == op => {
            Some(*end)
        }
        _ => None,
    };
    log(&record, (trace, happened_at), sent.verdict, end);
    let delivery = match finished {
        Ok(delivery) => delivery,
        Err(AdvanceError::Gone) => return Ok(()),
        Err(AdvanceError::Contended) => return Err(Error::Contended),
        Err(AdvanceError::Refused(never)) => match never {},
        Err(AdvanceError::Store(err)) => return Err(err.into()),
    };
    if delivery.body.is_none() {
        // It was erased meanwhile, and with it goes the record of this attempt.
        return erasure::erase(app, delivery).await;
    }
    if delivery.attempt == attempt && matches!(delivery.state, DeliveryState::Waiting { .. }) {
        app.core.hints.send_for_delivery(&delivery, hops, now).await;
    }
    // The record of what happened is less than what happened: it holds nothing up.
    if let Err(err) = recorded {
        tracing::error!(delivery.id = %delivery.id, error = &err as &(dyn std::error::Error + 'static), "an attempt was not recorded");
    }
    Ok(())
}

/// Ends a delivery that there is nobody for.
async fn finish_unsent(
    app: &App,
    delivery: Delivery,
    end: DeliveryEnd,
    op: OpId,
) -> Result<(), Error> {
    let verdict = AttemptVerdict::Unsent(end);
    let now = app.core.now();
    let (id, account) = (delivery.id, delivery.owner.account);
    let step = |it: &Delivery| Ok::<_, std::convert::Infallible>(it.finish(verdict, now, 0.0, op));
    match app.core.advance(delivery, step).await {
        Ok(_) | Err(AdvanceError::Gone) => (),
        Err(AdvanceError::Contended) => return Err(Error::Contended),
        Err(AdvanceError::Refused(never)) => match never {},
        Err(AdvanceError::Store(err)) => return Err(err.into()),
    }
    tracing::info!(delivery.id = %id, account.id = %account, "its webhook is gone or disabled");
    Ok(())
}

async fn send(
    app: &App,
    delivery: &Delivery,
    endpoint: &Endpoint,
    body: &[u8],
    now: Timestamp,
) -> Result<Sent, Error> {
    let receiver = &endpoint.receiver;
    let spec = &receiver.spec();
    let url = match CallbackUrl::parse(&receiver.url, &app.rules) {
        Ok(url) => url,
        Err(err) => {
            let kind = ErrorKind::BlockedAddress;
            let error = Some(AttemptError { kind, message: err.to_string() });
            let exchange =
                Exchange { url: receiver.url.clone(), headers: Vec::new(), response: None };
            return Ok(Sent {
                verdict: AttemptVerdict::Permanent(FailureReason::BlockedAddress),
                exchange,
                error,
            });
        }
    };
    let keys = app.core.vault.signing_keys(delivery.owner.account, &endpoint.secrets, now).await?;
    let headers = sign::headers(&keys, delivery, receiver, body, now)?;
    let shown = shown(&headers);
    let is_literal = url.literal_address().is_some();
    let timeout = delivery.timeout();
    let answer = app.egress.post(Post { url, headers, body: body.to_vec(), timeout }).await;

    let (verdict, error, reply) = judge(answer, spec, is_literal, app.core.now());
    // Somebody who asks for retries gets them from such a profile too.
    let is_last =
        spec.permanent == Permanent::Everything && receiver.retry.delays_seconds.is_empty();
    let verdict = match verdict {
        AttemptVerdict::Retry { .. } if is_last => {
            AttemptVerdict::Permanent(FailureReason::NotAccepted)
        }
        verdict => verdict,
    };
    let response = reply.map(|it| Response {
        status: it.status,
        headers: it.headers,
        body: excerpt(&it.body),
    });
    let exchange = Exchange { url: receiver.url.clone(), headers: shown, response };
    Ok(Sent { verdict, exchange, error })
}

/// What a receiver's answer means for the delivery.
fn judge(
    answer: Result<Reply, Failure>,
    spec: &Spec,
    is_literal: bool,
    now: Timestamp,
) -> (AttemptVerdict, Option<AttemptError>, Option<Reply>) {
    let (reply, too_large) = match answer {
        Ok(reply) => (reply, None),
        // What was read of it is enough: the status is what counts.
        Err(Failure { kind: FailureKind::TooLarge, message, reply: Some(reply) }) => {
            (reply, Some(AttemptError { kind: ErrorKind::TooLarge, message }))
        }
        Err(Failure { kind, message, reply }) => {
            let verdict = if kind == FailureKind::BlockedAddress && is_literal {
                AttemptVerdict::Permanent(FailureReason::BlockedAddress)
            } else {
                AttemptVerdict::Retry { retry_after: None }
            };
            return (verdict, Some(AttemptError { kind: kind_of(kind), message }), reply);
        }
    };
    let retry_after = reply
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))
        .and_then(|(_, value)| retry::retry_after(value, now));
    let status = reply.status;
    let error = |kind, message: String| Some(AttemptError { kind, message });
    let (verdict, error) = match status {
        200..=299 => (AttemptVerdict::Accepted, None),
        300..=399 => {
            let message = format!("the receiver answered {status}; redirects are not followed");
            let verdict = match spec.permanent {
                Permanent::RedirectOrGone | Permanent::Redirect => {
                    AttemptVerdict::Permanent(FailureReason::Redirect)
                }
                Permanent::Nothing | Permanent::Everything => AttemptVerdict::Retry { retry_after },
            };
            (verdict, error(ErrorKind::Redirect, message))
        }
        _ => {
            let verdict = if status == 410 && spec.permanent == Permanent::RedirectOrGone {
                AttemptVerdict::Permanent(FailureReason::Gone)
            } else {
                AttemptVerdict::Retry { retry_after }
            };
            (verdict, error(ErrorKind::Status, format!("the receiver answered {status}")))
        }
    };
    (verdict, error.or(too_large), Some(reply))
}

fn kind_of(kind: FailureKind) -> ErrorKind {
    match kind {
        FailureKind::Dns => ErrorKind::Dns,
        FailureKind::BlockedAddress => ErrorKind::BlockedAddress,
        FailureKind::Connect => ErrorKind::Connect,
        FailureKind::Tls => ErrorKind::Tls,
        FailureKind::Timeout => ErrorKind::Timeout,
        FailureKind::Protocol => ErrorKind::Protocol,
        FailureKind::TooLarge => ErrorKind::TooLarge,
    }
}

async fn publish(app: &App, delivery: &Delivery, body: &[u8]) -> Sent {
    let detail = String::from_utf8_lossy(body);
    let published = match &app.bus {
        Some(bus) => bus.publish(delivery.event_type.as_str(), &detail).await,
        None => Err(answerback::platform::bus::PublishError::none()),
    };
    let name = app.bus.as_ref().map_or("", |it| it.name());
    let exchange = Exchange { url: format!("bus:{name}"), headers: Vec::new(), response: None };
    let (verdict, error) = match published {
        Ok(()) => (AttemptVerdict::Accepted, None),
        Err(err) => {
            let error = AttemptError { kind: ErrorKind::Protocol, message: err.to_string() };
            (AttemptVerdict::Retry { retry_after: None }, Some(error))
        }
    };
    Sent { verdict, exchange, error }
}

/// The headers as they are kept: without secrets.
fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let shown =
        |(name, value): (&answerback::egress::HeaderName, &answerback::egress::HeaderValue)| {
            let value = if value.is_sensitive() {
                "***".to_owned()
            } else {
                String::from_utf8_lossy(value.as_bytes()).into_owned()
            };
            (name.to_string(), value)
        };
    headers.iter().map(shown).collect()
}

/// The beginning of a body, as text.
fn excerpt(body: &[u8]) -> String {
    let end = body.len().min(RESPONSE_EXCERPT_BYTES_MAX);
    String::from_utf8_lossy(&body[..end]).into_owned()
}

/// A number in 0 to 1, made of random bits.
fn chance(entropy: u128) -> f64 {
    let bits = u32::try_from(entropy & u128::from(u32::MAX)).expect("32 bits");
    f64::from(bits) / f64::from(u32::MAX)
}

/// Notes an attempt at telling what happened then, and how it ended the delivery if it did.
fn log(
    record: &Attempt,
    (trace, happened_at): (Trace, Timestamp),
    verdict: AttemptVerdict,
    end: Option<DeliveryEnd>,
) {
    let is_dead = matches!(end, Some(DeliveryEnd::DeadLettered(_)));
    let result = match verdict {
        AttemptVerdict::Accepted => "delivered",
        AttemptVerdict::Retry { .. } if !is_dead => "retried",
        AttemptVerdict::Retry { .. } | AttemptVerdict::Permanent(_) | AttemptVerdict::Unsent(_) => {
            "failed"
        }
    };
    let is_first = record.id.number() == 1;
    let latency = is_first.then(|| record.started_at.duration_since(happened_at));
    let response = record.exchange.as_ref().and_then(|it| it.response.as_ref());
    tracing::info!(
        delivery.id = %record.id.delivery(),
        account.id = %record.owner.account,
        trace.id = %trace,
        attempt = record.id.number(),
        status = response.map(|it| it.status),
        error.kind = record.error.as_ref().map(|it| it.kind.as_str()),
        duration_ms = record.duration_ms,
        Result = result,
        Attempts = 1,
        FirstAttemptLatency = latency.map(|it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX)),
        DeadLetters = is_dead.then_some(1),
        "attempted a delivery"
    );
}
