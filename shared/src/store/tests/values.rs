//! Random new items of all kinds.

use crate::domain::{
    Account, Action, Answer, ApiKey, Assurance, Attempt, BodyHash, Breaker, Channel, Decimal,
    Delivery, EmailAddress, EmailPattern, Event, EventType, Filter, Id, IdempotentCall, Locale,
    Mode, NotifierId, NotifierKind, OpId, Owner, PastCalls, Profile, Question, Request,
    RequestEvent, RequestId, Requester, RequesterKind, Scope, Subscriptions, Trace, Webhook,
    WebhookId, WebhookRef,
    account::{AccountSecrets, AskLimit, CallLimit, IdKey, LIST_SHARDS_MAX, SourceSecrets},
    approval::ConsumePolicy,
    attempt::{AttemptError, ErrorKind, Exchange, Response},
    breaker::Authority,
    consumption::{ReadMode, ReadPolicy},
    delivery::{
        self, Auth, AuthKind, CopyUpdate, Credentials, Message, Purpose, Receiver, SealedHeader,
        Target, TestMessage, Way,
    },
    id::Kind,
    idempotency::PastCall,
    json::Json,
    notifier::NotifierChoice,
    posted_event::EventState,
    question::{Choice, Field, FieldKind, FieldValue, Recipient, Required, Style},
    quorum::{Count, Quorum},
    request::{
        AnswerMode, Callback, LinkSecret, LongAnswer, NewRequest, OnDeadline, OnUnreachable,
        RequestPolicy, Step, StepAction,
    },
    retry::{DELAY_SECONDS_MAX, RetryPolicy},
    secret::{Sealed, Secret, Secrets},
    slack::{SlackCopy, SlackId, SlackTs},
    webhook::Settings,
};
use std::time::Duration;

use jiff::{Timestamp, civil::Date};
use proptest::{collection::vec, num, option, prelude::*, sample::select};

pub(super) fn text() -> BoxedStrategy<String> {
    prop_oneof![3 => "[a-z]{0,6}", 1 => "\\PC{0,12}", 1 => any::<String>()].boxed()
}

/// A whole millisecond in the years 1970 to 2096.
pub(super) fn moment() -> impl Strategy<Value = Timestamp> {
    let in_range = |it| Timestamp::from_millisecond(it).expect("in range");
    (0_i64..4_000_000_000_000).prop_map(in_range)
}

pub(super) fn op() -> impl Strategy<Value = OpId> {
    any::<u64>().prop_map(OpId)
}

pub(super) fn mode() -> impl Strategy<Value = Mode> {
    select(vec![Mode::Live, Mode::Test])
}

pub(super) fn id<K: Kind + 'static>() -> impl Strategy<Value = Id<K>> {
    any::<u128>().prop_map(Id::from_bits)
}

fn number() -> impl Strategy<Value = Decimal> {
    let floats = num::f64::NORMAL | num::f64::SUBNORMAL | num::f64::ZERO | num::f64::NEGATIVE;
    let texts = prop_oneof![
        floats.prop_map(|it| format!("{it:e}")),
        // Numbers as people type them, and more digits than a float has.
        "-?[0-9]{1,5}(\\.[0-9]{1,3})?",
        "[1-9][0-9]{16,40}(\\.[0-9]{1,3})?",
    ];
    texts.prop_map(|it| Decimal::parse(&it).expect("a number"))
}

fn field_value() -> impl Strategy<Value = FieldValue> {
    prop_oneof![
        text().prop_map(FieldValue::Text),
        number().prop_map(FieldValue::Number),
        any::<bool>().prop_map(FieldValue::Toggle),
        vec(text(), 0..3).prop_map(FieldValue::Choices),
    ]
}

pub(super) fn answer() -> impl Strategy<Value = Answer> {
    let fields = prop::collection::btree_map(text(), field_value(), 0..4);
    (option::of(text()), fields).prop_map(|(option, fields)| Answer { option, fields })
}

fn choice() -> impl Strategy<Value = Choice> {
    let styles = vec![Style::Primary, Style::Secondary, Style::Destructive];
    (text(), text(), option::of(select(styles))).prop_map(|(value, label, style)| Choice {
        value,
        label,
        style,
    })
}

