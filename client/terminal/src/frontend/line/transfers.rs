//! The running transfers of files, as a row above the prompt.

use letschat_commands::text::files::progress;
use letschat_core::view::{FileView, View};

/// Returns the row of the running transfers: `45 % of 2.1 MB: photo.jpg from bob`. Of several it shows their number and
/// the one with the latest news. It is empty if none runs.
pub(in crate::frontend) fn row(view: &View) -> String {
    let mut running: Vec<&FileView> =
        view.files.values().filter(|file| file.bytes.is_some()).collect();
    running.sort_by_key(|file| file.order);
    let shown = |file: &FileView| progress(&file.file, file.bytes.unwrap_or_default());
    match &running[..] {
        [] => String::new(),
        [only] => shown(only),
        [.., latest] => format!("{} files, {}", running.len(), shown(latest)),
    }
}

/// Returns a row for each of the running transfers, which keeps its place. Beyond `most` they are counted.
pub(in crate::frontend) fn rows(view: &View, most: usize) -> Vec<String> {
    let running = view.files.values().filter(|file| file.bytes.is_some());
    let shown = running.clone().take(most);
    let mut rows: Vec<String> =
        shown.map(|file| progress(&file.file, file.bytes.unwrap_or_default())).collect();
    let count = running.count();
    if count > most {
        rows.push(format!("and {} more files", count - most));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use letschat_core::conversation::ConversationId;
    use letschat_core::conversation::LinkPath;
    use letschat_core::event::{Event, FileShown};
    use letschat_protocol::files::name::FileName;
    use letschat_protocol::message_id::MessageId;

    fn file(number: u64) -> Box<FileShown> {
        Box::new(FileShown {
            id: MessageId::of_broadcast(1, number),
            conversation: ConversationId::Person("bob".parse().unwrap()),
            from: "bob".parse().unwrap(),
            own: false,
            to: None,
            name: FileName::reduced(&format!("{number}.jpg")),
            size: 2_000,
        })
    }

    /// Returns the view after this progress of files.
    fn after(progress: &[(u64, u64)]) -> View {
        let mut view = View::default();
        for (number, bytes) in progress {
            view.apply(&Event::FileProgress {
                file: file(*number),
                bytes: *bytes,
                link: LinkPath::Direct,
            });
        }
        view
    }

    #[test]
    fn latest_of_the_running_transfers_is_shown() {
        assert_eq!(row(&after(&[(1, 900)])), "45 % of 2.0 kB: 1.jpg from bob");
        let view = after(&[(1, 0), (2, 0), (1, 1_000)]);
        assert_eq!(row(&view), "2 files, 50 % of 2.0 kB: 1.jpg from bob");
        assert_eq!(row(&View::default()), "");
    }

    #[test]
    fn each_transfer_has_a_row_up_to_a_number() {
        let view = after(&[(1, 500), (2, 0), (3, 1_000), (1, 1_000)]);
        let first = rows(&view, 2);
        assert_eq!((first.len(), first[2].as_str()), (3, "and 1 more files"));
        assert_eq!(rows(&view, 3).len(), 3);
        assert!(rows(&view, 3).contains(&"50 % of 2.0 kB: 1.jpg from bob".to_owned()));
    }

    #[test]
    fn ended_transfer_has_no_row() {
        let mut view = after(&[(1, 0), (2, 1_000)]);
        view.apply(&Event::FileDone { file: file(1), path: Some("/1.jpg".into()) });
        assert_eq!(row(&view), "50 % of 2.0 kB: 2.jpg from bob");
        // One that was cancelled or broke has no event of its own.
        view.apply(&Event::State(Box::default()));
        assert_eq!(row(&view), "");
    }
}
