//! The end of the link to the server, wanted or not, and the reaction to it.

use std::collections::VecDeque;

use letschat_protocol::dialogue::{Closing, Request as ServerRequest};

use super::{Expected, Link, ListFor, Pending, ServerSide};
use crate::codes::LinkEnd;
use crate::event::{Event, Trouble};
use crate::failure::{Cancel, Failure};
use crate::session::context::Context;
use crate::session::retry::{Action, Retries};
use crate::session::{Effect, Session};

impl ServerSide {
    /// Forgets the link. Returns the requests that wait for an answer.
    fn drop_link(&mut self, cx: &mut Context) -> VecDeque<Pending> {
        cx.push(Effect::CloseServer);
        self.datagrams.close(cx);
        self.link = Link::Down;
        self.last_list.clear();
        std::mem::take(&mut self.pending)
    }

    /// Reports that the link ended, and tries again if that is wanted.
    fn link_ended(&mut self, cx: &mut Context, reason: LinkEnd, was_logged_in: bool) {
        let why = Failure::LinkEnded(reason);
        // A full server is reported with the next try. A timeout is reported only if the user
        // wanted to log in.
        let turned_away = reason == LinkEnd::Closed(Closing::Busy);
        let unused = reason == LinkEnd::Closed(Closing::TooSlow) && !self.has_work();
        if !turned_away && !unused {
            cx.tell(Event::Disconnected { reason, why: why.clone() });
        }
        if was_logged_in {
            self.retries.login_ended(cx.now_ms(), self.logged_in_ms);
        }
        self.try_again(cx, reason, why);
    }

    pub(super) fn try_again(&mut self, cx: &mut Context, reason: LinkEnd, why: Failure) {
        let action = reason.action(cx.config().return_after_idle);
        let is_absent = reason == LinkEnd::NoServer;
        let action = match action {
            // A client of a classroom may start before its server.
            Action::TryLater if is_absent && cx.config().classroom => Action::Return,
            // A client that never logged in gives up early. One that was logged in comes back.
            Action::Return if !self.is_returning() => Action::TryLater,
            action => action,
        };
        self.fail_reaching(cx, &why);
        if !self.has_work() {
            self.link = Link::Down;
            return;
        }
        let jitter = cx.jitter();
        let next = self.retries.fail(cx.now_ms(), action, jitter);
        let may_try = |attempt: u32| {
            let is_limited = action == Action::TryLater || is_absent;
            !is_limited || cx.config().tries.is_none_or(|tries| attempt < tries)
        };
        let Some((attempt, wait)) = next.filter(|(attempt, _)| may_try(*attempt)) else {
            // The user has been told the server's reason, but the waiting requests have not been
            // answered.
            let waiting = self.goal.as_ref().is_some_and(|goal| goal.is_awaited());
            let waiting = waiting || !self.sign_ups.is_empty();
            let told = action == Action::WaitForUser && !waiting;
            return self.give_up(cx, &why, told);
        };
        self.link = Link::Waiting { until_ms: cx.now_ms() + wait };
        // The end of a link has been reported already. An absent or full server has not.
        let is_news = action != Action::Return || (is_absent && attempt == 1);
        let why = is_news.then_some(why);
        cx.tell(Event::Retrying { reason, attempt, in_ms: wait, why });
    }

    /// Tries again later after another server has answered. The user is told once.
    pub(super) fn retry_after_key_change(&mut self, cx: &mut Context, why: Failure) {
        if !std::mem::replace(&mut self.told_key_changed, true) {
            let username = self.goal_name();
            let trouble = Trouble::LoginEnded { why: why.clone(), told: false, username };
            cx.tell(Event::Error { code: why.code(), trouble });
        }
        self.try_again(cx, LinkEnd::Lost, why);
    }