fn field() -> impl Strategy<Value = Field> {
    let max_length = || option::of(any::<u32>());
    let kind = prop_oneof![
        max_length().prop_map(|max_length| FieldKind::Text { max_length }),
        max_length().prop_map(|max_length| FieldKind::Textarea { max_length }),
        (option::of(number()), option::of(number()))
            .prop_map(|(min, max)| FieldKind::Number { min, max }),
        vec(choice(), 0..3).prop_map(|choices| FieldKind::Select { choices }),
        vec(choice(), 0..3).prop_map(|choices| FieldKind::MultiSelect { choices }),
        (option::of(day()), option::of(day())).prop_map(|(min, max)| FieldKind::Date { min, max }),
        Just(FieldKind::Toggle),
    ];
    let required = prop_oneof![
        Just(Required::Never),
        Just(Required::Always),
        vec(text(), 0..3).prop_map(Required::For),
    ];
    let texts = (text(), text(), option::of(text()), option::of(text()));
    (texts, required, kind, option::of(field_value())).prop_map(
        |((key, label, help, placeholder), required, kind, default)| Field {
            key,
            label,
            help,
            placeholder,
            required,
            kind,
            default,
        },
    )
}

fn day() -> impl Strategy<Value = Date> {
    (0..=9_999_i16, 1..=12_i8, 1..=28_i8)
        .prop_map(|(year, month, day)| Date::new(year, month, day).expect("a day of every month"))
}

fn requester() -> impl Strategy<Value = Requester> {
    let kind = select(RequesterKind::ALL.map(|(_, it)| it).to_vec());
    (kind, option::of(text()), option::of(text()), option::of(text()))
        .prop_map(|(kind, name, email, id)| Requester { kind, name, email, id })
}

fn slack_id() -> impl Strategy<Value = SlackId> {
    "[A-Z0-9]{2,20}".prop_map(|it| SlackId::parse(&it).expect("an identifier"))
}

fn question() -> impl Strategy<Value = Question> {
    let name = (text(), option::of(text()), option::of(text()));
    let recipient = (name, notifiers(), option::of(slack_id())).prop_map(
        |((given, canonical, name), via, slack_user)| {
            let canonical = canonical.unwrap_or_else(|| given.clone());
            Recipient { email: EmailAddress::stored(given, canonical), name, via, slack_user }
        },
    );
    (
        (text(), option::of(text()), vec(recipient, 0..4)),
        (vec(choice(), 0..3), vec(field(), 0..3), option::of(text()), option::of(text())),
        (option::of(text()), option::of(requester()), any::<bool>(), option::of(locale())),
        option::of(action()),
    )
        .prop_map(|((title, body, recipients), others, asker, action)| {
            let (asked_by, requester, is_requester_fixed, locale) = asker;
            let (options, fields, external_reference_id, metadata) = others;
            Question {
                title,
                body,
                action,
                recipients,
                options,
                fields,
                asked_by,
                requester,
                is_requester_fixed,
                locale,
                external_reference_id,
                metadata,
            }
        })
}

fn notifiers() -> impl Strategy<Value = Vec<NotifierChoice>> {
    vec(notifier_choice(), 0..3)
}

fn notifier_choice() -> impl Strategy<Value = NotifierChoice> {
    (any::<u128>(), select(NotifierKind::ALL.to_vec()))
        .prop_map(|(bits, kind)| NotifierChoice { id: NotifierId::from_bits(bits), kind })
}

fn action() -> impl Strategy<Value = Action> {
    (text(), text()).prop_map(|(name, args)| Action::new(name, args.clone(), Json::Text(args)))
}

fn locale() -> impl Strategy<Value = Locale> {
    select(Locale::ALL.map(|(_, it)| it).to_vec())
}

