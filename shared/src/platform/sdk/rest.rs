//! Calls to services whose SDK would cost more than it gives.

use std::{borrow::Cow, time::Duration};

use aws_runtime::auth::sigv4::SCHEME_ID;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, IdentityCache, Layer, RuntimeComponentsBuilder, StalledStreamProtectionConfig,
    timeout::TimeoutConfig,
};
use aws_smithy_runtime::client::orchestrator::operation::{Operation, OperationBuilder};
use aws_smithy_runtime_api::client::{
    auth::{AuthSchemeOptionResolverParams, static_resolver::StaticAuthSchemeOptionResolver},
    runtime_plugin::StaticRuntimePlugin,
};

use super::{FastSigner, Sdk, ShortUserAgent};

/// A service of AWS that is called without its SDK.
#[derive(Clone, Copy, Debug)]
pub(in crate::platform) struct RestService {
    /// The name.
    pub(in crate::platform) name: &'static str,
    /// The beginning of its host name.
    pub(in crate::platform) endpoint_prefix: &'static str,
    /// Its name in signatures.
    pub(in crate::platform) signing_name: &'static str,
    /// Timeout of a call.
    pub(in crate::platform) timeout: Duration,
}

impl Sdk {
    /// An operation of a service. It is signed and watched like all other calls, and never repeated.
    pub(in crate::platform) fn rest(&self, service: RestService) -> OperationBuilder {
        let RestService { name, endpoint_prefix, signing_name, timeout } = service;
        let region = self.region.as_ref();
        let endpoint = match &self.endpoint {
            Some(endpoint) => Cow::from(endpoint),
            None => format!("https://{endpoint_prefix}.{region}.amazonaws.com").into(),
        };
        let mut operation = Operation::builder()
            .service_name(name)
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(&endpoint)
            .http_client(self.http.clone())
            .runtime_plugin(self.signature(signing_name))
            .interceptor(ShortUserAgent)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_attempt_timeout(timeout)
                    .operation_timeout(timeout)
                    .build(),
            )
            .no_retry();
        for watcher in &self.watchers {
            operation = operation.interceptor(watcher.clone());
        }
        operation
    }

    /// Signs calls to one service.
    fn signature(&self, signing_name: &'static str) -> StaticRuntimePlugin {
        let mut config = Layer::new("signature");
        config.store_put(AuthSchemeOptionResolverParams::new(()));
        let scheme = StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]);
        let components = RuntimeComponentsBuilder::new("signature")
            .with_auth_scheme_option_resolver(Some(scheme))
            .with_auth_scheme(FastSigner::new(self.region.as_ref(), signing_name))
            .with_identity_cache(Some(IdentityCache::no_cache()))
            .with_identity_resolver(SCHEME_ID, self.credentials.clone());
        StaticRuntimePlugin::new().with_config(config.freeze()).with_runtime_components(components)
    }
}
