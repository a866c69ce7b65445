//! All functions and the emulated AWS, wired as `template.yaml` wires them.

mod functions;

use std::{net::SocketAddr, time::Duration};

use answerback::{
    domain::{Account, CallbackRules, Owner, Scope},
    egress,
    platform::{
        Clock, Config, Entropy, Lane, Sdk, Vault,
        config::{DUE_SHARDS, RETENTION_DAYS},
        ses::{NOTIFICATION_TAG, WAY_TAG},
        wiring::Wiring,
    },
    service::{NewKey, new_account},
    store::{Item, Store},
};
use anyhow::Context as _;
use aws_lambda_events::sqs::SqsBatchResponse;
use axum::{
    body::Bytes,
    http::{Request, Response},
};
use functions::FunctionBuilder;
use serde_json::json;

use crate::{
    EmulatorClock, TABLE, connector,
    gateway::{HttpFunction, is_write},
    table,
};
use local_aws::{Aws, Data, KMS_KEY_ARN, MailEvent, MailEventKind, MailRule, Message, sqs_event};

pub use functions::{Function, Watch};

/// The queue of the fast lane.
pub const HINTS: &str = "answerback-hints";
/// The queue of the slow lane: hints for receivers that are slow or down.
pub const SLOW_HINTS: &str = "answerback-hints-slow";
/// The configuration set of mails. The emulated SES has all.
const CONFIGURATION_SET: &str = "answerback";
/// Suffix of the names of dead-letter queues.
const DEAD_LETTERS: &str = "dead";
/// Visibility timeout of hints: six times the timeout of the function, as AWS recommends.
const VISIBILITY_TIMEOUT: Duration = Duration::from_mins(3);
/// Receives of a hint before it moves to the dead-letter queue.
const RECEIVES_MAX: u32 = 5;
/// The largest number of hints in one event.
pub const BATCH_MAX: usize = 10;
/// Timeout of the function `deliver`.
const DELIVER_TIMEOUT_MILLISECONDS: i64 = 30_000;
/// Timeout of the function `sweep`.
const SWEEP_TIMEOUT_MILLISECONDS: i64 = 55_000;

/// The configuration of a system.
#[derive(Debug)]
pub struct SystemOptions {
    /// Storage of the emulated AWS.
    pub data: Data,
    /// Address of the emulated AWS. By default any free port of loopback.
    pub aws_address: Option<SocketAddr>,
    /// The clock of the functions and of the emulated AWS.
    pub clock: Clock,
    /// The source of randomness.
    pub entropy: Entropy,
    /// The way to receivers.
    pub egress: egress::Client,
    /// The rules for callback URLs.
    pub rules: CallbackRules,
    /// The event bus, if events are published.
    pub bus: Option<String>,
    /// True if functions send hints. Otherwise only the sweep does, as if the queue lost the rest.
    pub has_queue: bool,
    /// Time for which a worker leases a delivery.
    pub lease: Duration,
    /// The address in the links of messages, without a slash at the end.
    pub message_base_url: String,
    /// An observer of the functions' calls to AWS.
    pub watch: Watch,
}

/// All functions, running.
#[derive(Clone, Debug)]
pub struct System {
    /// The emulated AWS.
    pub aws: Aws,
    /// Seals and opens secrets.
    pub vault: Vault,
    /// The clock of the functions and of the emulated AWS.
    pub clock: Clock,
    /// The source of randomness.
    pub entropy: Entropy,
    /// The table, as an operator reaches it.
    pub store: Store,
    /// The write API.
    pub intake: HttpFunction,
    /// The read API.
    pub poll: HttpFunction,
    /// The sweep.
    pub sweep: sweep::App,
    /// The workers that follow hints.
    pub deliver: deliver::App,
}

/// A new account and its first key.
#[derive(Debug)]
pub struct NewAccount {
    /// The account.
    pub account: Account,
    /// A key with the scope `admin`.
    pub key: NewKey,
}

impl System {
    /// Starts everything on existing or new data.
    pub async fn start(options: SystemOptions) -> anyhow::Result<Self> {
        let SystemOptions {
            data,
            aws_address,
            clock,
            entropy,
            egress,
            rules,
            bus,
            has_queue,
            lease,
            message_base_url,
            watch,
        } = options;
        let aws = Aws::start(data, aws_address, EmulatorClock::shared(clock.clone())).await?;
        aws.create_table(table::definition()).await?;
        aws.mail().set_rule(MailRule { queue: HINTS.to_owned(), transform: mail_hint });
        let sdk = sdk_of(&aws);
        let create =
            async |name| create_queue(&sdk, name).await.context("could not create a queue");
        let config = Config {
            table: TABLE.to_owned(),
            n_due_shards: DUE_SHARDS,
            retention: Duration::from_hours(24 * u64::from(RETENTION_DAYS)),
            hint_queue_url: Some(create(HINTS).await?),
            slow_hint_queue_url: Some(create(SLOW_HINTS).await?),
            secrets_key_id: Some(KMS_KEY_ARN.to_owned()),
            bus_name: bus,
            sends_by_ses: true,
            ses_configuration_set: Some(CONFIGURATION_SET.to_owned()),
            public_base_url: None,
        };
        // An operator's access is not part of a function, so it is not watched.
        let operator = Wiring::new(config.clone(), sdk.clone());
        let (store, vault) = (operator.store().await, operator.vault()?);
        let builder = FunctionBuilder {
            config,
            sdk,
            watch,
            clock: clock.clone(),
            entropy: entropy.clone(),
            egress,
            rules,
            has_queue,
            lease,
            message_base_url,
        };
        Ok(Self {
            intake: builder.intake().await?,
            poll: builder.poll().await?,
            sweep: builder.sweep().await?,
            deliver: builder.deliver().await?,
            aws,
            vault,
            clock,
            entropy,
            store,
        })
    }

