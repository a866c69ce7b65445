//! The client of tests: it goes nowhere, and remembers.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
};

use super::{Failure, Post, Reply};
use crate::domain::callback_url::CallbackUrl;

/// What a scripted client will answer and has been asked.
#[derive(Debug)]
pub struct Script(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    answers: VecDeque<Result<Reply, Failure>>,
    refusals: VecDeque<Failure>,
    posts: Vec<Post>,
    checked: Vec<CallbackUrl>,
}

impl Script {
    pub(super) fn new(answers: impl IntoIterator<Item = Result<Reply, Failure>>) -> Self {
        let answers = answers.into_iter().collect();
        Self(Mutex::new(State { answers, ..State::default() }))
    }

    /// Answers a post to come, after those that already have an answer.
    pub fn answer(&self, answer: Result<Reply, Failure>) {
        self.state().answers.push_back(answer);
    }

    /// Refuses a check or probe to come.
    pub fn refuse(&self, refusal: Failure) {
        self.state().refusals.push_back(refusal);
    }

    /// The posts so far, oldest first.
    pub fn posts(&self) -> Vec<Post> {
        self.state().posts.clone()
    }

    /// The URLs that were checked or probed so far, oldest first.
    pub fn checked(&self) -> Vec<CallbackUrl> {
        self.state().checked.clone()
    }

    pub(super) fn post(&self, post: Post) -> Result<Reply, Failure> {
        let mut state = self.state();
        state.posts.push(post);
        let empty = Reply { status: 200, headers: Vec::new(), body: Vec::new() };
        state.answers.pop_front().unwrap_or(Ok(empty))
    }

    pub(super) fn check(&self, url: &CallbackUrl) -> Result<(), Failure> {
        let mut state = self.state();
        state.checked.push(url.clone());
        state.refusals.pop_front().map_or(Ok(()), Err)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic while it was held")
    }
}
