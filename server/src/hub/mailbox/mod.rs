//! Sealed envelopes between devices.
//!
//! ```text
//! POST ── judged ──▶ waiting ── MailRequest::Post ──▶ committing
//!                                                        │ MailAnswer::Posted
//!       * MAIL to a device that is here ◀── numbered ◀───┘
//! login, ACK ── MailRequest::Read ──▶ * MAIL of what waits in the store
//! ```
//!
//! * `post` – a POST from the request through the store to its answer
//! * `push` – the deliveries to a device that is here
//! * `acknowledge` – their acknowledgement
//! * here – prekeys, and the deletion of expired mail
//!
//! The server can read neither the sealed bodies nor the keys in the headers.

mod acknowledge;
mod post;
mod push;

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{AccountKeys, Reply};
use letschat_protocol::prekey::{CLOCK_TOLERANCE_MS, PREKEY_VALID_MS, SignedPrekey};
use letschat_protocol::username::Username;

use self::acknowledge::Unacknowledged;
pub use self::post::HEADERS_PER_TOKEN;
use self::post::Unposted;
pub(super) use self::push::MailLink;
use super::rate::Buckets;
use super::{ConnectionId, Effect, Hub, Record};
use crate::store::mailbox::{MailAnswer, MailRequest};
use crate::store::{StoreRequest, Unavailable};
use letschat_protocol::clock::Now;

/// The interval at which expired mail is deleted.
const EXPIRY_INTERVAL_MS: u64 = 60 * 60_000;

/// The most time that a prekey may be valid after it is published: its validity, a day for clocks
/// that differ, and a day for its delivery.
const MAX_PREKEY_MS: u64 = PREKEY_VALID_MS + 2 * CLOCK_TOLERANCE_MS;

/// The mailbox as far as the hub knows it. The store has the rest.
#[derive(Debug)]
pub(super) struct Mailbox {
    unposted: Unposted,
    unacknowledged: Unacknowledged,
    /// The rate limit of each account's envelopes, over all its sessions.
    rates: Buckets<Username>,
    /// The highest number of a delivery.
    last: u64,
    /// The time at which expired mail is deleted next, on the boot clock.
    expiry_ms: u64,
    /// The time at which mail is read again after a failure of the store.
    retry_ms: Option<u64>,
}

impl Mailbox {
    /// Returns a mailbox that deletes expired mail at once.
    pub(super) fn new(now_ms: u64) -> Mailbox {
        Mailbox {
            unposted: Unposted::default(),
            unacknowledged: Unacknowledged::default(),
            rates: Buckets::default(),
            last: 0,
            expiry_ms: now_ms,
            retry_ms: None,
        }
    }

    /// Returns the next deadline.
    pub(super) fn due_ms(&self) -> u64 {
        self.retry_ms.map_or(self.expiry_ms, |retry_ms| retry_ms.min(self.expiry_ms))
    }
}

impl Hub {
    /// Dispatches an answer of the store to the handler that asked for it.
    pub(super) fn mail_answered(&mut self, now: Now, answer: MailAnswer) {
        match answer {
            MailAnswer::PrekeyPublished { connection, result } => {
                self.prekey_published(now, connection, result);
            }
            MailAnswer::Prekeys { connection, username, result } => {
                self.prekeys_found(now, connection, &username, result);
            }
            MailAnswer::Entries { connection, result } => {
                self.entries_found(now, connection, result);
            }
            MailAnswer::ListChanged { connection, change, result } => {
                self.list_changed(now, connection, &change, result);
            }
            MailAnswer::Posted { result } => self.posted(now, result),
            MailAnswer::Read { connection, result } => self.mail_read(now, connection, result),
            MailAnswer::Acknowledged { result } => self.acknowledged(now, result),
            MailAnswer::Expired { result } => self.mail_expired(now, result),
            MailAnswer::Measured { result } => self.measured(now, result),
        }
    }

