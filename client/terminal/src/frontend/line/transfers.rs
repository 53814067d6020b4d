//! The running transfers of files, as a row above the prompt.
//!
//! No event tells that a transfer has stopped and waits, and the view keeps its bytes. So a transfer without recent
//! progress does not count as running.

use std::collections::BTreeMap;

use letschat_commands::text::files::progress;
use letschat_core::view::FileView;
use letschat_protocol::message_id::MessageId;

/// The longest time between two events of progress of a running transfer.
const MAX_SILENCE_MS: u64 = 15_000;

/// The files with recent progress and the time of the last one, the latest last.
#[derive(Debug, Default)]
pub(super) struct Transfers(Vec<(MessageId, u64)>);

impl Transfers {
    /// Notes progress of a file, and forgets those that have stopped.
    pub(super) fn note(&mut self, id: MessageId, now_ms: u64) {
        self.0.retain(|(other, at_ms)| *other != id && is_recent(*at_ms, now_ms));
        self.0.push((id, now_ms));
    }

    /// Returns the row of the running transfers: `photo.jpg from bob: 45 % of 2.1 MB`. Of several it shows their number
    /// and the latest one. It is empty if none runs.
    pub(super) fn row(&self, files: &BTreeMap<MessageId, FileView>, now_ms: u64) -> String {
        let recent = self.0.iter().filter(|(_, at_ms)| is_recent(*at_ms, now_ms));
        let running = recent.filter_map(|(id, _)| {
            let view = files.get(id)?;
            Some(progress(&view.file, view.bytes?))
        });
        let running: Vec<String> = running.collect();
        match &running[..] {
            [] => String::new(),
            [only] => only.clone(),
            [.., latest] => format!("{} files: {latest}", running.len()),
        }
    }
}

fn is_recent(at_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(at_ms) <= MAX_SILENCE_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_core::conversation::ConversationId;
    use letschat_core::event::{Event, FileShown};
    use letschat_core::view::View;
    use letschat_protocol::files::name::FileName;

    fn id(number: u64) -> MessageId {
        MessageId::of_broadcast(1, number)
    }

    fn file(number: u64) -> Box<FileShown> {
        Box::new(FileShown {
            id: id(number),
            conversation: ConversationId::Person("bob".parse().unwrap()),
            from: "bob".parse().unwrap(),
            own: false,
            to: None,
            name: FileName::reduced(&format!("{number}.jpg")),
            size: 2_000,
        })
    }

    /// Returns the view and the transfers after this progress of files, at these times.
    fn after(progress: &[(u64, u64, u64)]) -> (View, Transfers) {
        let (mut view, mut transfers) = (View::default(), Transfers::default());
        for (number, bytes, at_ms) in progress {
            view.apply(&Event::FileProgress { file: file(*number), bytes: *bytes });
            transfers.note(id(*number), *at_ms);
        }
        (view, transfers)
    }

    #[test]
    fn latest_of_the_running_transfers_is_shown() {
        let (view, transfers) = after(&[(1, 900, 0)]);
        assert_eq!(transfers.row(&view.files, 0), "1.jpg from bob: 45 % of 2.0 kB");
        let (view, transfers) = after(&[(1, 0, 0), (2, 0, 1), (1, 1_000, 2)]);
        assert_eq!(transfers.row(&view.files, 2), "2 files: 1.jpg from bob: 50 % of 2.0 kB");
        assert_eq!(Transfers::default().row(&view.files, 0), "");
    }

    #[test]
    fn ended_transfer_has_no_row() {
        let (mut view, transfers) = after(&[(1, 0, 0), (2, 1_000, 0)]);
        view.apply(&Event::FileDone { file: file(1), path: Some("/1.jpg".into()) });
        assert_eq!(transfers.row(&view.files, 0), "2.jpg from bob: 50 % of 2.0 kB");
        view.apply(&Event::FileDone { file: file(2), path: Some("/2.jpg".into()) });
        assert_eq!(transfers.row(&view.files, 0), "");
    }

    #[test]
    fn transfer_without_recent_progress_has_no_row() {
        let (view, mut transfers) = after(&[(1, 0, 0), (2, 0, 1)]);
        assert_eq!(transfers.row(&view.files, MAX_SILENCE_MS + 1), "2.jpg from bob: 0 % of 2.0 kB");
        assert_eq!(transfers.row(&view.files, MAX_SILENCE_MS + 2), "");
        transfers.note(id(3), MAX_SILENCE_MS + 2);
        assert_eq!(transfers.0, [(id(3), MAX_SILENCE_MS + 2)]);
    }
}
