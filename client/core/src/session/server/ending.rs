//! The end of the link to the server, wanted or not, and what comes after it.

use letschat_protocol::dialogue::{Closing, Request as ServerRequest};

use super::{Expected, Link, ListFor, Pending, Repair};
use crate::codes::LinkEnd;
use crate::event::Event;
use crate::failure::{Cancel, Failure};
use crate::session::backoff::Backoff;
use crate::session::retry::{Action, Retries};
use crate::session::{Effect, Now, Reply, RequestId, Session};

impl Session {
    /// The link is no more. What comes next depends on why: see the table in `retry`.
    pub(in crate::session) fn server_down(&mut self, now: Now, reason: LinkEnd) {
        if matches!(self.server.link, Link::Down | Link::Waiting { .. }) {
            return;
        }
        let was_logged_in = self.server.is_logged_in();
        if was_logged_in && reason == LinkEnd::Closed(Closing::Idle) {
            self.server.away = self.own_name().cloned();
        }
        self.drop_link(&Failure::LinkEnded(reason));
        // That there is no place is told with the next try; that nobody logged in, to nobody.
        let turned_away = reason == LinkEnd::Closed(Closing::Busy);
        let unused = reason == LinkEnd::Closed(Closing::TooSlow) && !self.server.has_work();
        if !turned_away && !unused {
            self.tell(Event::Disconnected { reason, why: Failure::LinkEnded(reason) });
        }
        if was_logged_in {
            self.server.retries.login_ended(now.boot_ms, self.server.logged_in_ms);
        }
        self.try_again(now, reason, Failure::LinkEnded(reason));
    }

    /// Forgets the link; what waited for an answer is told so.
    pub(super) fn drop_link(&mut self, why: &Failure) {
        self.effects.push(Effect::CloseServer);
        if std::mem::take(&mut self.server.datagrams).open {
            self.effects.push(Effect::CloseDatagrams);
        }
        self.server.link = Link::Down;
        self.server.repair_at_ms = None;
        self.server.repair = Repair::None;
        self.server.replays = Backoff::default();
        self.server.no_replay_before_ms = 0;
        self.server.last_list.clear();
        let pending = std::mem::take(&mut self.server.pending);
        for Pending { what, .. } in pending {
            self.fail_expected(what, Failure::Unanswered(Box::new(why.clone())));
        }
    }

    pub(super) fn try_again(&mut self, now: Now, reason: LinkEnd, why: Failure) {
        let action = reason.action(self.config.return_after_idle);
        let action = match action {
            // A program that never got in does not insist; one that was in comes back.
            Action::Return if !self.is_returning() => Action::TryLater,
            action => action,
        };
        if !self.server.has_work() {
            self.server.link = Link::Down;
            return;
        }
        let jitter = self.random.f64();
        let next = self.server.retries.fail(now.boot_ms, action, jitter);
        let may_try = |attempt: u32| {
            action != Action::TryLater || self.config.tries.is_none_or(|tries| attempt < tries)
        };
        let Some((attempt, wait)) = next.filter(|(attempt, _)| may_try(*attempt)) else {
            // What a closing server said has been told already, but not to those who wait.
            let waiting = self.server.goal.iter().any(|goal| !goal.waiting.is_empty());
            let waiting = waiting || !self.server.sign_ups.is_empty();
            let told = action == Action::WaitForUser && !waiting;
            return self.give_up(&why, told);
        };
        self.server.link = Link::Waiting { until_ms: now.boot_ms + wait };
        // That a link ended has been told already; that there is no server or place has not.
        let why = (action != Action::Return).then_some(why);
        self.tell(Event::Retrying { reason, attempt, in_ms: wait, why });
    }

    /// Nothing more is tried: those who wait are told, or else the user is. `told`: the user knows why.
    pub(super) fn give_up(&mut self, why: &Failure, told: bool) {
        self.server.link = Link::Down;
        self.server.retries = Retries::default();
        for sign_up in std::mem::take(&mut self.server.sign_ups) {
            self.fail(sign_up.id, why.clone());
        }
        self.give_up_login(why, told);
    }

    /// The user wants nothing more of the server. Whoever waits for it is told.
    pub(in crate::session) fn stop_server_work(&mut self, why: &Failure) {
        let goal = self.server.goal.take();
        let sign_ups = std::mem::take(&mut self.server.sign_ups);
        let waiting = goal.into_iter().flat_map(|goal| goal.waiting).map(|waiting| waiting.id);
        for id in waiting.chain(sign_ups.into_iter().map(|sign_up| sign_up.id)) {
            self.fail(id, why.clone());
        }
    }

    /// Closes the link, politely if it is up.
    pub(in crate::session) fn close_server(&mut self) {
        if self.server.is_up() {
            self.effects.push(Effect::SendServer(ServerRequest::Quit));
        }
        self.server.watching = false;
        if self.server.link != Link::Down {
            self.drop_link(&Failure::Cancelled(Cancel::LeftServer));
        }
    }

    pub(in crate::session) fn leave(&mut self, id: RequestId) {
        if !self.chats.is_empty() {
            return self.fail(id, Failure::ChatOpen);
        }
        self.leave_server();
        self.answer(id, Reply::Done {});
    }

    pub(in crate::session) fn detach(&mut self, id: RequestId) {
        self.leave_server();
        self.answer(id, Reply::Done {});
    }

    pub(in crate::session) fn leave_server(&mut self) {
        let was_up = self.server.is_up();
        self.server.away = None;
        self.stop_server_work(&Failure::Cancelled(Cancel::LeftServer));
        self.close_server();
        if was_up {
            self.tell(Event::LeftServer { chats: self.chats.len() });
        }
    }

    /// Gives up asking the server for an introduction to somebody; whoever waits is told.
    pub(in crate::session) fn cancel_connecting(&mut self, who: Option<&str>) -> bool {
        let is_meant = |whom: &str| who.is_none_or(|who| who.eq_ignore_ascii_case(whom));
        let mut given_up = Vec::new();
        for Pending { what, .. } in &mut self.server.pending {
            let id = match what {
                Expected::List(ListFor::Connect(id, whom, _), _) if is_meant(whom) => *id,
                Expected::ConnectAddress(id, whom, _) if is_meant(whom) => *id,
                _ => continue,
            };
            *what = Expected::Forgotten;
            given_up.push(id);
        }
        for id in &given_up {
            self.fail(*id, Failure::Cancelled(Cancel::Withdrawn));
        }
        !given_up.is_empty()
    }

    /// Stops trying for the server, if that is what goes on.
    pub(in crate::session) fn cancel_trying(&mut self) -> bool {
        // A sign-up that is at the server is no work any more, but it is still tried.
        let under_way = self.server.has_work() || self.server.link == Link::Busy;
        let trying = under_way && !self.server.is_logged_in();
        if trying {
            self.stop_server_work(&Failure::Cancelled(Cancel::StoppedTrying));
            self.close_server();
        }
        trying
    }
}
