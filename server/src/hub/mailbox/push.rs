//! Deliveries to a device that is here.
//!
//! The deliveries of a device are sent in the order of their numbers, each once on a connection. At
//! most [`MAX_MAIL_IN_FLIGHT_BYTES`] of them are unacknowledged, so a device that acknowledges
//! nothing gets no more. An envelope is pushed without a look into the store if nothing waits
//! before it.

use std::collections::BTreeMap;

use letschat_protocol::dialogue::{Mail, Notice};
use letschat_protocol::envelope::Header;
use letschat_protocol::identity::PublicKey;
use letschat_protocol::limits::{MAX_ENVELOPE_BYTES, MAX_MAIL_IN_FLIGHT_BYTES};
use letschat_protocol::username::Username;

use super::super::connection::Page;
use super::super::directory::Location;
use super::super::{ConnectionId, Effect, Hub, Record};
use crate::store::Unavailable;
use crate::store::mailbox::{MailPage, MailQuery, MailRequest, NewEnvelope};
use letschat_protocol::clock::Now;

/// The most bytes of a MAIL notice beside the envelope.
const MAX_MAIL_LINE_BYTES: usize = 256;

/// The most bytes of a page of mail. The largest envelope fits it.
const MAX_MAIL_PAGE_BYTES: usize = MAX_ENVELOPE_BYTES + MAX_MAIL_LINE_BYTES;

/// The most bytes that are pushed while a page is draining. They fit the outbox beside two such
/// amounts, a page of mail and a reply.
const MAX_PUSHED_BYTES: usize = 8 * 1024;

/// The part of the window that has to be free before the store is asked for more, so that single
/// acknowledgements of small envelopes don't each cost a query.
const MIN_READ_BYTES: usize = MAX_MAIL_IN_FLIGHT_BYTES / 2;

/// The pause after a failure of the store.
const RETRY_MS: u64 = 5_000;

/// The delivery of mail on one connection.
#[derive(Debug, Default)]
pub(in crate::hub) struct MailLink {
    /// The sizes of the envelopes that were sent and not acknowledged, by number.
    in_flight: BTreeMap<u64, usize>,
    in_flight_bytes: usize,
    /// The highest number that was sent.
    last: u64,
    /// The size of the next delivery in the store, or 0 if it is unknown. `None` if nothing waits
    /// there.
    next_bytes: Option<usize>,
    /// True while the store reads.
    reading: bool,
}

impl MailLink {
    /// Returns the link of a device whose mail in the store is not known yet.
    pub(in crate::hub) fn of_device() -> MailLink {
        MailLink { next_bytes: Some(0), ..MailLink::default() }
    }

    /// Returns the bytes of envelopes that may be sent without an acknowledgement.
    fn window(&self) -> usize {
        MAX_MAIL_IN_FLIGHT_BYTES.saturating_sub(self.in_flight_bytes)
    }

    /// Returns the bytes to read from the store, if it is time to do so.
    fn wanted_bytes(&self) -> Option<usize> {
        let next_bytes = self.next_bytes.filter(|_| !self.reading)?;
        let window = self.window();
        (window >= next_bytes.max(MIN_READ_BYTES)).then_some(window)
    }

    /// Counts a delivery as sent, unless it has to wait.
    fn sends(&mut self, number: u64, bytes: usize) -> bool {
        // The store numbers deliveries in their order, so none comes twice.
        if bytes > self.window() || number <= self.last {
            return false;
        }
        self.last = number;
        self.in_flight.insert(number, bytes);
        self.in_flight_bytes += bytes;
        true
    }

    /// Returns true if this delivery was sent and its acknowledgement is not committed.
    pub(super) fn is_in_flight(&self, number: u64) -> bool {
        self.in_flight.contains_key(&number)
    }

    /// Frees the window of these deliveries.
    pub(super) fn acknowledge(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.in_flight_bytes -= self.in_flight.remove(number).unwrap_or_default();
        }
    }
}

impl Hub {
    /// Pushes a committed delivery to its device. Returns false if the device is not here, or the
    /// delivery waits its turn, as it does unless it is the next one of all servers.
    pub(super) fn push(
        &mut self,
        now: Now,
        new: &NewEnvelope,
        header: &Header,
        number: u64,
        is_next: bool,
    ) -> bool {
        let Some(id) = self.connection_of(&header.recipient, &header.device) else {
            return false;
        };
        let Some(link) = self.mail_link(id) else {
            return false;
        };
        let is_next = is_next && !link.reading && link.next_bytes.is_none();
        if is_next && self.send_mail(id, vec![new.mail_for(header, number)]).is_none() {
            return true;
        }
        if let Some(link) = self.mail_link(id) {
            link.next_bytes.get_or_insert(new.bytes_for(header));
        }
        self.read_mail(now, id);
        false
    }