    /// Clients of the emulated AWS, with all permissions.
    pub fn sdk(&self) -> Sdk {
        sdk_of(&self.aws)
    }

    /// Creates an account and a key with the scope `admin`.
    pub async fn make_account(&self) -> anyhow::Result<NewAccount> {
        let account = new_account(self.clock.now(), &self.entropy, &self.vault).await?;
        self.create(&account).await?;
        let key = self.make_key(Owner::live(account.id), vec![Scope::Admin]).await?;
        Ok(NewAccount { account, key })
    }

    /// Creates a key of an account.
    pub async fn make_key(&self, owner: Owner, scopes: Vec<Scope>) -> anyhow::Result<NewKey> {
        let key = NewKey::make(owner, scopes, self.clock.now(), &self.entropy);
        self.create(&key.key).await?;
        Ok(key)
    }

    async fn create(&self, item: &impl Item) -> anyhow::Result<()> {
        // The id is new, so an existing item is this one, written by a retry.
        let _ = self.store.create(item).await?;
        Ok(())
    }

    /// Passes an HTTP request to the function that serves its route.
    pub async fn http(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let call_id = format!("{:032x}", self.entropy.next());
        let is_write = is_write(request.method(), request.uri().path());
        let function = if is_write { &self.intake } else { &self.poll };
        function.call(request, &call_id).await
    }

    /// Invokes the sweep as the schedule does.
    pub async fn sweep(&self) -> sweep::Swept {
        let ends_at = self.clock.now().as_millisecond() + SWEEP_TIMEOUT_MILLISECONDS;
        let ends_at = u64::try_from(ends_at).ok().and_then(|it| self.clock.deadline(it));
        sweep::sweep(&self.sweep, ends_at).await
    }

    /// Waits up to `wait` for hints in a lane and invokes `deliver` with them. Returns the number of
    /// hints.
    pub async fn deliver(&self, lane: Lane, wait: Duration) -> anyhow::Result<usize> {
        let messages = self.receive(lane, wait).await?;
        let n_hints = messages.len();
        self.follow(messages).await?;
        Ok(n_hints)
    }

    /// Receives one event's hints of a lane, and waits up to `wait` for the first.
    pub async fn receive(&self, lane: Lane, wait: Duration) -> anyhow::Result<Vec<Message>> {
        let queue = queue_of(lane);
        Ok(self.aws.queue().receive_within(wait, queue, BATCH_MAX, VISIBILITY_TIMEOUT).await?)
    }

    /// Invokes `deliver` with hints as the queue does. Hints that it reports as failed come again.
    pub async fn follow(&self, messages: Vec<Message>) -> anyhow::Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        // Converted through JSON, as Lambda does.
        let event = serde_json::from_value(serde_json::to_value(sqs_event(&messages))?)?;
        let ends_at = self.clock.now().as_millisecond() + DELIVER_TIMEOUT_MILLISECONDS;
        let ends_at = self.clock.deadline(u64::try_from(ends_at)?);
        let response = deliver::deliver(&self.deliver, event, ends_at).await;
        let response: SqsBatchResponse = serde_json::from_value(serde_json::to_value(&response)?)?;
        let failed = &response.batch_item_failures;
        let queue = messages[0].queue.clone();
        let done = messages
            .into_iter()
            .filter(|message| !failed.iter().any(|it| it.item_identifier == message.id));
        let receipts = done.map(|it| it.receipt).collect();
        Ok(self.aws.queue().delete_all(&queue, receipts).await?)
    }
}

/// The hint that the rules in `template.yaml` make of what SES reports.
fn mail_hint(event: &MailEvent) -> Option<String> {
    let kind = match event.kind {
        MailEventKind::Bounce | MailEventKind::Complaint => "bounce",
        MailEventKind::Delivery => "arrival",
    };
    let (id, way) = (event.tags.get(NOTIFICATION_TAG)?, event.tags.get(WAY_TAG)?);
    Some(json!({ "kind": kind, "id": id, "way": way }).to_string())
}

/// Clients of an emulated AWS in this process.
pub(crate) fn sdk_of(aws: &Aws) -> Sdk {
    let credentials = aws.credentials();
    Sdk::local(aws.endpoint(), &credentials.access_key_id, &credentials.secret_access_key)
        .in_process(connector::http_client(aws))
}

/// The queue of a lane.
pub fn queue_of(lane: Lane) -> &'static str {
    match lane {
        Lane::Fast => HINTS,
        Lane::Slow => SLOW_HINTS,
    }
}

/// Creates a queue with its dead-letter queue, and returns the queue's URL.
async fn create_queue(sdk: &Sdk, name: &str) -> anyhow::Result<String> {
    use aws_sdk_sqs::types::QueueAttributeName::{QueueArn, RedrivePolicy, VisibilityTimeout};
    let client = sdk.sqs();
    let dead_letters =
        client.create_queue().queue_name(format!("{name}-{DEAD_LETTERS}")).send().await?;
    let dead_letters = dead_letters.queue_url().context("a queue has a URL")?;
    let attributes = client
        .get_queue_attributes()
        .queue_url(dead_letters)
        .attribute_names(QueueArn)
        .send()
        .await?;
    let arn = attributes.attributes().and_then(|it| it.get(&QueueArn));
    let arn = arn.context("a queue has an ARN")?;
    let redrive = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": RECEIVES_MAX });
    let hints = client
        .create_queue()
        .queue_name(name)
        .attributes(VisibilityTimeout, VISIBILITY_TIMEOUT.as_secs().to_string())
        .attributes(RedrivePolicy, redrive.to_string())
        .send()
        .await?;
    Ok(hints.queue_url().context("a queue has a URL")?.to_owned())
}
