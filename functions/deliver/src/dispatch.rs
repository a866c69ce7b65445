//! Turns what a request has to tell into deliveries, one for each target.
//!
//! Identifiers are made from event and target, and a delivery is put only where there is none, so
//! doing it twice makes nothing twice. The worker that makes a delivery has it leased from the
//! beginning, and attempts it at once.

use std::time::Duration;

use answerback::{
    domain::{
        Delivery, Event, OpId, Request,
        delivery::{BUS, CALLBACK, State as Life, Target},
        request::State,
        retry::TIMEOUT_SECONDS_MAX,
    },
    service::{
        Hint, Lost, advance,
        wire::{EventBody, callback_body},
    },
    store::Saved,
};
use futures::future::join_all;
use jiff::Timestamp;

use crate::{App, Error, attempt::attempt, erasure, has_time};

/// Makes the deliveries of all that `request` has to tell, takes that off its list, and attempts
/// what it made. Gives the request as it then is.
pub(crate) async fn dispatch(
    app: &App,
    request: Request,
    ends_at: Option<Timestamp>,
) -> Result<Request, Error> {
    let now = app.clock.now();
    let op = OpId::new(app.entropy.next());
    let longest = Duration::from_secs(TIMEOUT_SECONDS_MAX.into());
    let attempts_now = has_time(longest, now, ends_at);

    let events = request.outbox.iter();
    let deliveries = events.flat_map(|event| {
        targets(&request, event).map(|(name, target, body)| {
            let delivery = begin(&request, event, name, target, body, now);
            let delivery = if attempts_now { delivery.begin_leased(now, op) } else { delivery };
            (event.number, delivery)
        })
    });
    let put = deliveries.map(async |(number, delivery)| {
        let put = app.store.create(&delivery).await.map(|saved| match saved {
            Saved::Saved => Some(delivery),
            // A write of ours whose answer was lost, come back.
            Saved::Superseded(found) if is_ours(&found, attempts_now, op) => Some(found),
            Saved::Superseded(_) | Saved::Gone => None,
        });
        (number, put)
    });
    // One that cannot be put holds up no other: what was made is attempted, whatever failed.
    let mut numbers: Vec<u32> = request.outbox.iter().map(|it| it.number).collect();
    let mut made = Vec::new();
    let mut failed = None;
    for (number, put) in join_all(put).await {
        match put {
            Ok(delivery) => made.extend(delivery),
            Err(err) => {
                numbers.retain(|it| *it != number);
                failed = Some(Error::from(err));
            }
        }
    }

    let step = |it: &Request| Ok::<_, std::convert::Infallible>(it.dispatched(&numbers, now));
    let request = match advance(&app.store, request.clone(), step).await {
        Ok(dispatched) => dispatched,
        // What is there is told already; what is not told any more, nobody waits for.
        Err(Lost::Gone) => request,
        Err(Lost::Refused(never)) => match never {},
        Err(Lost::Busy) => {
            failed = Some(Error::Busy);
            request
        }
        Err(Lost::Store(err)) => {
            failed = Some(err.into());
            request
        }
    };
    if let State::Erased { .. } = request.state {
        // It was erased meanwhile: nothing of it is told any more.
        for delivery in made {
            erasure::erase(app, delivery).await?;
        }
    } else if attempts_now {
        let attempts = made.into_iter().map(|it| attempt(app, it, op, 0));
        for attempted in join_all(attempts).await {
            failed = attempted.err().or(failed);
        }
    } else {
        let hint = |it: &Delivery| (it.account, Hint::delivery(it.id, it.attempt), Duration::ZERO);
        app.hints.send_all(&made.iter().map(hint).collect::<Vec<_>>()).await;
    }
    failed.map_or(Ok(request), Err)
}

/// Whether this is the delivery that `op` made.
fn is_ours(found: &Delivery, attempts_now: bool, op: OpId) -> bool {
    match found.state {
        Life::Leased { owner, .. } => owner == op,
        // Not leased, it does not say whose it is; one hint more does no harm.
        Life::Waiting { .. } => !attempts_now && found.attempt == 0,
        Life::Done { .. } => false,
    }
}

/// Whom to tell of `event`, by name, and in which bytes.
fn targets<'a>(
    request: &'a Request,
    event: &'a Event,
) -> impl Iterator<Item = (&'static str, Target, Vec<u8>)> + 'a {
    let callback = request.terms.callback.as_ref().filter(|it| it.events.contains(&event.kind));
    let callback = callback.map(|it| {
        let body = callback_body(it.receiver.profile.behaviour(), request, event);
        (CALLBACK, Target::Https(it.receiver.clone()), body)
    });
    let bus = (request.published && event.kind.is_published())
        .then(|| (BUS, Target::Bus, EventBody::new(request, event).to_bytes()));
    callback.into_iter().chain(bus)
}

fn begin(
    request: &Request,
    event: &Event,
    name: &str,
    target: Target,
    body: Vec<u8>,
    now: Timestamp,
) -> Delivery {
    let event_id = event.id(request.id);
    Delivery {
        id: Delivery::id_of(event_id, request.created_by, name),
        account: request.account,
        livemode: request.livemode,
        event: event_id,
        event_type: event.kind.into(),
        target,
        body: Some(body),
        created_at: now,
        state: Life::Waiting { not_before: now },
        attempt: 0,
        starts: 0,
        failures: 0,
        redelivered_by: None,
        due_at: Some(now),
        revision: 0,
    }
}