    /// Handles the deadlines that have passed.
    pub(super) fn mailbox_due(&mut self, now: Now) {
        if self.mailbox.expiry_ms <= now.boot_ms {
            self.mailbox.expiry_ms = now.boot_ms + EXPIRY_INTERVAL_MS;
            self.expire_mail(now);
        }
        if self.mailbox.retry_ms.is_some_and(|retry_ms| retry_ms <= now.boot_ms) {
            self.mailbox.retry_ms = None;
            let everybody: Vec<ConnectionId> = self.everybody().map(|(id, _)| id).collect();
            for id in everybody {
                self.read_mail(now, id);
            }
        }
    }

    fn expire_mail(&mut self, now: Now) {
        let through_ms = self.mail_expired_ms(now);
        self.ask_mailbox(MailRequest::Expire { through_ms });
    }

    /// Goes on at once if more is left. After a failure the next hour is soon enough.
    fn mail_expired(&mut self, now: Now, more: Result<bool, Unavailable>) {
        match more {
            Ok(true) => self.expire_mail(now),
            Ok(false) => {}
            Err(Unavailable) => {
                let what = "delete expired mail";
                self.effects.push(Effect::Record(Record::StoreFailed { what }));
            }
        }
    }

    /// Returns the time of the wall clock at which mail that expires now was taken.
    fn mail_expired_ms(&self, now: Now) -> u64 {
        now.wall_ms.saturating_sub(self.settings.mail_retention_ms)
    }

    pub(super) fn ask_mailbox(&mut self, request: MailRequest) {
        self.effects.push(Effect::Store(StoreRequest::Mail(request)));
    }

    /// Publishes the prekey of the session's device.
    pub(super) fn prekey(&mut self, now: Now, id: ConnectionId, prekey: SignedPrekey) {
        let Some((username, device)) = self.device_of(id) else {
            return;
        };
        if !prekey.is_signed_by(&device, &self.instance.fingerprint, &username) {
            let why = "that prekey is not signed by the key of this session";
            return self.answer(now, id, &Reply::new(Code::KeyRefused, why));
        }
        let valid_ms = prekey.until_ms.saturating_sub(now.wall_ms);
        if valid_ms == 0 || valid_ms > MAX_PREKEY_MS {
            let why = "expected a prekey that is valid for at most 60 days from now";
            return self.answer(now, id, &Reply::new(Code::BadArguments, why));
        }
        let prekey = Box::new(prekey);
        self.ask_mailbox(MailRequest::PublishPrekey { connection: id, username, device, prekey });
    }

    fn prekey_published(&mut self, now: Now, id: ConnectionId, result: Result<bool, Unavailable>) {
        let reply = match result {
            Ok(true) => Reply::new(Code::Ok, "published"),
            Ok(false) => {
                let why = "this account does not have the key of this session any more";
                Reply::new(Code::KeyRefused, why)
            }
            Err(Unavailable) => self.store_failed("publish a prekey"),
        };
        self.answer_later(now, id, &reply);
    }

    /// Looks up the devices of an account that envelopes can be sealed to.
    pub(super) fn keys(&mut self, now: Now, id: ConnectionId, name: &str) {
        match name.parse() {
            Ok(username) => self.ask_mailbox(MailRequest::Prekeys { connection: id, username }),
            Err(_) => self.answer(now, id, &unknown_user()),
        }
    }

    fn prekeys_found(
        &mut self,
        now: Now,
        id: ConnectionId,
        username: &Username,
        found: Result<Option<AccountKeys>, Unavailable>,
    ) {
        let is_own = self.device_of(id).is_some_and(|(own, _)| own == *username);
        let reply = match found {
            Ok(None) => unknown_user(),
            Ok(Some(keys)) if keys.devices.is_empty() => {
                Reply::new(Code::NoDevice, "no device of that account has published a prekey")
            }
            Ok(Some(mut keys)) => {
                if !is_own {
                    keys.devices.iter_mut().for_each(|device| device.used_ms = None);
                }
                keys.to_reply()
            }
            Err(Unavailable) => self.store_failed("look up prekeys"),
        };
        self.answer_later(now, id, &reply);
    }

    /// Answers a request that waited for the store, unless its connection has gone meanwhile.
    pub(super) fn answer_later(&mut self, now: Now, id: ConnectionId, reply: &Reply) {
        self.answer(now, id, reply);
        self.reschedule(id);
    }
}

pub(super) fn unknown_user() -> Reply {
    Reply::new(Code::UnknownUser, "no account has that name")
}
