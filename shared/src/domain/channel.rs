//! Channels of the Ping front: inbound tokens.
//!
//! A client with a channel's token may send messages and read their answers without an API key.
//! Callbacks of these messages are signed with the channel's own secrets.

use super::{
    BodyHash, ChannelId, IdempotentCall, OpId, Owner, PastCalls,
    secret::{Rotation, Secret, Secrets},
};
use jiff::Timestamp;

/// Most channels of an account, in each mode.
pub const CHANNELS_MAX: usize = 100;

/// An inbound token of the Ping front. Only a hash of it is stored.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its identifier, which is part of its token.
    pub id: ChannelId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// Its owner's name for it.
    pub name: String,
    /// SHA-256 of the token.
    pub token_hash: [u8; 32],
    /// The secrets that callbacks of its messages are signed with.
    pub(crate) secrets: Secrets,
    /// The calls with an idempotency key that changed it.
    pub(crate) calls: PastCalls,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The operation that created it.
    pub created_by: OpId,
    /// The hash of the body, if the call had an idempotency key.
    pub body_hash: Option<BodyHash>,
    /// The time of its deletion. From then on its token is refused. Messages from before can still
    /// be answered, and their callbacks are still signed with its secrets.
    pub(crate) deleted_at: Option<Timestamp>,
    /// Counts the writes. The store refuses a write based on an older revision.
    pub(crate) revision: u64,
}

/// Everything that a new channel is made from.
#[derive(Clone, Debug)]
pub struct NewChannel {
    /// Its identifier, which is part of its token.
    pub id: ChannelId,
    /// The account and mode that it belongs to.
    pub owner: Owner,
    /// Its owner's name for it.
    pub name: String,
    /// SHA-256 of the token.
    pub token_hash: [u8; 32],
    /// The secret that callbacks of its messages are signed with.
    pub secret: Secret,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The operation that creates it.
    pub created_by: OpId,
    /// The hash of the body, if the call has an idempotency key.
    pub body_hash: Option<BodyHash>,
}

impl Channel {
    /// A channel that accepts messages.
    pub fn new(new: NewChannel) -> Self {
        Self {
            id: new.id,
            owner: new.owner,
            name: new.name,
            token_hash: new.token_hash,
            secrets: Secrets(vec![new.secret]),
            calls: PastCalls::default(),
            created_at: new.created_at,
            created_by: new.created_by,
            body_hash: new.body_hash,
            deleted_at: None,
            revision: 0,
        }
    }

    /// The secrets that callbacks of its messages are signed with.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// A deleted channel accepts no messages. Those that it has can still be answered.
    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// The channel with another token, or `None` if it has this one already or `call` changed it
    /// before.
    pub fn regenerate(
        &self,
        token_hash: [u8; 32],
        call: Option<IdempotentCall>,
        now: Timestamp,
    ) -> Option<Self> {
        let is_repeated = call.is_some_and(|it| self.calls.find(it).is_some());
        let is_new = !is_repeated && self.token_hash != token_hash;
        let calls = self.calls.with(call, now);
        is_new.then(|| Self { token_hash, calls, ..self.next() })
    }

    /// The channel after a rotation of its secret, or `None` if the call rotated it before.
    pub fn rotate(&self, rotation: &Rotation) -> Option<Self> {
        let secrets = rotation.of(&self.secrets, &self.calls)?;
        Some(Self { secrets, calls: rotation.remember(&self.calls), ..self.next() })
    }

    /// The channel whose previous secrets no longer sign, or `None` if there are none.
    pub fn expire_previous(&self) -> Option<Self> {
        let secrets = self.secrets.expire_previous()?;
        Some(Self { secrets, ..self.next() })
    }

    /// The calls with an idempotency key that changed it.
    pub fn calls(&self) -> &PastCalls {
        &self.calls
    }

    /// The deleted channel, or `None` if it was deleted before.
    pub fn delete(&self, now: Timestamp) -> Option<Self> {
        self.deleted_at.is_none().then(|| Self { deleted_at: Some(now), ..self.next() })
    }

    fn next(&self) -> Self {
        Self { revision: self.revision + 1, ..self.clone() }
    }
}
