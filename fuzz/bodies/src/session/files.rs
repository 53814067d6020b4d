//! The threads that read, fetch and send files, as the session sees them.

use letschat_core::failure::Failure;
use letschat_core::files::{FetchFailure, FetchNews, PartId, ReadFile, ServeNews, TransferId};
use letschat_core::history::HistoryAction;
use letschat_core::session::{Effect, Input, LinkId, Request, RequestId};
use letschat_protocol::files::{FileHash, FileInfo};
use letschat_protocol::message_id::MessageId;
use letschat_protocol::peer::Refusal;

use super::World;

/// The threads that run.
#[derive(Debug, Default)]
pub(super) struct FileThreads {
    reading: Vec<RequestId>,
    fetching: Vec<TransferId>,
    serving: Vec<LinkId>,
}

pub(super) fn file_info() -> FileInfo {
    FileInfo::new(3_000_000, FileHash([7; 32])).expect("a small file")
}

impl FileThreads {
    pub(super) fn note(&mut self, effect: Effect) {
        match effect {
            Effect::ReadFile { request, .. } => self.reading.push(request),
            Effect::FetchFile(file) => self.fetching.push(file.transfer),
            Effect::StopFetch(transfer) => {
                let place = self.fetching.iter().position(|running| *running == transfer);
                self.fetching.remove(place.expect("only a running transfer is stopped"));
            }
            Effect::ServeFile { link, .. } => self.serving.push(link),
            effect => unreachable!("{effect:?} is for no thread"),
        }
    }

    /// Returns the running transfers.
    pub(super) fn fetching(&self) -> &[TransferId] {
        &self.fetching
    }

    /// Notes that a link was closed.
    pub(super) fn closed(&mut self, link: LinkId) {
        self.serving.retain(|serving| *serving != link);
    }
}

impl World<'_> {
    /// Returns a command about a file.
    pub(super) fn file_request(&mut self) -> Request {
        let digits = self.some_file().to_string();
        let id = digits[..4 + self.choices.below(29)].to_owned();
        match self.choices.below(7) {
            0 => Request::SendFile { to: self.name().to_string(), path: "/a/photo.jpg".into() },
            1 => Request::SendFile { to: "#team".into(), path: "/a/photo.jpg".into() },
            2 => Request::Files,
            3 => Request::CancelFile(id),
            4 => Request::GetFile { id, path: Some("/b".into()) },
            5 => Request::History(HistoryAction::Status),
            _ => Request::GetFile { id, path: None },
        }
    }

    /// Returns the id of an offered file.
    pub(super) fn some_file(&mut self) -> MessageId {
        let ids: Vec<MessageId> = self.disk.mail.files.iter().map(|file| file.id).collect();
        self.choices.one(&ids).unwrap_or(MessageId::of_broadcast(1, 1))
    }

    /// Lets a thread tell something.
    pub(super) fn file_news(&mut self) {
        match self.choices.below(3) {
            0 => {
                let Some(request) = self.files.reading.pop() else { return };
                let read = ReadFile { path: "/a/photo.jpg".into(), info: file_info() };
                let result = if self.choices.flip() { Ok(read) } else { Err(Failure::Quitting) };
                self.handle(Input::FileRead { request, result });
            }
            1 => self.fetch_news(),
            _ => {
                let Some(link) = self.choices.one(&self.files.serving) else { return };
                let news = [
                    ServeNews::Progress(1_048_576),
                    ServeNews::Done,
                    ServeNews::Ended,
                    ServeNews::Changed,
                ];
                let news = news[self.choices.below(4)].clone();
                self.handle(Input::Serve { link, news });
            }
        }
    }

    fn fetch_news(&mut self) {
        let Some(transfer) = self.choices.one(&self.files.fetching) else { return };
        let news = match self.choices.below(7) {
            0 => FetchNews::Begun("/b/photo.jpg.part".into(), 0),
            1 if self.choices.flip() => {
                FetchNews::Left(PartId { device: 1, inode: 2, changed: (3, 4) }, 2_097_152)
            }
            1 => FetchNews::Progress(1_048_576),
            2 => FetchNews::Saved("/b/photo.jpg".into()),
            3 => FetchNews::Failed(FetchFailure::Link),
            4 => FetchNews::Failed(FetchFailure::Changed),
            5 => FetchNews::Failed(FetchFailure::DiskFull { needed: 2, free: 1 }),
            _ => {
                let why = Refusal::ALL[self.choices.below(Refusal::ALL.len())];
                FetchNews::Failed(FetchFailure::Refused(why))
            }
        };
        if matches!(news, FetchNews::Saved(_) | FetchNews::Failed(_)) {
            self.files.fetching.retain(|running| *running != transfer);
        }
        self.handle(Input::Fetch { transfer, news });
    }
}
