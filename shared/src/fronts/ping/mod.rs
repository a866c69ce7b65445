//! Ping: channels and their tokens, problems and messages.
//!
//! A channel is an inbound token: it lets its holder send messages, and nothing else.

mod problem;
mod view;

pub use problem::PingProblem;
pub use view::{ChannelView, PingView};

use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    api::Problem,
    domain::{Channel, ChannelId, Owner},
    platform::Entropy,
    signing,
    store::{Store, keys},
};

/// Start of every token.
const PREFIX: &str = "ab_ch_";

/// A new token of the channel `id`. The token contains the id, so that the channel can be loaded by
/// its key.
pub fn new_token(id: ChannelId, entropy: &Entropy) -> SecretString {
    let id = id.to_string();
    let id = id.trim_start_matches("ch_");
    format!("{PREFIX}{id}_{}", signing::to_base32(&entropy.next_secret())).into()
}

/// The stored hash of `token`.
pub fn token_hash(token: &SecretString) -> [u8; 32] {
    signing::sha256(token.expose_secret().as_bytes())
}

/// The channel `id` of `owner`, unless it was deleted.
pub async fn find(store: &Store, owner: Owner, id: &str) -> Result<Channel, Problem> {
    let id: ChannelId = id.parse().map_err(|_| Problem::not_found())?;
    let channel: Option<Channel> = store.get(keys::channel(id)).await?;
    let is_own = |it: &Channel| it.owner == owner && it.deleted_at.is_none();
    channel.filter(is_own).ok_or_else(Problem::not_found)
}

/// The channel of `token`. Never cached: a regenerated token is invalid at once.
pub async fn of_token(store: &Store, token: &str) -> Result<Channel, Problem> {
    let id = channel_id(token).ok_or_else(Problem::not_found)?;
    let channel: Option<Channel> = store.get(keys::channel(id)).await?;
    let hash = signing::sha256(token.as_bytes());
    let opens = |it: &Channel| signing::same_hash(&it.token_hash, &hash) && it.deleted_at.is_none();
    channel.filter(opens).ok_or_else(Problem::not_found)
}

fn channel_id(token: &str) -> Option<ChannelId> {
    let (id, _) = token.strip_prefix(PREFIX)?.split_once('_')?;
    format!("ch_{id}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_names_its_channel_and_is_never_printed() {
        let entropy = Entropy::counting();
        let id = ChannelId::from_bits(entropy.next() | 1 << 100);
        let token = new_token(id, &entropy);
        assert_eq!(channel_id(token.expose_secret()), Some(id));
        assert!(!format!("{token:?}").contains(token.expose_secret()));
        for other in ["", "ab_ch_", "ab_ch__", &id.to_string(), &format!("ab_live_{id}_x")] {
            assert_eq!(channel_id(other), None, "{other}");
        }
    }
}
