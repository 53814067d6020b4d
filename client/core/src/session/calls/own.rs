//! The user's own requests for a chat.

use std::collections::BTreeMap;

use letschat_protocol::dialogue::Introduction;
use letschat_protocol::peer::{ChatId, PeerMessage};
use letschat_protocol::username::Username;

use super::{APPROVAL_MS, Proposal};
use crate::event::KeyState;
use crate::failure::{Among, Failure};
use crate::notice::Notice;
use crate::session::account::AccountState;
use crate::session::context::Context;
use crate::session::links::LinkUse;
use crate::session::{ChatStatus, LinkId, RequestId, choose};

/// The extra wait of the calling side, so that the other side's answer comes first.
const APPROVAL_SLACK_MS: u64 = 10_000;

/// The user's own requests, by person.
#[derive(Debug, Default)]
pub(in crate::session) struct Calls {
    calls: BTreeMap<Username, Call>,
}

#[derive(Debug)]
struct Call {
    phase: CallPhase,
    waiting: Vec<RequestId>,
    /// True if the user was told that the other side is being asked.
    ringing: bool,
    /// The other side's own call, used if this one fails.
    parked: Option<Proposal>,
    /// True if the chat becomes current when it opens.
    switch: bool,
}

#[derive(Debug)]
enum CallPhase {
    /// The server was asked for an introduction.
    Introducing,
    /// The other side is being dialled, and then asked.
    Calling { chat: ChatId, link: LinkId, to: Introduction, due_ms: u64 },
}

impl Calls {
    pub(in crate::session) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(super) fn contains(&self, who: &Username) -> bool {
        self.calls.contains_key(who)
    }

    /// Returns the called person that the user means.
    pub(super) fn choose(&self, who: Option<&str>) -> Result<Username, Failure> {
        choose(Among::Called, who, self.calls.keys())
    }

    pub(in crate::session) fn statuses(
        &self,
        account: &AccountState,
    ) -> impl Iterator<Item = ChatStatus> {
        self.calls.iter().map(|(who, call)| ChatStatus {
            with: who.to_string(),
            state: "calling",
            current: false,
            unconfirmed: 0,
            link: None,
            key: match &call.phase {
                CallPhase::Introducing => KeyState::New,
                CallPhase::Calling { to, .. } => account.key_state(who, &to.key),
            },
        })
    }

    /// Begins a call for which the server was asked.
    pub(super) fn begin(&mut self, who: Username, id: RequestId, switch: bool) {
        let (phase, waiting) = (CallPhase::Introducing, vec![id]);
        self.calls.insert(who, Call { phase, waiting, ringing: false, parked: None, switch });
    }

    /// Adds another request of the user that is answered with the call to this person. Returns
    /// false if there is no call.
    pub(super) fn join(
        &mut self,
        cx: &mut Context,
        who: &Username,
        id: RequestId,
        switch: bool,
    ) -> bool {
        let Some(call) = self.calls.get_mut(who) else {
            return false;
        };
        call.switch |= switch;
        call.waiting.push(id);
        if call.ringing {
            cx.notify(Notice::Ringing(who.clone()));
        }
        true
    }

    pub(super) fn is_introducing(&self, who: &Username) -> bool {
        self.calls.get(who).is_some_and(|call| matches!(call.phase, CallPhase::Introducing))
    }

    /// Dials the other side after the server's introduction.
    pub(super) fn dial(&mut self, cx: &mut Context, who: &Username, to: Introduction) {
        if let Some(call) = self.calls.get_mut(who) {
            let chat = cx.new_chat_id();
            let link = cx.dial(LinkUse::Call(who.clone()), to.receiver, to.key);
            let due_ms = cx.now_ms() + APPROVAL_MS + APPROVAL_SLACK_MS;
            call.phase = CallPhase::Calling { chat, link, to, due_ms };
        }
    }

    /// Calls under this name over a link that is up now.
    pub(super) fn call(&self, cx: &mut Context, who: &Username, link: LinkId, from: Username) {
        if let Some(call) = self.calls.get(who)
            && let CallPhase::Calling { chat, .. } = call.phase
        {
            cx.send(link, PeerMessage::Call { chat, from });
        }
    }