    /// Stops trying and fails the waiting requests, or else tells the user. `told` says that the
    /// user knows the reason.
    pub(super) fn give_up(&mut self, cx: &mut Context, why: &Failure, told: bool) {
        self.link = Link::Down;
        self.retries = Retries::default();
        self.fail_reaching(cx, why);
        self.fail_sign_ups(cx, why);
        self.give_up_login(cx, why, told);
    }

    /// Drops all wishes at the server, and fails the requests that wait for them.
    fn stop_work(&mut self, cx: &mut Context, why: &Failure) {
        if let Some(goal) = self.goal.take() {
            goal.fail(cx, why);
        }
        self.fail_reaching(cx, why);
        self.fail_sign_ups(cx, why);
    }

    /// Stops asking the server for an introduction to a user, and fails the requests that wait for
    /// it.
    pub(in crate::session) fn cancel_connecting(
        &mut self,
        cx: &mut Context,
        who: Option<&str>,
    ) -> bool {
        let is_meant = |whom: &str| who.is_none_or(|who| who.eq_ignore_ascii_case(whom));
        let mut given_up = Vec::new();
        for Pending { what, .. } in &mut self.pending {
            let id = match what {
                Expected::List(ListFor::Connect(id, whom, _), _) if is_meant(whom) => *id,
                Expected::ConnectAddress(id, whom, _) if is_meant(whom) => *id,
                _ => continue,
            };
            *what = Expected::Forgotten;
            given_up.push(id);
        }
        let is_any = !given_up.is_empty();
        cx.fail_all(given_up, &Failure::Cancelled(Cancel::Withdrawn));
        is_any
    }
}

impl Session {
    /// Handles the end of the link. The reaction depends on the reason: see the table in `retry`.
    pub(in crate::session) fn server_down(&mut self, reason: LinkEnd) {
        if matches!(self.server.link, Link::Down | Link::Waiting { .. }) {
            return;
        }
        let was_logged_in = self.server.is_logged_in();
        if was_logged_in && reason == LinkEnd::Closed(Closing::Idle) {
            self.server.away = self.account.name().cloned();
        }
        self.drop_link(&Failure::LinkEnded(reason));
        self.server.link_ended(&mut self.cx, reason, was_logged_in);
    }

    /// Forgets the link, and fails the requests that wait for an answer.
    pub(super) fn drop_link(&mut self, why: &Failure) {
        let unanswered = self.server.drop_link(&mut self.cx);
        self.broadcasts.link_ended();
        // From now on others are reached only by what is on disk, also after a kill.
        self.account.save_peers(&mut self.cx);
        self.mail_link_ended();
        for Pending { what, .. } in unanswered {
            self.fail_expected(what, Failure::Unanswered(Box::new(why.clone())));
        }
    }

    /// Stops all work at the server and closes the link, politely if it is up.
    pub(in crate::session) fn stop_server(&mut self, why: &Failure) {
        self.server.stop_work(&mut self.cx, why);
        if self.server.is_up() {
            self.cx.push(Effect::SendServer(ServerRequest::Quit));
        }
        self.server.watching = false;
        if self.server.link != Link::Down {
            self.drop_link(&Failure::Cancelled(Cancel::LeftServer));
        }
    }

    pub(in crate::session) fn leave_server(&mut self) {
        let was_up = self.server.is_up();
        self.server.away = None;
        self.stop_server(&Failure::Cancelled(Cancel::LeftServer));
        if was_up {
            self.cx.tell(Event::LeftServer { chats: self.chats.len() });
        }
    }

    /// Stops trying to reach the server. Returns false if no try was under way.
    pub(in crate::session) fn cancel_trying(&mut self) -> bool {
        // A sign-up that was sent is not in the queue any more, but it is still under way.
        let is_reaching = !self.server.reaching.is_empty();
        let under_way = is_reaching || self.server.has_work() || self.server.link == Link::Busy;
        let trying = under_way && !self.server.is_logged_in();
        if trying {
            let why = Failure::Cancelled(Cancel::StoppedTrying);
            self.server.give_up_login(&mut self.cx, &why, false);
            self.stop_server(&why);
        }
        trying
    }
}
