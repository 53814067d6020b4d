//! Messages as front ends show them.

use letschat_protocol::devices::DeviceName;
use letschat_protocol::files::FileInfo;
use letschat_protocol::files::name::FileName;
use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use crate::conversation::{ConversationId, Via};
use crate::event::{Event, FileShown};

/// The parts of a message that front ends show.
pub(super) struct Shown {
    pub(super) from: Username,
    pub(super) conversation: ConversationId,
    /// The text, or the name of the offered file.
    pub(super) text: String,
    pub(super) file: Option<FileInfo>,
    pub(super) sent_ms: u64,
    pub(super) time_ms: u64,
    pub(super) via: Via,
    pub(super) own: bool,
    /// The other device of this account that sent it.
    pub(super) device: Option<DeviceName>,
}

impl Shown {
    /// Returns the event of the message with this id.
    pub(super) fn into_event(self, id: MessageId) -> Event {
        let Shown { from, conversation, text, file, sent_ms, time_ms, via, own, device } = self;
        if let Some(file) = file {
            let (to, name, size) = (None, FileName::reduced(&text), file.size());
            let file = FileShown { id, conversation, from, own, to, name, size };
            return Event::FileOffered { file: Box::new(file), time_ms, sent_ms, device, via };
        }
        let number = None;
        Event::Message { from, number, text, time_ms, sent_ms, conversation, id, own, device, via }
    }
}
