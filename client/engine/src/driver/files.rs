//! The threads that read, send and fetch files.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, thread};

use letschat_core::failure::Failure;
use letschat_core::files::{FetchFailure, FetchFile, FetchNews, ReadFile, ServeNews, TransferId};
use letschat_core::session::{Input, LinkId, RequestId};
use letschat_flags::files as flag_files;
use letschat_protocol::files::{CHUNK_BYTES, FileHash, FileInfo, HASH_BYTES, MAX_FILE_BYTES};

use super::Running;
use crate::files::{self, Fetch, Patience, Source, Transfer};
use crate::net::Occurrence;
use crate::net::peer_link::Target;
use crate::net::socket::Socket;

/// The most bytes of a list of hashes.
const MAX_HASHES_BYTES: u64 = MAX_FILE_BYTES / CHUNK_BYTES * HASH_BYTES;

/// Held while a list of hashes is written.
static WRITING: Mutex<()> = Mutex::new(());

impl Running<'_> {
    /// Starts to read a file in order to offer it. Nothing waits for the thread, since a disk may hang: it ends soon after
    /// the account is closed.
    pub(super) fn read_file(&mut self, request: RequestId, path: PathBuf) {
        let Some(account) = &self.account else {
            return;
        };
        let (generation, queue) = (self.account_generation, self.queue.clone());
        let (hashes_folder, open) = (account.folder.hashes_folder(), Arc::downgrade(&account.open));
        let named = path.clone();
        let read = move || {
            let is_wanted = || open.strong_count() > 0;
            let result = read_source(path, &hashes_folder, is_wanted);
            // A closed queue means that the driver has ended.
            let _ = queue.send_blocking(Occurrence::FileRead(generation, request, result));
        };
        if thread::Builder::new().name("file".into()).spawn(read).is_err() {
            let why = "the system has no thread for it".to_owned();
            let result = Err(Failure::File { path: named, why });
            self.at_once.push_back(Input::FileRead { request, result });
        }
    }

    pub(super) fn forget_hashes(&mut self, root: &FileHash) {
        if let Some(account) = &self.account {
            // A list that stays behind is small.
            let _ = fs::remove_file(account.folder.hashes_folder().join(root.to_string()));
        }
    }

    /// Deletes a part. Its folder may be on a disk that hangs.
    pub(super) fn delete_part(part: PathBuf) {
        // Nothing waits for the thread. If the system has none, the user finds the part in the folder.
        let _ = thread::Builder::new().name("file".into()).spawn(move || files::delete_part(&part));
    }

    /// Starts an attempt to fetch a file.
    pub(super) fn fetch_file(&mut self, file: FetchFile) {
        let transfer = file.transfer;
        let Some(account) = &self.account else {
            return;
        };
        let (queue, (give, meetings)) = (self.queue.clone(), async_channel::bounded(1));
        let (folder, patience) = (self.config.downloads.clone(), Patience::USUAL);
        let from = Target {
            to: file.to,
            key: file.key,
            tls: account.tls.clone(),
            place: self.meeting_place(),
            meetings,
            wrap: Socket::for_file,
        };
        let fetch = Fetch { file, from, folder, patience };
        let running = Transfer::start(move || async move {
            // A closed queue means that the driver has ended.
            let tell = async |news| drop(queue.send(Occurrence::Fetch(transfer, news)).await);
            let news = match files::fetch(fetch, tell).await {
                Ok(path) => FetchNews::Saved(path),
                Err(why) => FetchNews::Failed(why),
            };
            tell(news).await;
        });
        match running {
            Some(running) => {
                self.fetching.insert(transfer, running.with_meetings(give));
            }
            None => {
                let news = FetchNews::Failed(FetchFailure::Link);
                self.at_once.push_back(Input::Fetch { transfer, news });
            }
        }
    }

    /// Handles news of an attempt, unless it was given up.
    pub(super) fn note_fetch(&mut self, transfer: TransferId, news: FetchNews) -> Option<Input> {
        let is_over = matches!(news, FetchNews::Saved(_) | FetchNews::Failed(_));
        let is_known = match is_over {
            true => self.fetching.remove(&transfer).is_some(),
            false => self.fetching.contains_key(&transfer),
        };
        is_known.then_some(Input::Fetch { transfer, news })
    }

    /// Starts to send a file over a link.
    pub(super) fn serve_file(&mut self, link: LinkId, path: PathBuf, info: FileInfo) {
        let (Some(account), Some(peer)) = (&self.account, self.peers.get(&link)) else {
            let news = ServeNews::Ended;
            return self.at_once.push_back(Input::Serve { link, news });
        };
        let hashes_path = account.folder.hashes_folder().join(info.root().to_string());
        let (queue, (give, stream)) = (self.queue.clone(), async_channel::bounded(1));
        let running = Transfer::start(move || async move {
            let tell = async |news| drop(queue.send(Occurrence::Serve(link, news)).await);
            let Ok(stream) = stream.recv().await else {
                return;
            };
            let hashes = flag_files::read(&hashes_path, MAX_HASHES_BYTES).ok().flatten();
            let source = Source::with_hashes(path, info, hashes);
            tell(files::serve(stream, source, Patience::USUAL, tell).await).await;
        });
        match running {
            Some(running) => {
                // The thread has gone if the transfer was given up.
                peer.hand_over(move |stream| drop(give.try_send(stream)));
                self.serving.insert(link, running);
            }
            None => {
                let news = ServeNews::Ended;
                self.at_once.push_back(Input::Serve { link, news });
            }
        }
    }
}

/// Reads a file, and keeps the list of its hashes.
fn read_source(
    path: PathBuf,
    hashes_folder: &Path,
    is_wanted: impl Fn() -> bool,
) -> Result<ReadFile, Failure> {
    let (info, hashes) = files::read(&path, &is_wanted)?;
    if !is_wanted() {
        return Err(Failure::Quitting);
    }
    let kept = hashes_folder.join(info.root().to_string());
    // Two files may have the same list.
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let written = flag_files::create_private_folder(hashes_folder)
        .and_then(|()| flag_files::write_private(&kept, hashes.as_bytes()));
    written.map_err(|error| Failure::File { path: kept, why: error.to_string() })?;
    Ok(ReadFile { path, info })
}
