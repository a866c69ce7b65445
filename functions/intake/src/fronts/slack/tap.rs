//! A press of a button.

use answerback::{
    api::Problem,
    domain::{
        Answer, NotificationId, delivery::Purpose, question::SUBMIT, request::Proof,
        slack::SlackUser,
    },
    egress::SlackError,
    notify::{
        Content,
        slack::{self, Button, Reader},
    },
    signing::{LinkPlace, LinkToken},
    store::AdvanceError,
};
use axum::response::Response;
use serde_json::json;

use super::{Sent, Verified, accepted, payload::Tap};
use crate::answers::record;

/// Reasons for which Slack opens no modal, that another press has not.
const IS_LATE: [&str; 3] = ["expired_trigger_id", "exchanged_trigger_id", "ratelimited"];

impl Verified<'_> {
    /// Records the answer, opens a modal, or says why not.
    pub(super) async fn tap(&self, tap: &Tap) -> Result<Response, Problem> {
        let Some(message @ Sent { row, copy: Some(copy), .. }) = &self.message else {
            let row = self.message.as_ref().map_or(0, |it| it.row);
            // It is not known whose copy it is.
            let text = if self.is_over() {
                slack::outcome(&self.request, row)
            } else {
                slack::press_again(&self.request).to_owned()
            };
            return self.reply(tap, &text).await;
        };
        let row = *row;
        let Some(user) = self.recipient(copy) else {
            return self.reply(tap, &slack::not_yours(&self.request, row)).await;
        };
        if self.is_over() || self.is_repeated(tap, row) {
            return self.show_state(tap, row).await;
        }
        // The message was sent twice, because the answer to the first attempt was lost.
        if tap.channel != Some(copy.channel) || tap.ts.as_ref() != Some(&copy.ts) {
            return self.reply(tap, &self.link(message)).await;
        }
        match self.button {
            Button::Open => self.reply(tap, &self.link(message)).await,
            Button::Option(_) if slack::opens_modal(&self.request.question) => {
                self.open_modal(tap, message).await
            }
            Button::Option(_) => self.choose(tap, row, user).await,
        }
    }

    async fn choose(&self, tap: &Tap, row: usize, user: SlackUser) -> Result<Response, Problem> {
        let option = slack::option_of(&self.request, self.button).unwrap_or(SUBMIT);
        let answer = Answer { option: Some(option.to_owned()), ..<_>::default() };
        let Ok(answer) = self.request.question.fit(answer) else {
            return self.show_state(tap, row).await;
        };
        if self.request.has_answer(row, &answer) {
            return Ok(accepted());
        }
        match record(self.app, self.request.clone(), row, &answer, Proof::Slack(user)).await {
            // An erased request has no message any more.
            Ok(_) | Err(AdvanceError::Gone) => Ok(accepted()),
            Err(AdvanceError::Refused(refused)) => {
                let text = refused.shown(row, self.app.core.now());
                self.reply(tap, &text).await
            }
            Err(AdvanceError::Contended) => {
                self.reply(tap, slack::press_again(&self.request)).await
            }
            Err(AdvanceError::Store(err)) => Err(err.into()),
        }
    }

    /// The press came before the answer that is recorded: Slack repeated it, or somebody else did.
    fn is_repeated(&self, tap: &Tap, row: usize) -> bool {
        let recorded = self.request.rows().get(row).and_then(Option::as_ref);
        recorded.is_some_and(|it| tap.at.is_none_or(|at| at <= it.at))
    }

    async fn open_modal(&self, tap: &Tap, message: &Sent) -> Result<Response, Problem> {
        let mut view = slack::modal(&self.request, self.button, message.id);
        let n_answers = self.request.n_answers(message.row);
        let value = self.button.value(&self.request, message.id);
        view["private_metadata"] = format!("{value}/{n_answers}").into();
        let body = json!({ "trigger_id": tap.trigger_id, "view": view });
        match self.call("views.open", &body).await? {
            Ok(_) => Ok(accepted()),
            Err(SlackError::Refused(reason)) if !IS_LATE.contains(&&*reason) => {
                let (id, account) = (self.request.id, self.request.owner.account);
                tracing::warn!(request.id = %id, account.id = %account, "Slack refused a modal");
                self.reply(tap, &self.link(message)).await
            }
            Err(_) => self.reply(tap, slack::press_again(&self.request)).await,
        }
    }

    async fn show_state(&self, tap: &Tap, row: usize) -> Result<Response, Problem> {
        self.reply(tap, &slack::state(&self.request, row, Reader::Own, self.app.core.now())).await
    }

    /// The link of the recipient, who alone sees the reply.
    fn link(&self, message: &Sent) -> String {
        let request = &self.request;
        let row = u8::try_from(message.row).expect("at most 100 recipients");
        let token = LinkToken::new(request.id, row, &request.link_secret);
        let base_url = self.app.public_base_url.as_ref().unwrap_or(&request.base_url);
        let link = format!("{base_url}/a/{}", token.to_text());
        let code = request
            .needs_code()
            .then(|| LinkPlace::of(request, message.row).code(request.code_issue(message.row)));
        slack::private_link(&Content {
            request,
            row: message.row,
            purpose: Purpose::Ask,
            notification: NotificationId(message.id),
            in_reply_to: None,
            link: &link,
            code: code.as_deref(),
            now: self.app.core.now(),
        })
    }
}
