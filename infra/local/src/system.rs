//! All functions and what stands in for AWS, wired as `template.yaml` wires them.

mod functions;

use std::{net::SocketAddr, time::Duration};

use answerback::{
    domain::{Account, CallbackRules, Owner, Scope},
    egress,
    platform::{
        Clock, Config, Entropy, Lane, Sdk, Vault,
        config::{DUE_SHARDS, RETENTION_DAYS},
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
use functions::Maker;
use serde_json::json;

use crate::{
    gateway::{HttpFunction, is_write},
    table,
};
use local_aws::{Aws, Data, KEY, Message, to_event};

pub use crate::table::NAME as TABLE;
pub use functions::{Function, Watch};

/// The queue for hints.
pub const HINTS: &str = "answerback-hints";
/// The queue for hints at receivers that are slow or down.
pub const SLOW_HINTS: &str = "answerback-hints-slow";
/// What is behind the name of a queue where hints end that no worker could follow.
const DEAD: &str = "dead";
/// How long a hint is hidden while a worker has it: six times as long as the function lives.
const VISIBILITY: Duration = Duration::from_mins(3);
/// After so many receives a hint is dead.
const RECEIVES_MAX: u32 = 5;
/// Most hints in one event.
pub const BATCH_MAX: usize = 10;
/// How long the delivery function lives, in milliseconds.
const DELIVER_MILLISECONDS: i64 = 30_000;
/// How long the sweep lives, in milliseconds.
const SWEEP_MILLISECONDS: i64 = 55_000;

/// What can be chosen about a system.
#[derive(Debug)]
pub struct Options {
    /// Where its data is.
    pub data: Data,
    /// Where what stands in for AWS listens; on any free port of loopback if nothing is given.
    pub aws_address: Option<SocketAddr>,
    /// What time it is.
    pub clock: Clock,
    /// Where chance comes from.
    pub entropy: Entropy,
    /// How receivers are reached.
    pub egress: egress::Client,
    /// Where callbacks may go.
    pub rules: CallbackRules,
    /// The event bus, if events are published.
    pub bus: Option<String>,
    /// Whether functions other than the sweep send hints.
    pub has_queue: bool,
    /// Who looks at the calls of functions.
    pub watch: Watch,
}

/// All functions, running.
#[derive(Clone, Debug)]
pub struct System {
    /// What stands in for AWS.
    pub aws: Aws,
    /// What seals secrets, and opens them.
    pub vault: Vault,
    /// What time it is.
    pub clock: Clock,
    /// Where chance comes from.
    pub entropy: Entropy,
    /// Where everything is kept.
    pub store: Store,
    /// What writes over HTTP.
    pub intake: HttpFunction,
    /// What reads over HTTP.
    pub poll: HttpFunction,
    /// What is due.
    pub sweep: sweep::App,
    /// What follows hints.
    pub deliver: deliver::App,
}

impl System {
    /// Starts everything, over the data that is there.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let Options { data, aws_address, clock, entropy, egress, rules, bus, has_queue, watch } =
            options;
        let aws = Aws::start(data, aws_address, clock.clone()).await?;
        aws.create_table(table::definition()).await?;
        let sdk = Sdk::local(aws.endpoint());
        let create =
            async |name| create_queue(&sdk, name).await.context("a queue could not be made");
        let config = Config {
            table: TABLE.to_owned(),
            n_due_shards: DUE_SHARDS,
            retention: Duration::from_hours(24 * u64::from(RETENTION_DAYS)),
            hint_queue_url: Some(create(HINTS).await?),
            slow_hint_queue_url: Some(create(SLOW_HINTS).await?),
            secrets_key_id: Some(KEY.to_owned()),
            bus_name: bus,
            public_base_url: None,
        };
        // Who operates it: no function, and so not watched.
        let operator = Wiring::new(config.clone(), sdk.clone());
        let (store, vault) = (operator.store().await, operator.vault()?);
        let maker = Maker {
            config,
            sdk,
            watch,
            clock: clock.clone(),
            entropy: entropy.clone(),
            egress,
            rules,
            has_queue,
        };
        Ok(Self {
            intake: maker.intake().await?,
            poll: maker.poll().await?,
            sweep: maker.sweep().await?,
            deliver: maker.deliver().await?,
            aws,
            vault,
            clock,
            entropy,
            store,
        })
    }

    /// Makes an account, and a key of it that may do everything.
    pub async fn make_account(&self) -> anyhow::Result<(Account, NewKey)> {
        let account = new_account(self.clock.now(), &self.entropy, &self.vault).await?;
        self.keep(&account).await?;
        let key = self.make_key(Owner::live(account.id), vec![Scope::Admin]).await?;
        Ok((account, key))
    }

    /// Makes a key of an account.
    pub async fn make_key(&self, owner: Owner, scopes: Vec<Scope>) -> anyhow::Result<NewKey> {
        let key = NewKey::make(owner, scopes, self.clock.now(), &self.entropy);
        self.keep(&key.key).await?;
        Ok(key)
    }

    async fn keep(&self, item: &impl Item) -> anyhow::Result<()> {
        // A fresh identifier is nobody else's, so whatever is found there is this.
        let _ = self.store.create(item).await?;
        Ok(())
    }

    /// Has the function whose route it is answer an HTTP request.
    pub async fn http(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let call_id = format!("{:032x}", self.entropy.next());
        let writes = is_write(request.method(), request.uri().path());
        let function = if writes { &self.intake } else { &self.poll };
        function.call(request, &call_id).await
    }

    /// Invokes the sweep as the schedule does.
    pub async fn sweep(&self) -> sweep::Swept {
        let ends_at = self.clock.now().as_millisecond() + SWEEP_MILLISECONDS;
        let ends_at = u64::try_from(ends_at).ok().and_then(|it| self.clock.deadline(it));
        sweep::sweep(&self.sweep, ends_at).await
    }

    /// Waits up to `wait` for hints in a lane, and invokes delivery with them. Gives the number of
    /// hints.
    pub async fn deliver(&self, lane: Lane, wait: Duration) -> anyhow::Result<usize> {
        let messages = self.receive(lane, wait).await?;
        let n_hints = messages.len();
        self.follow(messages).await?;
        Ok(n_hints)
    }

    /// Takes as many hints of a lane as one event holds, and waits up to `wait` for the first.
    pub async fn receive(&self, lane: Lane, wait: Duration) -> anyhow::Result<Vec<Message>> {
        let queue = queue_of(lane);
        Ok(self.aws.queue().receive_within(wait, queue, BATCH_MAX, VISIBILITY).await?)
    }

    /// Invokes delivery with hints as the queue does: those that it reports come again.
    pub async fn follow(&self, messages: Vec<Message>) -> anyhow::Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        // Through JSON, as Lambda sends and gets it.
        let event = serde_json::from_value(serde_json::to_value(to_event(&messages))?)?;
        let ends_at = self.clock.now().as_millisecond() + DELIVER_MILLISECONDS;
        let ends_at = self.clock.deadline(u64::try_from(ends_at)?);
        let response = deliver::deliver(&self.deliver, event, ends_at).await;
        let response: SqsBatchResponse = serde_json::from_value(serde_json::to_value(&response)?)?;
        for message in &messages {
            let failed = &response.batch_item_failures;
            if !failed.iter().any(|it| it.item_identifier == message.id) {
                self.aws.queue().delete(&message.queue, &message.receipt).await?;
            }
        }
        Ok(())
    }
}