fn receiver() -> impl Strategy<Value = Receiver> {
    let profiles = || select(Profile::ALL.to_vec());
    let usual = profiles().prop_map(|it| it.spec().retry());
    let own = (vec(1_u32..=DELAY_SECONDS_MAX, 0..4), 0.0..=1.0_f64)
        .prop_map(|(delays_seconds, jitter)| RetryPolicy { delays_seconds, jitter });
    let retry = prop_oneof![usual, own];
    let others = (option::of(profiles()), option::of(profiles()));
    (text(), profiles(), 1_u32..=20, retry, credentials(), others).prop_map(
        |(url, profile, timeout_seconds, retry, credentials, (body, signature))| {
            let usual = Receiver::of(url, profile);
            Receiver { timeout_seconds, retry, body, signature, credentials, ..usual }
        },
    )
}

pub(super) fn credentials() -> impl Strategy<Value = Credentials> {
    let sealed = || vec(any::<u8>(), 0..9).prop_map(Sealed);
    let kind = prop_oneof![
        Just(AuthKind::Bearer),
        Just(AuthKind::Basic),
        text().prop_map(AuthKind::Header)
    ];
    let auth = (kind, sealed()).prop_map(|(kind, value)| Auth { kind, value });
    let header = (text(), sealed()).prop_map(|(name, value)| SealedHeader { name, value });
    (option::of(auth), vec(header, 0..3)).prop_map(|(auth, headers)| Credentials { auth, headers })
}

fn callback() -> impl Strategy<Value = Callback> {
    let events = prop::sample::subsequence(RequestEvent::ALL.to_vec(), 0..=RequestEvent::ALL.len());
    (receiver(), events).prop_map(|(receiver, events)| Callback { receiver, events })
}

fn consume() -> impl Strategy<Value = ConsumePolicy> {
    let numbers = (60_u32..=604_800, 1_u32..=100);
    (text(), numbers).prop_map(|(option, (within_seconds, count))| ConsumePolicy {
        option,
        within_seconds,
        count,
    })
}

fn policy() -> impl Strategy<Value = RequestPolicy> {
    let count = prop_oneof![Just(Count::All), any::<u32>().prop_map(Count::AtLeast)];
    let quorum = (count, option::of(text()), vec(text(), 0..3))
        .prop_map(|(count, option, veto)| Quorum { count, option, veto });
    let default = text().prop_map(OnDeadline::Default);
    let lease = (5_u32..900).prop_map(|seconds| ReadMode::Lease { seconds });
    let read = prop_oneof![Just(ReadMode::Repeat), Just(ReadMode::Once), lease];
    let read = (read, option::of(60_u32..=31_536_000))
        .prop_map(|(mode, ttl_seconds)| ReadPolicy { mode, ttl_seconds });
    (
        select(vec![AnswerMode::OnUserAction, AnswerMode::OnTimeout]),
        quorum,
        prop_oneof![Just(OnDeadline::Expire), default],
        option::of(callback()),
        read,
        select(vec![Assurance::Link, Assurance::Confirm, Assurance::Code]),
        (any::<bool>(), any::<bool>(), option::of(consume())),
        (notifiers(), any::<bool>(), option::of(slack_id()), vec(step(), 0..3)),
    )
        .prop_map(|(mode, quorum, on_deadline, callback, read, assurance, use_, reach)| {
            RequestPolicy {
                mode,
                quorum,
                on_deadline,
                callback,
                read,
                assurance,
                allows_self: use_.0,
                accepts_api_answers: use_.1,
                consume: use_.2,
                notify: reach.0,
                on_unreachable: if reach.1 { OnUnreachable::Expire } else { OnUnreachable::Wait },
                slack_channel: reach.2,
                steps: reach.3,
            }
        })
}

fn step() -> impl Strategy<Value = Step> {
    let escalate = (1_usize..3).prop_map(|n_recipients| StepAction::Escalate { n_recipients });
    let action = prop_oneof![Just(StepAction::Remind), escalate];
    (60_u32..=31_536_000, action).prop_map(|(after_seconds, action)| Step { after_seconds, action })
}

pub(super) fn long_answer() -> impl Strategy<Value = LongAnswer> {
    (id(), 0_usize..100, op(), answer(), 0_i64..4_000_000_000).prop_map(
        |(request, row, op, answer, second)| LongAnswer {
            request,
            row,
            op,
            answer: Some(answer),
            expires_at: Timestamp::from_second(second).expect("in range"),
            revision: 0,
        },
    )
}