    /// Reads the mail of an envelope's devices that are here. Its commit failed, and may have
    /// succeeded all the same: then only the answer was lost.
    pub(super) fn look_for_mail(&mut self, now: Now, new: &NewEnvelope) {
        for Header { recipient, device, .. } in &new.envelope.headers {
            self.has_mail(now, recipient, device);
        }
    }

    /// Reads the mail of a device that another server has taken for it.
    pub(in crate::hub) fn has_mail(&mut self, now: Now, username: &Username, device: &PublicKey) {
        let Some(id) = self.connection_of(username, device) else {
            return;
        };
        if let Some(link) = self.mail_link(id) {
            link.next_bytes.get_or_insert(0);
        }
        self.read_mail(now, id);
    }

    /// Returns the connection of a device that is here.
    fn connection_of(&self, username: &Username, device: &PublicKey) -> Option<ConnectionId> {
        let entry =
            self.directory.sessions(username).find(|entry| entry.key.as_ref() == Some(device))?;
        match entry.location {
            Location::Local(id) => Some(id),
            Location::Remote { .. } => None,
        }
    }

    pub(super) fn mail_link(&mut self, id: ConnectionId) -> Option<&mut MailLink> {
        Some(&mut self.connections.get_mut(&id)?.member_mut()?.mail)
    }

    /// Sends deliveries as one page, as far as they fit. While another page is draining, there is
    /// room for a little. Returns the size of the first delivery that does not fit.
    fn send_mail(&mut self, id: ConnectionId, mail: Vec<Mail>) -> Option<usize> {
        let member = self.connections.get_mut(&id)?.member_mut()?;
        let pages = &mut member.pages;
        let max_bytes = match pages.draining {
            true => MAX_PUSHED_BYTES.saturating_sub(pages.pushed_bytes),
            false => MAX_MAIL_PAGE_BYTES,
        };
        let (mut page, mut waits) = (Vec::new(), None);
        for mail in mail {
            let (number, bytes, start) = (mail.number, mail.envelope.len(), page.len());
            Notice::Mail(mail).to_frame().encode(&mut page);
            if page.len() > max_bytes || !member.mail.sends(number, bytes) {
                page.truncate(start);
                waits = Some(bytes);
                break;
            }
        }
        if page.is_empty() {
            return waits;
        }
        if pages.draining {
            pages.pushed_bytes += page.len();
            self.effects.push(Effect::Send { connection: id, bytes: page });
        } else {
            pages.begin(Page::Mail);
            self.effects.push(Effect::Send { connection: id, bytes: page });
            self.effects.push(Effect::TellWhenDrained { connection: id });
        }
        waits
    }

    /// Asks the store for mail of the device, if some may wait there and there is room for it.
    /// Returns true if it did.
    pub(in crate::hub) fn read_mail(&mut self, now: Now, id: ConnectionId) -> bool {
        let expired_ms = self.mail_expired_ms(now);
        let Some((username, device)) = self.device_of(id) else {
            return false;
        };
        let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) else {
            return false;
        };
        let link = &mut member.mail;
        let Some(max_bytes) = link.wanted_bytes().filter(|_| !member.pages.draining) else {
            return false;
        };
        link.reading = true;
        link.next_bytes = None;
        let after = link.last;
        let query = Box::new(MailQuery { username, device, after, expired_ms, max_bytes });
        self.ask_mailbox(MailRequest::Read { connection: id, query });
        true
    }

    /// Handles mail that the store has read.
    pub(super) fn mail_read(
        &mut self,
        now: Now,
        id: ConnectionId,
        result: Result<MailPage, Unavailable>,
    ) {
        let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) else {
            return;
        };
        let link = &mut member.mail;
        link.reading = false;
        member.pages.reserved = false;
        let Ok(MailPage { mail, next_bytes }) = result else {
            link.next_bytes.get_or_insert(0);
            self.mailbox.retry_ms.get_or_insert(now.boot_ms + RETRY_MS);
            let what = "read mail";
            self.effects.push(Effect::Record(Record::StoreFailed { what }));
            return self.stream(id);
        };
        let waits = self.send_mail(id, mail).or(next_bytes);
        if let (Some(waits), Some(link)) = (waits, self.mail_link(id)) {
            link.next_bytes = Some(waits);
        }
        self.read_mail(now, id);
        // Broadcasts may have waited for the mail.
        self.stream(id);
    }
}