/// The queue that is a lane.
pub fn queue_of(lane: Lane) -> &'static str {
    match lane {
        Lane::Fast => HINTS,
        Lane::Slow => SLOW_HINTS,
    }
}

/// Makes a queue for hints and one for its dead ones. Gives the first one's URL.
async fn create_queue(sdk: &Sdk, name: &str) -> anyhow::Result<String> {
    use aws_sdk_sqs::types::QueueAttributeName::{QueueArn, RedrivePolicy, VisibilityTimeout};
    let client = sdk.sqs();
    let dead = client.create_queue().queue_name(format!("{name}-{DEAD}")).send().await?;
    let dead = dead.queue_url().context("a queue has a URL")?;
    let attributes =
        client.get_queue_attributes().queue_url(dead).attribute_names(QueueArn).send().await?;
    let arn = attributes.attributes().and_then(|it| it.get(&QueueArn));
    let arn = arn.context("a queue has an ARN")?;
    let redrive = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": RECEIVES_MAX });
    let hints = client
        .create_queue()
        .queue_name(name)
        .attributes(VisibilityTimeout, VISIBILITY.as_secs().to_string())
        .attributes(RedrivePolicy, redrive.to_string())
        .send()
        .await?;
    Ok(hints.queue_url().context("a queue has a URL")?.to_owned())
}
