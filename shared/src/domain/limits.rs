//! Limits on input that no type of the domain enforces. Those of a type stand next to it.

/// Longest name of an API key or channel, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// Longest name of a recipient, in characters.
pub const RECIPIENT_NAME_CHARS_MAX: usize = 200;
/// Longest e-mail address, in characters (RFC 5321, section 4.5.3.1.3).
pub const EMAIL_CHARS_MAX: usize = 254;
/// Longest sender of mail, in characters: an address, and a name in quotes.
pub const MAILBOX_CHARS_MAX: usize = 400;
/// Longest host of a mail server, in characters (RFC 1035, section 2.3.4).
pub const SMTP_HOST_CHARS_MAX: usize = 253;
/// Longest ntfy topic, in characters, as its servers limit it.
pub const NTFY_TOPIC_CHARS_MAX: usize = 64;
/// Longest part before the at sign, in bytes (RFC 5321, section 4.5.3.1.1).
pub const EMAIL_LOCAL_PART_BYTES_MAX: usize = 64;
/// Highest `max_length` of a text field, in characters.
pub const FIELD_TEXT_CHARS_MAX: u32 = 10_000;
/// Longest user name or password of a receiver, in characters.
pub const CREDENTIAL_CHARS_MAX: usize = 255;
/// Longest bearer token of a receiver, in characters.
pub const BEARER_TOKEN_CHARS_MAX: usize = 1_024;
/// Most added headers of a receiver.
pub const HEADERS_MAX: usize = 20;
/// Longest name of an added header, in characters.
pub const HEADER_NAME_CHARS_MAX: usize = 64;
/// Longest value of an added header, in characters.
pub const HEADER_VALUE_CHARS_MAX: usize = 512;
/// Longest URL of a webhook, in characters. The rules for URLs say more.
pub const WEBHOOK_URL_CHARS_MAX: usize = 4_096;
/// Longest description of a webhook, in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 500;
/// Most event filters of a webhook.
pub const EVENT_TYPES_MAX: usize = 50;
/// Longest time for which a call is held, in seconds. API Gateway gives up after 30.
pub const WAIT_SECONDS_MAX: u32 = 25;
/// Most calls of a key that begin to be held in a window of [`WAIT_SECONDS_MAX`]. As none is held for
/// longer, at most twice as many are held at once.
pub const HELD_CALLS_MAX: u32 = 25;
/// Most probes of receivers in a minute, for an account.
pub const PROBES_PER_MINUTE_MAX: u32 = 60;
/// Longest text in the data of an event with a schema, in characters.
pub const DATA_TEXT_CHARS_MAX: usize = 10_000;
/// Most steps of a request.
pub const STEPS_MAX: usize = 10;
/// The same, as a number of events.
pub(crate) const STEP_EVENTS_MAX: u32 = 10;