    /// Notes that the other side's user is being asked.
    pub(super) fn ring(&mut self, cx: &mut Context, who: &Username) {
        if let Some(call) = self.calls.get_mut(who)
            && !std::mem::replace(&mut call.ringing, true)
        {
            cx.notify(Notice::Ringing(who.clone()));
        }
    }

    /// Handles the other side's approval with a confirmation. Returns the chat that both agreed on.
    pub(super) fn approved(&mut self, cx: &mut Context, who: &Username) -> Option<Proposal> {
        let Call { phase, waiting, parked, switch, .. } = self.calls.remove(who)?;
        let CallPhase::Calling { chat: id, link, to, .. } = phase else {
            return None;
        };
        if let Some(parked) = parked {
            cx.close(parked.link);
        }
        cx.send(link, PeerMessage::Open);
        let (key, receiver) = (to.key, Some(to.receiver));
        Some(Proposal { id, key, receiver, caller: true, link, waiting, switch })
    }

    /// Keeps the other side's call, in case the own one fails.
    pub(super) fn park(&mut self, cx: &mut Context, who: &Username, theirs: Proposal) {
        cx.links.serve(theirs.link, LinkUse::Asked(who.clone()));
        let call = self.calls.get_mut(who);
        if let Some(older) = call.and_then(|call| call.parked.replace(theirs)) {
            cx.close(older.link);
        }
    }

    /// Notes that the other side withdrew its own call.
    pub(super) fn unpark(&mut self, cx: &mut Context, who: &Username) {
        if let Some(parked) = self.calls.get_mut(who).and_then(|call| call.parked.take()) {
            cx.close(parked.link);
        }
    }

    /// Gives up the call for the other side's, which takes over the waiting requests.
    pub(super) fn give_way(
        &mut self,
        cx: &mut Context,
        who: &Username,
        theirs: Proposal,
    ) -> Option<Proposal> {
        let Call { phase, waiting, switch, .. } = self.calls.remove(who)?;
        if let CallPhase::Calling { link, .. } = phase {
            cx.close(link);
        }
        Some(Proposal { waiting, switch, ..theirs })
    }

    /// Ends a failed call. Returns the other side's call if it came with the key that the server gave for our own
    /// call. A server that introduces two keys for one person is not trusted with either.
    pub(super) fn fail(
        &mut self,
        cx: &mut Context,
        who: &Username,
        why: &Failure,
    ) -> Option<Proposal> {
        if let Some(call) = self.calls.get_mut(who)
            && let CallPhase::Calling { to, .. } = &call.phase
            && let Some(theirs) = call.parked.take_if(|parked| parked.key == to.key)
        {
            return self.give_way(cx, who, theirs);
        }
        self.end(cx, who, why);
        None
    }

    /// Handles the server's refusal to introduce the two sides.
    pub(super) fn refuse(&mut self, cx: &mut Context, who: &Username, why: &Failure) {
        if self.is_introducing(who) {
            self.end(cx, who, why);
        }
    }

    /// Ends the call to a peer, if there is one.
    pub(in crate::session) fn end(&mut self, cx: &mut Context, who: &Username, why: &Failure) {
        let Some(call) = self.calls.remove(who) else {
            return;
        };
        if let CallPhase::Calling { link, .. } = call.phase {
            cx.close(link);
        }
        if let Some(parked) = call.parked {
            cx.close(parked.link);
        }
        cx.fail_all(call.waiting, why);
    }

    pub(in crate::session) fn end_all(&mut self, cx: &mut Context, why: &Failure) {
        for who in self.calls.keys().cloned().collect::<Vec<_>>() {
            self.end(cx, &who, why);
        }
    }

    pub(in crate::session) fn next_deadline(&self) -> Option<u64> {
        self.due().map(|(_, due_ms)| due_ms).min()
    }

    pub(in crate::session) fn tick(&mut self, cx: &mut Context) {
        let due = self.due().filter(|(_, due_ms)| *due_ms <= cx.now_ms());
        for who in due.map(|(who, _)| who.clone()).collect::<Vec<_>>() {
            self.end(cx, &who, &Failure::NoAnswer(who.clone()));
        }
    }

    fn due(&self) -> impl Iterator<Item = (&Username, u64)> {
        self.calls.iter().filter_map(|(who, call)| match call.phase {
            CallPhase::Introducing => None,
            CallPhase::Calling { due_ms, .. } => Some((who, due_ms)),
        })
    }
}
