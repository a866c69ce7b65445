//! E-mail, by Amazon SES or a mail server.

use answerback::{
    domain::{
        EmailAddress, NotificationId,
        attempt::ErrorKind,
        delivery::{AttemptVerdict, FailureReason, message::MESSAGE_TIMEOUT},
        notifier::{EmailSettings, EmailTransport, SmtpServer},
    },
    egress::{
        mail::{Login, Mail, MailFailure, SmtpReply, SmtpStage},
        mime::Letter,
    },
    platform::ses::{MailReference, SesError, SesErrorKind, SesMail},
};

use super::{Addressee, Judgement, Outgoing, Reply};
use crate::Error;

/// A mail, and its recipient's address.
struct Written {
    to: String,
    raw: Vec<u8>,
}

/// Sends the message to the recipient's address.
pub(super) async fn send(
    outgoing: &Outgoing<'_>,
    settings: &EmailSettings,
) -> Result<Reply, Error> {
    let written = write(outgoing, settings)?;
    match &settings.transport {
        EmailTransport::Ses => by_ses(outgoing, settings, written).await,
        EmailTransport::Smtp(server) => by_smtp(outgoing, settings, server, written).await,
    }
}

fn write(outgoing: &Outgoing<'_>, settings: &EmailSettings) -> Result<Written, Error> {
    // Only recipients with an address have a way by e-mail.
    let Addressee { email, name, .. } = outgoing.to.ok_or(Error::NoAddress)?;
    let mail = outgoing.content.email();
    let letter = Letter {
        from: &settings.from,
        reply_to: settings.reply_to.as_ref(),
        to: email,
        to_name: name,
        subject: &mail.subject,
        text: &mail.text,
        html: &mail.html,
        message_id: &mail.message_id,
        in_reply_to: mail.in_reply_to.as_deref(),
        date: outgoing.at,
    };
    Ok(Written { to: email.for_mail(), raw: letter.to_bytes()? })
}

async fn by_ses(
    outgoing: &Outgoing<'_>,
    settings: &EmailSettings,
    written: Written,
) -> Result<Reply, Error> {
    let Written { to, raw } = written;
    let reply =
        |judgement| Ok(Reply { url: "ses:".to_owned(), status: None, judgement, copy: None });
    if !is_allowed(outgoing, settings.from.address()).await? {
        let verdict = AttemptVerdict::Permanent(FailureReason::Refused);
        let message = "the operator does not allow this sender for the account".to_owned();
        return reply(Judgement::failed(verdict, ErrorKind::Protocol, message).of_notifier());
    }
    let from = settings.from.address().for_mail();
    let configuration_set = outgoing.app.ses_configuration_set.clone();
    let sent = match &outgoing.app.ses {
        Some(ses) => {
            let notification = NotificationId(outgoing.delivery.id);
            let reference = MailReference { notification, way: outgoing.delivery.way };
            let mail = SesMail { from, to, raw, configuration_set, reference };
            ses.send(mail).await.map(|_| ())
        }
        None => Err(SesError { kind: SesErrorKind::Misconfigured, code: "Disabled".to_owned() }),
    };
    let judgement = match sent {
        Ok(()) => Judgement::accepted(),
        Err(err) => {
            let verdict = match err.kind {
                // The operator may take days. The next way does not.
                SesErrorKind::Misconfigured if outgoing.delivery.has_next_way() => {
                    AttemptVerdict::Permanent(FailureReason::Refused)
                }
                SesErrorKind::Throttled | SesErrorKind::Misconfigured => {
                    AttemptVerdict::Throttled { retry_after: None }
                }
                SesErrorKind::Refused => AttemptVerdict::Permanent(FailureReason::Refused),
                SesErrorKind::Unknown => AttemptVerdict::Retry { retry_after: None },
            };
            Judgement::failed(verdict, ErrorKind::Protocol, err.to_string())
        }
    };
    reply(judgement)
}

/// The operator may have taken the sender from the account since the notifier was set.
async fn is_allowed(outgoing: &Outgoing<'_>, from: &EmailAddress) -> Result<bool, Error> {
    let accounts = &outgoing.app.core.accounts;
    let account = outgoing.delivery.owner.account;
    if accounts.account(account).await?.is_some_and(|it| it.may_send_from(from)) {
        return Ok(true);
    }
    // It may have been given a moment ago, and a refusal disables the notifier.
    Ok(accounts.account_now(account).await?.is_some_and(|it| it.may_send_from(from)))
}

async fn by_smtp(
    outgoing: &Outgoing<'_>,
    settings: &EmailSettings,
    server: &SmtpServer,
    written: Written,
) -> Result<Reply, Error> {
    let Written { to, raw } = written;
    let login = match &server.login {
        None => None,
        Some(it) => Some(Login {
            username: it.username.clone(),
            password: outgoing.open(&it.password).await?,
        }),
    };
    let mail = Mail {
        host: server.host.clone(),
        port: server.port,
        tls: server.tls,
        login,
        from: settings.from.address().for_mail(),
        to,
        raw,
        timeout: MESSAGE_TIMEOUT,
    };
    let sent = outgoing.app.egress.mail(mail).await;
    let reply = sent.as_ref().map_or_else(|it| it.reply.as_ref(), Some);
    let status = reply.map(|it| it.code);
    let url = format!("smtp://{}:{}", server.host, server.port);
    let judgement = sent.map_or_else(judge, |_| Judgement::accepted());
    Ok(Reply { url, status, judgement, copy: None })
}

/// Judges a refusal by a mail server (RFC 5321, section 4.2.1; RFC 4954).
fn judge(failure: MailFailure) -> Judgement {
    let MailFailure { kind, reply, message } = failure;
    let retry = AttemptVerdict::Retry { retry_after: None };
    let permanent = AttemptVerdict::Permanent(FailureReason::Refused);
    let judgement = |verdict| Judgement::failed(verdict, kind.into(), message);
    let throttled = AttemptVerdict::Throttled { retry_after: None };
    match reply {
        Some(SmtpReply { code: 421 | 450..=452, .. }) => judgement(throttled),
        // Gmail's limit of a day.
        Some(SmtpReply { enhanced: Some(it), .. }) if it == "5.4.5" => judgement(throttled),
        Some(SmtpReply { code: code @ 500.., stage, enhanced }) => match stage {
            SmtpStage::Login => judgement(permanent).of_notifier(),
            SmtpStage::Sender if refuses_sender(code, enhanced.as_deref()) => {
                judgement(permanent).of_notifier()
            }
            SmtpStage::Sender | SmtpStage::Recipient | SmtpStage::Data => judgement(permanent),
            SmtpStage::Greeting | SmtpStage::Hello | SmtpStage::Tls => judgement(retry),
        },
        None | Some(_) => judgement(retry),
    }
}

/// A refusal of `MAIL FROM` is about the sender, and not about this mail: its size, or the state of the
/// mailbox, the system or the network (RFC 3463, section 3).
fn refuses_sender(code: u16, enhanced: Option<&str>) -> bool {
    let subject = enhanced.and_then(|it| it.split('.').nth(1));
    matches!(code, 530 | 535 | 550 | 553) && !matches!(subject, Some("2" | "3" | "4"))
}
