//! The default notifier of the local stack's account: e-mail into the outbox, or to a catcher of mail.

use answerback::{
    domain::{
        Account, EmailPattern, Mailbox, Notifier, NotifierId, OpId, Owner,
        notifier::{
            EmailSettings, EmailTransport, NewNotifier, NotifierSettings, NotifierUpdate,
            SmtpServer, SmtpTls,
        },
    },
    store::keys,
};

use super::SmtpCatcher;
use crate::System;

/// The sender of the local stack's mails.
const SENDER: &str = "Answerback <answerback@example.com>";
/// Its address.
const SENDER_ADDRESS: &str = "answerback@example.com";
/// The name of the notifier.
const NAME: &str = "Local stack";

/// Creates the default notifier of `account`, or changes it if the stack was started with another
/// `catcher`. One that its owner has deleted stays deleted for a day, and then comes back.
pub(super) async fn find_or_create(
    system: &System,
    account: &Account,
    catcher: Option<&SmtpCatcher>,
) -> anyhow::Result<()> {
    let owner = Owner::live(account.id);
    let sender = EmailPattern::parse(SENDER_ADDRESS).expect("an address is a pattern");
    if let Some(allowed) = account.allow_senders(&[sender])? {
        // Nobody else writes before the stack listens.
        let _ = system.store.save(&allowed).await?;
    }
    // The same at each start.
    let id = NotifierId::from_bits(account.id.bits());
    let settings = settings(catcher);
    let (now, op) = (system.clock.now(), OpId::new(system.entropy.next()));
    let update = NotifierUpdate {
        name: Some(NAME.to_owned()),
        settings,
        is_default: true,
        is_enabled: true,
    };
    match system.store.get::<Notifier>(keys::notifier(owner, id)).await? {
        Some(found) if found.is_deleted() || found.settings == update.settings => {}
        Some(found) => {
            // Nobody else writes before the stack listens.
            let _ = system.store.save(&found.change(update, now, op)).await?;
        }
        None => {
            let new =
                NewNotifier { id, owner, created_by: op, call: None, created_at: now, update };
            let _ = system.store.create(&Notifier::new(new)).await?;
        }
    }
    Ok(())
}

fn settings(catcher: Option<&SmtpCatcher>) -> NotifierSettings {
    let transport = match catcher {
        None => EmailTransport::Ses,
        Some(SmtpCatcher { host, port }) => EmailTransport::Smtp(SmtpServer {
            host: host.clone(),
            port: *port,
            tls: SmtpTls::None,
            login: None,
        }),
    };
    let from = Mailbox::parse(SENDER).expect("it is a mailbox");
    NotifierSettings::Email(EmailSettings { from, reply_to: None, transport })
}
