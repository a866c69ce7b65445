//! The words of messages, which bring the link to a recipient.

/// A message that brings the link to a recipient.
#[derive(Debug)]
pub(crate) struct MessageWords {
    /// The subjects of later messages, and of test mode, with the title.
    pub(crate) reminder_subject: &'static str,
    pub(crate) escalated_subject: &'static str,
    pub(crate) code_subject: &'static str,
    pub(crate) test_subject: &'static str,
    /// The reasons of later messages.
    pub(crate) reminder: &'static str,
    pub(crate) escalated: &'static str,
    pub(crate) new_code: &'static str,
    /// The recipient, in a place that others read too.
    pub(crate) recipient: &'static str,
    /// The text of the link.
    pub(crate) open: &'static str,
    /// The text of the link, if the message does not show the whole action.
    pub(crate) review: &'static str,
    pub(crate) too_long: &'static str,
    /// The explanation of links with an option, and the text of the link without one.
    pub(crate) options: &'static str,
    pub(crate) no_option: &'static str,
    pub(crate) code: &'static str,
    pub(crate) code_detail: &'static str,
    pub(crate) do_not_forward: &'static str,
    /// An answer in a message that was answered: the option, the person, and the time.
    pub(crate) chosen_by: &'static str,
    /// The message of a request that was erased.
    pub(crate) deleted: &'static str,
    /// The replies to presses of buttons that do not count.
    pub(crate) not_yours: &'static str,
    pub(crate) press_again: &'static str,
}
