//! A constant user agent. The SDK writes a longer one for each call, in two headers, and signs one of them: an
//! eighth of a call.

use aws_runtime::user_agent::UserAgentInterceptor;
use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{
            BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
        },
    },
    error::BoxError,
};
use aws_smithy_runtime_api::client::interceptors::{disable_interceptor, dyn_dispatch_hint};

/// The user agent of calls to AWS, which `CloudTrail` shows.
const USER_AGENT: &str = concat!("answerback/", env!("CARGO_PKG_VERSION"));

/// Replaces the SDK's user agent.
#[derive(Debug)]
pub(super) struct ShortUserAgent;

#[dyn_dispatch_hint]
impl Intercept for ShortUserAgent {
    fn name(&self) -> &'static str {
        "ShortUserAgent"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let disabled = disable_interceptor::<UserAgentInterceptor>("ours is constant");
        cfg.interceptor_state().store_put(disabled);
        Ok(())
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context.request_mut().headers_mut().insert("user-agent", USER_AGENT);
        Ok(())
    }
}
