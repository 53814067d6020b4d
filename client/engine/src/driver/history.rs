//! The history of the open account: messages are written before front ends show them, and threads search them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use letschat_core::event::Event;
use letschat_core::failure::Failure;
use letschat_core::history::{HistoryAction, HistoryFailure};
use letschat_core::notice::Notice;
use letschat_core::session::{Input, Reply, RequestId};
use letschat_flags::clock;
use letschat_protocol::username::Username;

use super::{ForFrontEnd, Running};
use crate::account::AccountFolder;
use crate::history::{History, News, Place, Report};
use crate::net::Occurrence;

impl Running<'_> {
    /// Opens the history of an account, if the user wants one. Without it the client does all else.
    pub(super) fn open_history(
        &mut self,
        folder: &AccountFolder,
        username: &Username,
    ) -> Option<History> {
        self.config.history?;
        let notice = match History::open(self.place(folder, username), clock::now().wall_ms) {
            Ok((history, notice)) => {
                if let Some(notice) = notice {
                    self.tell(Event::notice(notice));
                }
                if history.is_locked() {
                    self.tell(Event::notice(Notice::HistoryLocked));
                }
                return Some(history);
            }
            Err(why) => Notice::HistoryUnusable(why.to_string()),
        };
        self.tell(Event::notice(notice));
        None
    }

    fn place(&self, folder: &AccountFolder, username: &Username) -> Place {
        Place {
            top: self.config.data_folder.clone(),
            folder: folder.path().to_owned(),
            username: username.clone(),
            days: self.config.history.and_then(|history| history.days),
        }
    }

    /// Notes the message of an event for the history.
    pub(super) fn note_for_history(&mut self, event: &Event) {
        if let Some(history) = self.history() {
            history.note(event);
        }
    }

    /// Writes the noted messages.
    pub(super) fn write_history(&mut self) {
        let written = self.history().map(|history| history.write(clock::now().wall_ms));
        match written {
            Some(Ok(Some(notice))) => self.tell(Event::notice(notice)),
            Some(Err(why)) => self.tell_not_saved(why.to_string()),
            Some(Ok(None)) | None => {}
        }
        self.work_on_history();
    }

    /// Begins an action of a request.
    pub(super) fn act_on_history(&mut self, request: RequestId, action: HistoryAction) {
        // What was said before is searched, and forgotten, too.
        self.write_history();
        let is_wanted = self.config.history.is_some();
        let Some(account) = &mut self.account else {
            return self.answer(request, Err(Failure::NotLoggedIn));
        };
        let is_added = match &mut account.history {
            Some(history) if action == HistoryAction::CheckOpen => {
                let checked = history.check_open().map_err(Failure::History);
                return self.answer(request, checked.map(|()| Reply::Done {}));
            }
            Some(history) => history.add(request, action),
            None => {
                let result = match action {
                    HistoryAction::Forget(None) => self.delete_history(),
                    _ if is_wanted => {
                        let why = "the history could not be opened, as a notice said; restart to try again";
                        Err(Failure::History(HistoryFailure::Unusable(why.into())))
                    }
                    _ => Err(Failure::History(HistoryFailure::Off)),
                };
                return self.answer(request, result);
            }
        };
        match is_added {
            true => self.work_on_history(),
            false => self.answer(request, Err(Failure::History(HistoryFailure::Busy))),
        }
    }

    /// Deletes what an earlier run has kept.
    fn delete_history(&self) -> Result<Reply, Failure> {
        let Some(account) = &self.account else { return Err(Failure::NotLoggedIn) };
        let deleted = self.place(&account.folder, &account.username).delete();
        let messages =
            deleted.map_err(|why| Failure::History(HistoryFailure::Unusable(why.to_string())))?;
        Ok(Reply::Forgotten { with: None, messages })
    }

    /// Lets a thread do what comes next.
    fn work_on_history(&mut self) {
        let Some(account) = &mut self.account else { return };
        let Some(work) = account.history.as_mut().and_then(History::next_work) else { return };
        let (request, generation) = (work.request(), self.account_generation);
        let queue = self.queue.clone();
        let open = Arc::downgrade(&account.open);
        let run = move || {
            let is_wanted = || open.strong_count() > 0;
            let run = AssertUnwindSafe(|| work.run(is_wanted));
            let report = catch_unwind(run).unwrap_or_else(|_| Report::of_fault(request));
            // A closed queue means that the driver has ended.
            let _ = queue.send_blocking(Occurrence::History(generation, Box::new(report)));
        };
        if thread::Builder::new().name("history".into()).spawn(run).is_err() {
            account.history.iter_mut().for_each(History::give_up);
            if let Some(request) = request {
                self.answer(request, Err(Failure::History(HistoryFailure::Busy)));
            }
        }
    }

    /// Handles the outcome of a thread's work. It may be for an account that is closed.
    pub(super) fn note_history(&mut self, generation: u64, report: Report) -> Option<Input> {
        let Report { answer, news } = report;
        let is_open = generation == self.account_generation;
        let history = self.history().filter(|_| is_open);
        let is_done = history.is_some() || matches!(news, News::None);
        let loaded = history.map_or(Ok(Vec::new()), |history| history.take(news));
        if let Some((request, result)) = answer {
            let result = match &loaded {
                // What was left to the closed account was not done.
                Ok(_) if !is_done => Err(Failure::NotLoggedIn),
                Ok(_) => result,
                Err(why) => Err(Failure::History(HistoryFailure::Unusable(why.to_string()))),
            };
            self.answer(request, result);
        }
        self.write_history();
        loaded.ok().filter(|messages| !messages.is_empty()).map(Input::History)
    }

    /// Answers the actions that no thread has begun.
    pub(super) fn close_history(&mut self) {
        self.write_history();
        let history = self.account.as_mut().and_then(|account| account.history.take());
        for request in history.into_iter().flat_map(History::unanswered) {
            self.answer(request, Err(Failure::NotLoggedIn));
        }
    }

    fn history(&mut self) -> Option<&mut History> {
        self.account.as_mut()?.history.as_mut()
    }

    fn answer(&mut self, request: RequestId, result: Result<Reply, Failure>) {
        if let Some(answer) = self.answers.remove(&request) {
            self.words.push_back(ForFrontEnd::Answer(answer, result));
        }
    }
}
