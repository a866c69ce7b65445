//! The four functions. Each has separate clients and caches, as each runs in a separate process.

use std::{fmt, sync::Arc, time::Duration};

use answerback::{
    domain::CallbackRules,
    egress,
    platform::{Clock, Config, Entropy, Hints, Sdk, Vault, wiring::Wiring},
    service::Core,
};
use aws_sdk_dynamodb::config::SharedInterceptor;

use crate::gateway::HttpFunction;

/// One of the four functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// The write API.
    Intake,
    /// The read API.
    Poll,
    /// The sweep, which looks for overdue work.
    Sweep,
    /// The workers that follow hints.
    Deliver,
}

/// Observes the calls that each function makes to AWS. Tests count them and check their rights.
#[derive(Clone, Default)]
pub struct Watch(pub Option<Arc<dyn Fn(Function) -> Vec<SharedInterceptor> + Send + Sync>>);

/// Builds the functions from shared configuration.
#[derive(Debug)]
pub(super) struct FunctionBuilder {
    pub(super) config: Config,
    pub(super) sdk: Sdk,
    pub(super) watch: Watch,
    pub(super) clock: Clock,
    pub(super) entropy: Entropy,
    pub(super) egress: egress::Client,
    pub(super) rules: CallbackRules,
    pub(super) has_queue: bool,
    pub(super) lease: Duration,
    pub(super) message_base_url: String,
}

impl Function {
    /// All functions.
    pub const ALL: [Self; 4] = [Self::Intake, Self::Poll, Self::Sweep, Self::Deliver];

    /// The name of the function and its program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Poll => "poll",
            Self::Sweep => "sweep",
            Self::Deliver => "deliver",
        }
    }
}

impl FunctionBuilder {
    pub(super) async fn intake(&self) -> anyhow::Result<HttpFunction> {
        let wiring = self.wiring(Function::Intake);
        let app = intake::App {
            core: self.core(Function::Intake, &wiring).await?,
            egress: self.egress.clone(),
            rules: self.rules.clone(),
            probes: intake::Probes::default(),
            publishes: wiring.config.bus_name.is_some(),
            public_base_url: wiring.config.public_base_url,
        };
        Ok(HttpFunction::new(intake::router(app), self.clock.clone()))
    }

    pub(super) async fn poll(&self) -> anyhow::Result<HttpFunction> {
        let wiring = self.wiring(Function::Poll);
        let app = poll::App { core: self.core(Function::Poll, &wiring).await? };
        Ok(HttpFunction::new(poll::router(app), self.clock.clone()))
    }

    pub(super) async fn sweep(&self) -> anyhow::Result<sweep::App> {
        let wiring = self.wiring(Function::Sweep);
        Ok(sweep::App { core: self.core(Function::Sweep, &wiring).await? })
    }

    pub(super) async fn deliver(&self) -> anyhow::Result<deliver::App> {
        let wiring = self.wiring(Function::Deliver);
        Ok(deliver::App {
            core: self.core(Function::Deliver, &wiring).await?,
            egress: self.egress.clone(),
            rules: self.rules.clone(),
            bus: wiring.bus(),
            ses: wiring.ses(),
            ses_configuration_set: wiring.config.ses_configuration_set,
            public_base_url: self.message_base_url.clone(),
            breakers: deliver::Breakers::default(),
            reads: deliver::Reads::default(),
            lease: self.lease,
        })
    }

    fn wiring(&self, function: Function) -> Wiring {
        let sdk = self.sdk.clone().watched_by(self.watch.of(function));
        Wiring::new(self.config.clone(), sdk)
    }

    async fn core(&self, function: Function, wiring: &Wiring) -> anyhow::Result<Core> {
        let has_queue = self.has_queue || function == Function::Sweep;
        let hints = if has_queue { wiring.hints()? } else { Hints::Dropped };
        let vault = match function {
            Function::Sweep => Vault::absent(),
            Function::Intake | Function::Poll | Function::Deliver => wiring.vault()?,
        };
        let (clock, entropy) = (self.clock.clone(), self.entropy.clone());
        Ok(Core::new(wiring.store().await, vault, hints, clock, entropy))
    }
}

impl Watch {
    fn of(&self, function: Function) -> Vec<SharedInterceptor> {
        self.0.as_ref().map(|it| it(function)).unwrap_or_default()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.0.is_some()).finish()
    }
}
