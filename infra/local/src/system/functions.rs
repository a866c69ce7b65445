//! The four functions, each with clients and memories of its own, as each has a process of its own.

use std::{fmt, sync::Arc};

use answerback::{
    domain::CallbackRules,
    egress,
    platform::{Clock, Config, Entropy, Hints, Sdk, wiring::Wiring},
    service::{Accounts, Webhooks},
    store::Store,
};
use aws_sdk_dynamodb::config::SharedInterceptor;

use crate::gateway::HttpFunction;

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// What writes over HTTP.
    Intake,
    /// What reads over HTTP.
    Poll,
    /// What is due.
    Sweep,
    /// What follows hints.
    Deliver,
}

/// Who looks at the calls that each function makes to AWS: tests count calls, and judge them.
#[derive(Clone, Default)]
pub struct Watch(pub Option<Arc<dyn Fn(Function) -> Vec<SharedInterceptor> + Send + Sync>>);

/// What functions are made from.
#[derive(Debug)]
pub(super) struct Maker {
    pub(super) config: Config,
    pub(super) sdk: Sdk,
    pub(super) watch: Watch,
    pub(super) clock: Clock,
    pub(super) entropy: Entropy,
    pub(super) egress: egress::Client,
    pub(super) rules: CallbackRules,
    pub(super) has_queue: bool,
}

/// What is one function's own.
struct Own {
    wiring: Wiring,
    store: Store,
    accounts: Accounts,
    webhooks: Webhooks,
    hints: Hints,
}

impl Function {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Intake, Self::Poll, Self::Sweep, Self::Deliver];

    /// What its program is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Poll => "poll",
            Self::Sweep => "sweep",
            Self::Deliver => "deliver",
        }
    }
}

impl Maker {
    pub(super) async fn intake(&self) -> anyhow::Result<HttpFunction> {
        let Own { wiring, store, accounts, webhooks, hints } = self.own(Function::Intake).await?;
        let app = intake::App {
            store,
            accounts,
            webhooks,
            vault: wiring.vault()?,
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            hints,
            egress: self.egress.clone(),
            rules: self.rules.clone(),
            publishes: wiring.config.bus_name.is_some(),
            public_base_url: wiring.config.public_base_url,
        };
        Ok(HttpFunction::new(intake::router(app), self.clock.clone()))
    }

    pub(super) async fn poll(&self) -> anyhow::Result<HttpFunction> {
        let Own { wiring, store, accounts, webhooks, hints } = self.own(Function::Poll).await?;
        let app = poll::App {
            store,
            accounts,
            webhooks,
            vault: wiring.vault()?,
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            hints,
        };
        Ok(HttpFunction::new(poll::router(app), self.clock.clone()))
    }

    pub(super) async fn sweep(&self) -> anyhow::Result<sweep::App> {
        let Own { store, webhooks, hints, .. } = self.own(Function::Sweep).await?;
        let (clock, entropy) = (self.clock.clone(), self.entropy.clone());
        Ok(sweep::App { store, webhooks, clock, entropy, hints })
    }

    pub(super) async fn deliver(&self) -> anyhow::Result<deliver::App> {
        let Own { wiring, store, accounts, webhooks, hints } = self.own(Function::Deliver).await?;
        Ok(deliver::App {
            store,
            accounts,
            webhooks,
            vault: wiring.vault()?,
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            hints,
            egress: self.egress.clone(),
            rules: self.rules.clone(),
            bus: wiring.bus(),
            breakers: deliver::Breakers::default(),
        })
    }

    async fn own(&self, function: Function) -> anyhow::Result<Own> {
        let sdk = self.sdk.clone().watched_by(self.watch.of(function));
        let wiring = Wiring::new(self.config.clone(), sdk);
        let store = wiring.store().await;
        let has_queue = self.has_queue || function == Function::Sweep;
        Ok(Own {
            accounts: Accounts::new(store.clone(), self.clock.clone()),
            webhooks: Webhooks::new(store.clone(), self.clock.clone()),
            hints: if has_queue { wiring.hints()? } else { Hints::Dropped },
            store,
            wiring,
        })
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
