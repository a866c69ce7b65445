//! DNS look-ups.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use super::{Failure, FailureKind};

/// Scripted answers for each host name, one for each look-up.
type Answers = HashMap<String, VecDeque<Vec<IpAddr>>>;

/// Resolves host names.
#[derive(Clone, Debug)]
pub enum Resolver {
    /// The operating system's resolver.
    System,
    /// Scripted answers. A name without answers does not exist.
    Scripted(Arc<Mutex<Answers>>),
}

/// The text is not a script of DNS answers.
#[derive(Debug, thiserror::Error)]
#[error(
    "must be a JSON object: each host name has a list of answers, and each answer is a list of \
     addresses"
)]
pub struct ParseAnswersError {
    #[source]
    source: serde_json::Error,
}

impl Resolver {
    /// A scripted resolver from `{"host": [["192.0.2.1"], ["10.0.0.1", "10.0.0.2"]]}`. Each look-up
    /// takes the next answer, and the last answer repeats.
    pub fn from_json(text: &str) -> Result<Self, ParseAnswersError> {
        let answers: Answers =
            serde_json::from_str(text).map_err(|source| ParseAnswersError { source })?;
        let answers = answers.into_iter().map(|(name, of)| (name.to_ascii_lowercase(), of));
        Ok(Self::Scripted(Arc::new(Mutex::new(answers.collect()))))
    }

    /// All addresses of `name`, at least one, with `port`.
    pub(super) async fn look_up(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let addresses: Vec<SocketAddr> = match self {
            Self::System => tokio::net::lookup_host((name, port))
                .await
                .map_err(|error| {
                    Failure::new(FailureKind::Dns, format!("DNS look-up failed: {error}"))
                })?
                .collect(),
            Self::Scripted(answers) => {
                let mut answers = answers.lock().expect("no holder panics");
                let answer = answers.get_mut(name).and_then(next_answer).unwrap_or_default();
                answer.into_iter().map(|address| SocketAddr::new(address, port)).collect()
            }
        };
        if addresses.is_empty() {
            return Err(Failure::new(FailureKind::Dns, "the host name has no address"));
        }
        Ok(addresses)
    }
}

fn next_answer(answers: &mut VecDeque<Vec<IpAddr>>) -> Option<Vec<IpAddr>> {
    if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A damaged script is refused without a panic.
        #[test]
        fn scripted_resolver_follows_its_script(
            answers in prop::collection::vec(prop::collection::vec(any::<IpAddr>(), 0..3), 0..4),
            damage in prop::option::of((any::<prop::sample::Index>(), any::<char>())),
        ) {
            let mut text = serde_json::json!({ "Example.com": answers }).to_string();
            if let Some((at, with)) = damage {
                let at = at.index(text.len());
                text.replace_range(at..=at, with.encode_utf8(&mut [0; 4]));
                let _ = Resolver::from_json(&text);
                return Ok(());
            }
            let resolver = Resolver::from_json(&text).expect("well-formed");
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            for number in 0..answers.len() + 2 {
                let expected = answers.get(number).or(answers.last()).cloned().unwrap_or_default();
                let found = runtime.block_on(resolver.look_up("example.com", 443));
                let found: Vec<_> = found.unwrap_or_default().iter().map(SocketAddr::ip).collect();
                prop_assert_eq!(expected, found, "look-up {}", number);
            }
        }
    }

    #[tokio::test]
    async fn look_up_takes_the_next_answer_and_repeats_the_last() {
        let resolver =
            Resolver::from_json(r#"{"Example.com": [["192.0.2.1"], ["10.0.0.1", "::1"]]}"#)
                .expect("well-formed");
        let first = resolver.look_up("example.com", 443).await;
        assert_eq!(first, Ok(vec![SocketAddr::from(([192, 0, 2, 1], 443))]));
        let second = resolver.look_up("example.com", 443).await;
        assert_eq!(second.as_ref().map(Vec::len), Ok(2));
        assert_eq!(resolver.look_up("example.com", 443).await, second);
    }

    #[tokio::test]
    async fn name_without_answers_has_no_address() {
        let resolver = Resolver::from_json(r#"{"example.com": [[]]}"#).expect("well-formed");
        for name in ["example.com", "example.org"] {
            let failure = resolver.look_up(name, 443).await.expect_err("no address");
            assert_eq!(failure.kind, FailureKind::Dns);
        }
    }

    #[test]
    fn malformed_script_is_refused() {
        assert!(Resolver::from_json(r#"{"example.com": ["10.0.0.1"]}"#).is_err());
    }
}
