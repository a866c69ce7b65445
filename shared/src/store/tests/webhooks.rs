//! The laws of spelling, for webhooks.

use std::fmt::Debug;

use proptest::prelude::*;

use super::{check_damage, check_newer, created, read, saved, values};
use crate::domain::{
    OpId, Webhook,
    webhook::{DisableReason, WebhookUpdate},
};

/// All of a webhook, secrets too.
fn parts(webhook: &Webhook) -> impl PartialEq + Debug + use<> {
    let life = (webhook.disabled, webhook.failing_since, webhook.deleted_at, webhook.revision);
    let made = (webhook.id.clone(), webhook.owner, webhook.created_by);
    let more = (webhook.body_hash, webhook.created_at, webhook.updated_by, webhook.updated_at);
    (made, more, webhook.settings.clone(), life, webhook.secrets.clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_webhook_is_read_back_whatever_happens_to_it(
        webhook in values::webhook(),
        settings in values::settings(),
        is_enabled: bool,
        now in values::moment(),
        op in values::op(),
    ) {
        prop_assume!(op != webhook.created_by);
        let mut attributes = created(&webhook);
        let failed = webhook.failed(now).expect("nothing had failed");
        let disabled = failed.disable(DisableReason::Gone, now, now).expect("it was enabled");
        let steps = [
            webhook.change(WebhookUpdate { settings, is_enabled }, now, op).expect("news"),
            failed.succeeded().expect("it had failed"),
            failed,
            disabled.delete(now).expect("it is there"),
            disabled,
            webhook,
        ];
        for step in steps {
            attributes = saved(attributes, &step);
            let back: Webhook = read(attributes.clone()).expect("it is as it was written");
            prop_assert_eq!(parts(&back), parts(&step));
            check_newer(&attributes, |it: &Webhook| parts(it) == parts(&step));
            check_damage::<Webhook>(&attributes);
        }
    }

    #[test]
    fn one_may_take_the_place_of_one_that_was_deleted(
        before in values::webhook(),
        first in values::webhook(),
        now in values::moment(),
    ) {
        let deleted = before.delete(now).expect("it is there");
        let first = Webhook { id: before.id.clone(), owner: before.owner, ..first };
        let replaced = deleted.replaced(&first);
        let attributes = saved(created(&deleted), &replaced);
        let back: Webhook = read(attributes.clone()).expect("it is as it was written");
        prop_assert_eq!(parts(&back), parts(&replaced));
        prop_assert!(!attributes.contains_key("ttl"));
        let update = WebhookUpdate { settings: first.settings.clone(), is_enabled: true };
        prop_assert_eq!(back.change(update, now, OpId(0)).is_some(), first.updated_by != OpId(0));
    }
}
