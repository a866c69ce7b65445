//! The scripted client of tests: it records posts and mails, and returns prepared replies.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
};

use super::{Failure, FailureKind, Mail, MailFailure, Post, Reply, SmtpReply, SmtpStage};
use crate::domain::callback_url::CallbackUrl;

/// Prepared replies, and recorded posts and mails, of a scripted client.
#[derive(Debug)]
pub struct Script(Mutex<Recording>);

#[derive(Debug, Default)]
struct Recording {
    answers: VecDeque<Result<Reply, Failure>>,
    refusals: VecDeque<Failure>,
    probes: VecDeque<Result<u16, Failure>>,
    posts: Vec<Post>,
    checked: Vec<CallbackUrl>,
    probed: Vec<CallbackUrl>,
    mail_answers: VecDeque<Result<SmtpReply, MailFailure>>,
    mails: Vec<Mail>,
}

impl Script {
    pub(super) fn new(answers: impl IntoIterator<Item = Result<Reply, Failure>>) -> Self {
        let answers = answers.into_iter().collect();
        Self(Mutex::new(Recording { answers, ..Recording::default() }))
    }

    /// Adds a reply for a later post.
    pub fn answer(&self, answer: Result<Reply, Failure>) {
        self.recording().answers.push_back(answer);
    }

    /// Adds a failure for a later check, if its kind is one of a look-up, or else for a later probe.
    pub fn refuse(&self, refusal: Failure) {
        let mut recording = self.recording();
        match refusal.kind {
            FailureKind::Dns | FailureKind::BlockedAddress => recording.refusals.push_back(refusal),
            _ => recording.probes.push_back(Err(refusal)),
        }
    }

    /// Adds a status for a later probe.
    pub fn answer_probe(&self, status: u16) {
        self.recording().probes.push_back(Ok(status));
    }

    /// Adds a reply for a later mail. Without one, servers take mails over.
    pub fn answer_mail(&self, answer: Result<SmtpReply, MailFailure>) {
        self.recording().mail_answers.push_back(answer);
    }

    /// All mails so far, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.recording().mails.clone()
    }

    /// All posts so far, oldest first.
    pub fn posts(&self) -> Vec<Post> {
        self.recording().posts.clone()
    }

    /// All URLs whose hosts were looked up at submission, oldest first.
    pub fn checked(&self) -> Vec<CallbackUrl> {
        self.recording().checked.clone()
    }

    /// All URLs that were probed, oldest first.
    pub fn probed(&self) -> Vec<CallbackUrl> {
        self.recording().probed.clone()
    }

    pub(super) fn post(&self, post: Post) -> Result<Reply, Failure> {
        let mut recording = self.recording();
        recording.posts.push(post);
        let empty = Reply { status: 200, headers: Vec::new(), body: Vec::new() };
        recording.answers.pop_front().unwrap_or(Ok(empty))
    }

    pub(super) fn mail(&self, mail: Mail) -> Result<SmtpReply, MailFailure> {
        let mut recording = self.recording();
        recording.mails.push(mail);
        let taken = SmtpReply { code: 250, enhanced: None, stage: SmtpStage::Data };
        recording.mail_answers.pop_front().unwrap_or(Ok(taken))
    }

    pub(super) fn check(&self, url: &CallbackUrl) -> Result<(), Failure> {
        let mut recording = self.recording();
        recording.checked.push(url.clone());
        recording.refusals.pop_front().map_or(Ok(()), Err)
    }

    pub(super) fn probe(&self, url: &CallbackUrl) -> Result<u16, Failure> {
        let mut recording = self.recording();
        recording.probed.push(url.clone());
        recording.probes.pop_front().unwrap_or(Ok(200))
    }

    fn recording(&self) -> MutexGuard<'_, Recording> {
        self.0.lock().expect("no holder panics")
    }
}
