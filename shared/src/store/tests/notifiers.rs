//! The encoding of notifiers, and their list.

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{check_damage, check_newer, created, read, saved, values};
use crate::{
    domain::{
        EmailAddress, Mailbox, Notifier, Owner,
        notifier::{
            ChatFormat, EmailSettings, EmailTransport, IncomingWebhookSettings, NotifierSettings,
            NotifierUpdate, NtfySettings, OwnSystemSettings, SmtpLogin, SmtpServer, SmtpTls,
        },
        secret::Sealed,
    },
    store::Destinations,
};

fn sealed() -> impl Strategy<Value = Sealed> {
    vec(any::<u8>(), 0..9).prop_map(Sealed)
}

fn server() -> impl Strategy<Value = SmtpServer> {
    let login = (values::text(), sealed())
        .prop_map(|(username, password)| SmtpLogin { username, password });
    let tls = select(SmtpTls::ALL.map(|it| it.1).to_vec());
    (values::text(), any::<u16>(), tls, option::of(login))
        .prop_map(|(host, port, tls, login)| SmtpServer { host, port, tls, login })
}

fn settings() -> impl Strategy<Value = NotifierSettings> {
    let from = select(vec!["a@b.example", "Ada <A@b.example>", "\"A, B\" <a@b.example>"]);
    let from = from.prop_map(|it| Mailbox::parse(it).expect("a mailbox"));
    let reply_to = Just("Ada@corp.example").prop_map(EmailAddress::parse);
    let transport =
        option::of(server()).prop_map(|it| it.map_or(EmailTransport::Ses, EmailTransport::Smtp));
    let email = (from, option::of(reply_to), transport).prop_map(|(from, reply_to, transport)| {
        NotifierSettings::Email(EmailSettings { from, reply_to: reply_to.flatten(), transport })
    });
    let ntfy = (values::text(), sealed(), option::of(sealed()), any::<bool>()).prop_map(
        |(url, topic, token, buttons)| {
            NotifierSettings::Ntfy(NtfySettings { url, topic, token, buttons })
        },
    );
    let format = select(ChatFormat::ALL.map(|it| it.1).to_vec());
    let incoming = (sealed(), values::text(), format).prop_map(|(url, origin, format)| {
        NotifierSettings::IncomingWebhook(IncomingWebhookSettings { url, origin, format })
    });
    let own = (values::text(), values::credentials()).prop_map(|(url, credentials)| {
        NotifierSettings::Webhook(OwnSystemSettings { url, credentials })
    });
    prop_oneof![email, ntfy, incoming, own]
}

fn update() -> impl Strategy<Value = NotifierUpdate> {
    (option::of(values::text()), settings(), any::<bool>(), any::<bool>()).prop_map(
        |(name, settings, is_default, is_enabled)| NotifierUpdate {
            name,
            settings,
            is_default,
            is_enabled,
        },
    )
}

fn notifier() -> impl Strategy<Value = Notifier> {
    let owner = (values::id(), values::mode()).prop_map(|(account, mode)| Owner { account, mode });
    (values::id(), owner, values::op(), values::calls(), values::moment(), update()).prop_map(
        |(id, owner, created_by, calls, created_at, update)| {
            let NotifierUpdate { name, settings, is_default, .. } = update;
            Notifier {
                id,
                owner,
                created_by,
                calls,
                created_at,
                updated_by: created_by,
                updated_at: created_at,
                name,
                settings,
                is_default,
                disabled: None,
                refused_settings: None,
                deleted_at: None,
                revision: 0,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn notifier_is_read_back_after_any_steps(
        notifier in notifier(),
        update in update(),
        now in values::moment(),
        op in values::op(),
    ) {
        let mut attributes = created(&notifier);
        let refused = notifier.refuse(notifier.updated_by, now).expect("it is enabled");
        let deleted = refused.delete(now).expect("it is there");
        prop_assert_eq!(deleted.delete(now), None);
        let steps = [notifier.change(update, now, op), refused, deleted, notifier];
        for step in steps {
            attributes = saved(attributes, &step);
            let back: Notifier = read(attributes.clone()).expect("it is readable");
            prop_assert_eq!(&back, &step);
            check_newer(&attributes, |it: &Notifier| *it == step);
            check_damage::<Notifier>(&attributes);
        }
    }

    #[test]
    fn unreadable_notifier_hides_no_other_destination(
        webhook in values::webhook(),
        notifier in notifier(),
        other in notifier(),
    ) {
        let mut damaged = created(&other);
        damaged.remove("settings");
        let mut found = Destinations::default();
        for item in [created(&notifier), damaged, created(&webhook)] {
            found.add(item).expect("only webhooks must be readable");
        }
        prop_assert_eq!(found.notifiers, [notifier]);
        prop_assert_eq!(&found.webhooks[0].id, &webhook.id);

        let mut damaged = created(&webhook);
        damaged.remove("settings");
        prop_assert!(Destinations::default().add(damaged).is_err());
    }
}