pub(super) fn request() -> impl Strategy<Value = Request> {
    let ids = (id(), id(), op(), option::of(any::<[u8; 16]>()), any::<[u8; 16]>());
    let times = (moment(), 5_u32..=31_536_000);
    let flags = (mode(), any::<bool>(), any::<bool>());
    (ids, times, flags, question(), policy(), text(), (option::of(id()), option::of(id()), trace()))
        .prop_map(
            |(
                ids,
                (created_at, timeout_seconds),
                (mode, is_published, is_counted),
                question,
                policy,
                base_url,
                (channel, family, trace),
            )| {
                let (id, account, created_by, body_hash, secret) = ids;
                let new = NewRequest {
                    id,
                    owner: Owner { account, mode },
                    created_by,
                    body_hash: body_hash.map(BodyHash),
                    created_at,
                    deadline: created_at + std::time::Duration::from_secs(timeout_seconds.into()),
                    question,
                    policy,
                    channel,
                    family,
                    trace,
                    link_secret: LinkSecret(secret),
                    is_counted,
                    base_url,
                    is_published,
                };
                Request::begin(new, Subscriptions::ALL)
            },
        )
}

fn trace() -> impl Strategy<Value = Option<Trace>> {
    option::of((1..u128::MAX, any::<bool>())).prop_map(|it| {
        let (id, is_sampled) = it?;
        if is_sampled { Trace::sampled(id) } else { Trace::unsampled(id) }
    })
}

fn message() -> impl Strategy<Value = Message> {
    let purpose = select(vec![Purpose::Ask, Purpose::Remind, Purpose::Escalate, Purpose::Code]);
    let way = (notifier_choice(), option::of("[a-z.]{1,9}:[1-9][0-9]{1,3}")).prop_map(
        |(NotifierChoice { id, kind }, authority)| Way {
            notifier: id,
            kind,
            authority: authority.map(Authority::from_text),
        },
    );
    (0..100_usize, purpose, vec(way, 1..3)).prop_map(|(row, purpose, ways)| Message {
        row,
        purpose,
        ways,
    })
}

pub(super) fn delivery() -> impl Strategy<Value = Delivery> {
    let target = prop_oneof![
        3 => receiver().prop_map(Target::Https),
        1 => Just(Target::Bus),
        2 => message().prop_map(Target::Message),
        1 => (message(), any::<bool>()).prop_map(|(message, is_mail)| {
            let to = EmailAddress::parse("Ada@example.com").filter(|_| is_mail);
            Target::Test(TestMessage { way: message.ways[0].clone(), to })
        }),
        1 => (message(), id(), 1..9_u32).prop_map(|(message, request, number): (_, RequestId, _)| {
            let message_id = Delivery::id_of(request.event(number), OpId(1), "message#0");
            Target::Update(CopyUpdate { message: message_id, way: message.ways[0].clone() })
        }),
    ];
    let kind = select(RequestEvent::ALL.to_vec());
    let webhook = option::of(webhook_reference());
    let event = (id(), 0..3_u32).prop_map(|(id, number): (RequestId, _)| id.event(number));
    let of = (event, id(), option::of(id()), mode());
    (of, kind, target, webhook, vec(any::<u8>(), 0..20), moment(), trace()).prop_map(
        |((event, account, channel, mode), event_kind, target, webhook, body, now, trace)| {
            let copy = SlackTs::parse("1503435956.000247").zip(SlackId::parse("C0G9PQBBK"));
            let copy = copy.filter(|_| now.as_millisecond() % 2 == 0);
            let copy = copy.map(|(ts, channel)| SlackCopy { channel, ts, user: channel });
            Delivery {
                id: Delivery::id_of(event, OpId(1), delivery::CALLBACK),
                owner: Owner { account, mode },
                channel,
                event_type: event_kind.into(),
                happened_at: now,
                trace,
                target,
                webhook,
                way: 0,
                has_report: false,
                copy,
                body: Some(body),
                created_at: now,
                state: delivery::DeliveryState::Waiting { not_before: now, reason: None },
                attempt: 0,
                starts: 0,
                failures: 0,
                breaker_wait: Duration::ZERO,
                expedited_by: None,
                redeliveries: None,
                first_attempt: None,
                is_private: false,
                due_at: Some(now),
                revision: 0,
            }
        },
    )
}

