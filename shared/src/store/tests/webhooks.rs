//! The encoding of webhooks.

use std::fmt::Debug;

use proptest::prelude::*;

use super::{check_damage, check_newer, created, read, saved, values};
use crate::domain::{
    OpId, Webhook,
    webhook::{DisableReason, WebhookUpdate},
};

/// All parts of a webhook, including its secrets.
fn parts(webhook: &Webhook) -> impl PartialEq + Debug + use<> {
    let life = (webhook.disabled, webhook.failing_since, webhook.deleted_at, webhook.revision);
    let made = (webhook.id.clone(), webhook.owner, webhook.created_by);
    let more = (webhook.calls.clone(), webhook.created_at, webhook.updated_by, webhook.updated_at);
    (made, more, webhook.settings.clone(), life, webhook.secrets.clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn webhook_is_read_back_after_any_steps(
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
            webhook.change(WebhookUpdate { settings, is_enabled }, now, op).expect("a change"),
            failed.succeeded().expect("it had failed"),
            failed,
            disabled.delete(now).expect("it is there"),
            disabled,
            webhook,
        ];
        for step in steps {
            attributes = saved(attributes, &step);
            let back: Webhook = read(attributes.clone()).expect("it is readable");
            prop_assert_eq!(parts(&back), parts(&step));
            check_newer(&attributes, |it: &Webhook| parts(it) == parts(&step));
            check_damage::<Webhook>(&attributes);
        }
    }

    #[test]
    fn new_webhook_replaces_a_deleted_one_of_the_same_name(
        before in values::webhook(),
        first in values::webhook(),
        now in values::moment(),
    ) {
        let deleted = before.delete(now).expect("it is there");
        let first = Webhook { id: before.id.clone(), owner: before.owner, ..first };
        let replaced = deleted.replaced_by(&first);
        let attributes = saved(created(&deleted), &replaced);
        let back: Webhook = read(attributes.clone()).expect("it is readable");
        prop_assert_eq!(parts(&back), parts(&replaced));
        prop_assert!(!attributes.contains_key("ttl"));
        let change = WebhookUpdate { settings: first.settings.clone(), is_enabled: true };
        let is_changed = back.change(change, now, OpId(0)).is_some();
        prop_assert_eq!(is_changed, first.updated_by != OpId(0));
    }
}
