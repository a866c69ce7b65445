//! A receiver that accepts connections and never responds.

use std::sync::{Arc, OnceLock};

use answerback::{
    Promise,
    domain::{CallbackUrl, breaker::Authority},
    egress::{self, Receivers},
    platform::Clock,
    store::keys,
};
use futures::FutureExt as _;
use system_tests::Setup;

use super::*;

/// Receivers that accept everything at once, except one that hangs.
#[derive(Debug, Default)]
struct OneHangs {
    clock: OnceLock<Clock>,
}

impl Receivers for OneHangs {
    fn post(&self, post: Post) -> Promise<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            if post.url.as_str() != SLOW {
                return reply(200);
            }
            self.clock.get().expect("it was set").sleep(post.timeout).await;
            failure(FailureKind::Timeout)
        })
    }

    fn check(&self, _: CallbackUrl) -> Promise<'_, Result<(), Failure>> {
        std::future::ready(Ok(())).boxed()
    }
}

/// Three seconds into the first attempts, which still hang, later deliveries already use the slow
/// lane.
#[tokio::test]
async fn hanging_receiver_is_detected_before_its_timeout() {
    let receivers = Arc::new(OneHangs::default());
    let egress = Some(egress::Client::Simulated(receivers.clone()));
    let world = World::start_with(Setup { egress, ..Setup::default() }).await;
    let clock = &world.system.clock;
    receivers.clock.set(clock.clone()).expect("it is set once");
    let first = answered(&world, &world.key, SLOW, json!({})).await;
    let key = keys::breaker(world.account.id, &Authority::of(SLOW).expect("a host"));
    let known = async || {
        let store = &world.system.store;
        store.get::<answerback::domain::Breaker>(key.clone()).await.expect("a table")
    };

    let hanging = world.follow_hints_of(Lane::Fast);
    let meanwhile = async {
        while clock.next_sleeper().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(standing(&delivery_of(&world, &first).await), ("pending", None, 1, 0));
        clock.advance(Duration::from_secs(2));
        assert_eq!(known().await, None);
        clock.advance(Duration::from_secs(1));
        while known().await.is_none() {
            tokio::task::yield_now().await;
        }
        let second = answered(&world, &world.key, SLOW, json!({})).await;
        let other = answered(&world, &world.key, OTHER, json!({})).await;
        world.follow_hints_of(Lane::Fast).await;
        let delivery = delivery_of(&world, &second).await;
        assert_eq!(standing(&delivery), ("pending", Some("slow_lane"), 0, 0));
        assert_eq!(standing(&delivery_of(&world, &other).await), ("delivered", None, 1, 0));
        clock.advance(Duration::from_secs(17));
    };
    futures::join!(hanging, meanwhile);
    assert_eq!(standing(&delivery_of(&world, &first).await), ("pending", Some("slow_lane"), 1, 1));
}