pub(super) fn breaker() -> impl Strategy<Value = Breaker> {
    (id(), "[a-z]{1,9}:[0-9]{1,5}", moment()).prop_map(|(account, authority, changed_at)| Breaker {
        changed_at,
        ..Breaker::unknown(account, Authority::from_text(authority))
    })
}

pub(super) fn posted_event() -> impl Strategy<Value = Event> {
    let creation = (id(), id(), mode(), op(), option::of(any::<[u8; 16]>()), moment());
    let event_type = "[a-z_]{1,8}(\\.[a-z0-9]{1,8}){1,3}";
    let data = ("[a-z]{0,5}", any::<i64>()).prop_map(|(name, it)| format!("{{\"{name}\": {it}}}"));
    (creation, event_type, data, option::of(text()), text(), option::of(receiver())).prop_map(
        |(creation, event_type, data, external_reference_id, base_url, callback)| {
            let (id, account, mode, created_by, body_hash, created_at) = creation;
            Event {
                id,
                owner: Owner { account, mode },
                created_by,
                body_hash: body_hash.map(BodyHash),
                created_at,
                trace: None,
                event_type: EventType::parse(&event_type).expect("a type"),
                data,
                external_reference_id,
                base_url,
                callback,
                webhook: None,
                disables: None,
                state: EventState::Waiting { due_at: created_at },
                revision: 0,
            }
        },
    )
}

pub(super) fn attempt() -> impl Strategy<Value = Attempt> {
    let headers = || vec((text(), text()), 0..3);
    let response = (any::<u16>(), headers(), text()).prop_map(|(status, headers, body)| Response {
        status,
        headers,
        body,
    });
    let exchange = (text(), headers(), option::of(response))
        .prop_map(|(url, headers, response)| Exchange { url, headers, response });
    let error = (select(ErrorKind::ALL.to_vec()), text())
        .prop_map(|(kind, message)| AttemptError { kind, message });
    let ids = (delivery(), 1_u32..=crate::domain::id::NUMBER_MAX);
    (ids, moment(), any::<u32>(), exchange, option::of(error)).prop_map(
        |((delivery, number), started_at, duration_ms, exchange, error)| Attempt {
            id: delivery.id.attempt(number),
            owner: delivery.owner,
            webhook: delivery.webhook,
            started_at,
            duration_ms,
            exchange: Some(exchange),
            error,
        },
    )
}

pub(super) fn calls() -> impl Strategy<Value = PastCalls> {
    let call = (any::<u128>(), any::<[u8; 16]>(), moment(), any::<bool>());
    let call = call.prop_map(|(id_bits, hash, at, is_of_earlier)| PastCall {
        call: IdempotentCall { id_bits, body_hash: BodyHash(hash) },
        at,
        is_of_earlier,
    });
    vec(call, 0..3).prop_map(PastCalls)
}

fn account_secrets() -> impl Strategy<Value = AccountSecrets> {
    let of_mode =
        || (secrets(), secrets()).prop_map(|(requests, events)| SourceSecrets { requests, events });
    (of_mode(), of_mode()).prop_map(|(live, test)| AccountSecrets { live, test })
}

fn secrets() -> impl Strategy<Value = Secrets> {
    let secret = (vec(any::<u8>(), 0..20), text(), moment(), option::of(moment())).prop_map(
        |(sealed, suffix, created_at, expires_at)| Secret {
            sealed: Sealed(sealed),
            suffix,
            created_at,
            expires_at,
        },
    );
    vec(secret, 0..3).prop_map(Secrets)
}

pub(super) fn channel() -> impl Strategy<Value = Channel> {
    let made = (moment(), op(), option::of(any::<[u8; 16]>()));
    (id(), id(), mode(), text(), any::<[u8; 32]>(), secrets(), made).prop_map(
        |(id, account, mode, name, token_hash, secrets, made)| {
            let (created_at, created_by, body_hash) = made;
            Channel {
                id,
                owner: Owner { account, mode },
                name,
                token_hash,
                secrets,
                calls: PastCalls::default(),
                created_at,
                created_by,
                body_hash: body_hash.map(BodyHash),
                deleted_at: None,
                revision: 0,
            }
        },
    )
}

pub(super) fn account() -> impl Strategy<Value = Account> {
    let cap = option::of(any::<u32>());
    let name = option::of(text());
    let limits = (cap, any::<u32>(), 1..=LIST_SHARDS_MAX, vec(email_pattern(), 0..3));
    (id(), moment(), name, any::<[u8; 32]>(), account_secrets(), calls(), limits).prop_map(
        |(id, created_at, name, id_key, secrets, calls, limits)| Account {
            id,
            created_at,
            name,
            id_key: IdKey(id_key),
            secrets,
            calls,
            max_pending_requests: limits.0,
            max_messages_per_hour: limits.1,
            n_list_shards: limits.2,
            allowed_senders: limits.3,
            revision: 0,
        },
    )
}

fn email_pattern() -> impl Strategy<Value = EmailPattern> {
    let texts = select(vec!["*@corp.example", "ops-*@*.corp.example", "ada@bücher.example"]);
    texts.prop_map(|it| EmailPattern::parse(it).expect("a pattern"))
}

pub(super) fn api_key() -> impl Strategy<Value = ApiKey> {
    let scopes = prop::sample::subsequence(Scope::ALL.to_vec(), 0..=Scope::ALL.len());
    let limit = (id(), any::<u32>()).prop_map(|(key, per_minute)| CallLimit { key, per_minute });
    let ask = (id(), any::<u32>()).prop_map(|(key, per_hour)| AskLimit { key, per_hour });
    let patterns = option::of(vec(email_pattern(), 1..3));
    let asks = (vec(ask, 0..3), patterns, option::of(requester()));
    let family = (option::of(id()), vec(id(), 0..3), vec(limit, 0..3), asks, option::of(moment()));
    let made = (moment(), op(), option::of(any::<[u8; 16]>()), family);
    (id(), id(), mode(), scopes, any::<[u8; 32]>(), option::of(text()), made).prop_map(
        |(id, account, mode, scopes, hash, name, made)| {
            let (created_at, created_by, body_hash, family) = made;
            let (family, makers, limits, asks, expires_at) = family;
            let (ask_limits, recipients_allowed, requester) = asks;
            ApiKey {
                id,
                owner: Owner { account, mode },
                scopes,
                hash,
                name,
                created_at,
                created_by,
                body_hash: body_hash.map(BodyHash),
                makers,
                family: family.unwrap_or(id),
                limits,
                ask_limits,
                recipients_allowed,
                requester,
                expires_at,
                revoked_at: None,
                revision: 0,
            }
        },
    )
}

fn webhook_reference() -> impl Strategy<Value = WebhookRef> {
    (webhook_id(), op()).prop_map(|(id, created_by)| WebhookRef { id, created_by })
}

fn webhook_id() -> impl Strategy<Value = WebhookId> {
    "[a-z0-9][a-z0-9_-]{0,63}".prop_map(|it| WebhookId::parse(&it).expect("valid"))
}

pub(super) fn settings() -> impl Strategy<Value = Settings> {
    let filter = select(vec!["*", "job.*", "job.failed"]);
    let event_types = vec(filter.prop_map(|it| Filter::parse(it).expect("valid")), 0..3);
    (option::of(text()), receiver(), event_types, any::<u32>()).prop_map(
        |(description, receiver, event_types, max_payload_bytes)| Settings {
            description,
            receiver,
            event_types,
            max_payload_bytes,
        },
    )
}

pub(super) fn webhook() -> impl Strategy<Value = Webhook> {
    let creation = (webhook_id(), id(), mode(), op(), calls(), moment());
    (creation, settings(), secrets()).prop_map(|(creation, settings, secrets)| {
        let (id, account, mode, created_by, calls, created_at) = creation;
        Webhook {
            id,
            owner: Owner { account, mode },
            created_by,
            calls,
            created_at,
            updated_by: created_by,
            updated_at: created_at,
            settings,
            disabled: None,
            failing_since: None,
            disabled_for: None,
            secrets,
            deleted_at: None,
            revision: 0,
        }
    })
}
