//! The messages that arrive in envelopes: each is displayed once, recorded, and only then acknowledged.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use letschat_protocol::message_id::MessageId;
use letschat_protocol::username::Username;

use crate::conversation::Via;
use crate::mail::{Held, MailChange, OwedReceipt, Received, Stream};
use crate::session::LinkId;
use crate::watermark::Watermark;

/// The most numbers of a stream beyond its first gap. If there are more, the gap is given up.
const MAX_BEYOND: usize = 1_024;
/// The longest delay of the record of a displayed message. One record serves all displayed meanwhile.
const RECORD_DELAY_MS: u64 = 10;
/// The bytes of displayed messages that are recorded without delay: half of what the server has in flight.
const RECORDED_AT_ONCE_BYTES: usize = 32 * 1024;

/// The most direct chats with one device of which a record is kept. Each that ends adds one, and its messages can come
/// again for as long as a server keeps envelopes.
const MAX_CHATS: usize = 500;

/// The received messages.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    recorded: BTreeMap<Stream, Watermark>,
    /// The recorded direct chats, oldest first.
    chats: VecDeque<Stream>,
    /// The messages that front ends are displaying, in the order in which they were told.
    displaying: BTreeMap<u64, Arrival>,
    told: u64,
    /// The displayed messages that are not recorded yet.
    displayed: Vec<Arrival>,
    /// The changes by receipts that are not recorded yet, with the deliveries of these.
    settled: (Vec<MailChange>, Vec<Delivery>),
    record_due_ms: Option<u64>,
    /// The direct chats that ended in this run while front ends still displayed their messages.
    ended_chats: Vec<EndedChat>,
    /// The streams with an expected gap: this device was not listed meanwhile.
    interrupted: BTreeSet<Stream>,
}

/// A delivery, to be acknowledged to whoever delivered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The server delivered an envelope under this number.
    Server(u64),
    /// The author delivered the message of this id over this link.
    Peer(LinkId, MessageId),
}

impl Delivery {
    /// Returns the way by which the message came.
    pub(super) fn via(self) -> Via {
        match self {
            Delivery::Server(_) => Via::Server,
            Delivery::Peer(..) => Via::Peer,
        }
    }
}

/// A message from its arrival to its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) stream: Stream,
    pub(super) number: u64,
    pub(super) id: MessageId,
    /// Its deliveries: more than one if it was repeated.
    pub(super) deliveries: Vec<Delivery>,
    pub(super) bytes: usize,
    /// The author, if they get a receipt through the server.
    pub(super) receipt_to: Option<Username>,
    /// True if the message was held until now.
    pub(super) was_held: bool,
}

/// The progress of a direct chat, live or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::session) struct ChatProgress {
    /// The number of the chat in this run.
    pub(in crate::session) count: u64,
    /// The number of the last message that arrived.
    pub(in crate::session) received: u64,
    /// The number of the last message that was displayed.
    pub(in crate::session) displayed: u64,
}

#[derive(Debug)]
struct EndedChat {
    stream: Stream,
    progress: ChatProgress,
}

/// The way to handle an arriving message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Display it.
    New,
    /// It is recorded, so that its delivery can be acknowledged.
    Recorded,
    /// It is being displayed. Its delivery is acknowledged later.
    Pending,
    /// It is being displayed for its chat. It is judged again after that.
    InChat,
}

impl Arrivals {
    pub(super) fn new(stored: Vec<Received>) -> Arrivals {
        let recorded = stored.into_iter().map(|row| {
            let mut watermark = Watermark::new(row.through, MAX_BEYOND);
            for number in row.beyond {
                watermark.take(number);
            }
            (row.stream, watermark)
        });
        let recorded: Vec<(Stream, Watermark)> = recorded.collect();
        let streams = recorded.iter().map(|(stream, _)| stream);
        let chats = streams.filter(|stream| stream.is_chat()).cloned().collect();
        Arrivals { chats, recorded: recorded.into_iter().collect(), ..Arrivals::default() }
    }

    /// Judges an arriving message. `receipt_to` is its author if this delivery calls for a receipt, and `chat` is the
    /// progress of its live chat if it names one.
    pub(super) fn judge(
        &mut self,
        (stream, number): (&Stream, u64),
        (delivery, receipt_to): (Delivery, Option<&Username>),
        chat: Option<ChatProgress>,
    ) -> Verdict {
        let is_recorded = |watermark: &Watermark| watermark.has(number);
        if self.recorded.get(stream).is_some_and(is_recorded) {
            return Verdict::Recorded;
        }
        let is_same =
            |arrival: &&mut Arrival| arrival.stream == *stream && arrival.number == number;
        let pending = self.displaying.values_mut().chain(&mut self.displayed);
        if let Some(same) = pending.into_iter().find(is_same) {
            if let Delivery::Peer(..) = delivery {
                // Its author delivers it again since an earlier link is gone.
                same.deliveries.retain(|earlier| matches!(earlier, Delivery::Server(_)));
            }
            same.deliveries.push(delivery);
            same.receipt_to = same.receipt_to.take().or(receipt_to.cloned());
            return Verdict::Pending;
        }
        let ended = self.ended_chats.iter().find(|chat| chat.stream == *stream);
        match chat.or_else(|| ended.map(|ended| ended.progress.clone())) {
            Some(progress) if number <= progress.displayed => Verdict::Recorded,
            Some(progress) if number <= progress.received => Verdict::InChat,
            _ => Verdict::New,
        }
    }

    /// Returns true if this message came in an envelope, and was told to the front ends.
    pub(super) fn has(&self, stream: &Stream, number: u64) -> bool {
        let mut told = self.displaying.values().chain(&self.displayed);
        self.recorded.get(stream).is_some_and(|recorded| recorded.has(number))
            || told.any(|arrival| arrival.stream == *stream && arrival.number == number)
    }

    /// Returns the number of messages that are missing between a message and the one with the highest number before it.
    /// Returns 0 if none of the conversation is known: its author may have begun it with another device.
    pub(super) fn missing_before(&self, stream: &Stream, number: u64) -> u64 {
        if self.interrupted.contains(stream) {
            return 0;
        }
        let recorded = self.recorded.get(stream).and_then(Watermark::highest);
        let told = self.displaying.values().chain(&self.displayed);
        let told = told.filter(|arrival| arrival.stream == *stream).map(|arrival| arrival.number);
        let last = told.chain(recorded).max();
        last.map_or(0, |last| number.saturating_sub(last + 1))
    }

    /// Notes that this device is listed from now on: it does not miss what was sent before.
    pub(super) fn note_listed(&mut self) {
        let told = self.displaying.values().chain(&self.displayed).map(|arrival| &arrival.stream);
        self.interrupted.extend(self.recorded.keys().chain(told).cloned());
    }

    /// Notes that a message is told to the front ends. Returns the count for their confirmation.
    pub(super) fn tell(&mut self, arrival: Arrival) -> u64 {
        self.interrupted.remove(&arrival.stream);
        self.told += 1;
        self.displaying.insert(self.told, arrival);
        self.told
    }

    /// Notes that the front ends have displayed all messages up to this count.
    pub(super) fn displayed(&mut self, count: u64, now_ms: u64) {
        let later = self.displaying.split_off(&(count + 1));
        let displayed = std::mem::replace(&mut self.displaying, later);
        self.displayed.extend(displayed.into_values());
        self.set_due(now_ms);
    }

    fn set_due(&mut self, now_ms: u64) {
        if self.displayed.is_empty() {
            return;
        }
        let bytes: usize = self.displayed.iter().map(|arrival| arrival.bytes).sum();
        let delay_ms = if bytes >= RECORDED_AT_ONCE_BYTES { 0 } else { RECORD_DELAY_MS };
        self.record_by(now_ms + delay_ms);
    }

    fn record_by(&mut self, due_ms: u64) {
        self.record_due_ms = Some(self.record_due_ms.map_or(due_ms, |due| due.min(due_ms)));
    }

    /// Lets the changes by a receipt be recorded, with those of others that come at the same time: all members of a group
    /// confirm a message.
    pub(super) fn settle(&mut self, changes: Vec<MailChange>, delivery: Delivery, now_ms: u64) {
        self.settled.0.extend(changes);
        self.settled.1.push(delivery);
        self.record_by(now_ms + RECORD_DELAY_MS);
    }

    /// Returns the time at which displayed messages are recorded.
    pub(super) fn record_due_ms(&self) -> Option<u64> {
        self.record_due_ms
    }

    /// Returns true if no envelope is being handled.
    pub(super) fn is_idle(&self) -> bool {
        self.displaying.is_empty() && self.displayed.is_empty() && self.settled.1.is_empty()
    }

    /// Returns true if front ends still display messages of a chat that has ended.
    pub(super) fn has_undisplayed_chats(&self) -> bool {
        !self.ended_chats.is_empty()
    }

    /// Takes the displayed messages. Returns the changes that record them, the receipts that are owed for them, and the
    /// deliveries to acknowledge then.
    pub(super) fn record(&mut self) -> (Vec<MailChange>, Vec<OwedReceipt>, Vec<Delivery>) {
        self.record_due_ms = None;
        let displayed = std::mem::take(&mut self.displayed);
        let mut streams = BTreeSet::new();
        let (mut changes, mut deliveries) = std::mem::take(&mut self.settled);
        let mut owed = Vec::new();
        for arrival in displayed {
            let Arrival { stream, number, id, .. } = arrival;
            changes.extend(self.take(&stream, number));
            streams.insert(stream);
            if arrival.was_held {
                changes.push(MailChange::Released(id));
            }
            owed.extend(arrival.receipt_to.map(|to| OwedReceipt { to, id }));
            deliveries.extend(arrival.deliveries);
        }
        changes.extend(streams.iter().filter_map(|stream| self.row(stream)));
        (changes, owed, deliveries)
    }

    /// Records a message that is not displayed. Returns the change.
    pub(super) fn skip(&mut self, stream: &Stream, number: u64) -> Vec<MailChange> {
        let dropped = self.take(stream, number);
        self.row(stream).into_iter().chain(dropped).collect()
    }

    /// Records a number. Returns the change that drops another record, if there are too many.
    fn take(&mut self, stream: &Stream, number: u64) -> Option<MailChange> {
        let dropped = self.make_room(stream);
        let new = || Watermark::new(0, MAX_BEYOND);
        self.recorded.entry(stream.clone()).or_insert_with(new).take(number);
        dropped
    }

    /// Drops the oldest record of a chat with the same device, if this stream is another chat and there are too many.
    fn make_room(&mut self, stream: &Stream) -> Option<MailChange> {
        if !stream.is_chat() || self.recorded.contains_key(stream) {
            return None;
        }
        let with_device = |chat: &&Stream| chat.device == stream.device;
        let is_full = self.chats.iter().filter(with_device).count() >= MAX_CHATS;
        let oldest = self.chats.iter().position(|chat| is_full && chat.device == stream.device);
        self.chats.push_back(stream.clone());
        let oldest = self.chats.remove(oldest?)?;
        self.recorded.remove(&oldest);
        Some(MailChange::Unrecorded(oldest))
    }

    fn row(&self, stream: &Stream) -> Option<MailChange> {
        self.received(stream).map(MailChange::Received)
    }

    /// Returns the record of a stream.
    pub(super) fn received(&self, stream: &Stream) -> Option<Received> {
        let watermark = self.recorded.get(stream)?;
        let (through, beyond) = (watermark.through(), watermark.beyond().collect());
        Some(Received { stream: stream.clone(), through, beyond })
    }

    /// Notes the end of a direct chat: its messages may come again in envelopes. Returns the change that records the
    /// displayed ones.
    pub(super) fn chat_ended(&mut self, stream: Stream, progress: ChatProgress) -> Vec<MailChange> {
        if progress.received == 0 {
            return Vec::new();
        }
        let dropped = self.make_room(&stream);
        let new = || Watermark::new(0, MAX_BEYOND);
        self.recorded.entry(stream.clone()).or_insert_with(new).advance(progress.displayed);
        let row = self.row(&stream);
        if progress.displayed < progress.received {
            self.ended_chats.push(EndedChat { stream, progress });
        }
        row.into_iter().chain(dropped).collect()
    }

    /// Notes that the front ends have displayed the messages of an ended chat up to this number. Returns the change
    /// that records them.
    pub(super) fn displayed_in_chat(&mut self, count: u64, number: u64) -> Option<MailChange> {
        let place = self.ended_chats.iter().position(|chat| chat.progress.count == count)?;
        let ended = &mut self.ended_chats[place];
        ended.progress.displayed = number.min(ended.progress.received);
        let (stream, progress) = (ended.stream.clone(), ended.progress.clone());
        if progress.displayed == progress.received {
            self.ended_chats.remove(place);
        }
        self.recorded.get_mut(&stream)?.advance(progress.displayed);
        self.row(&stream)
    }
}

/// Returns a held message as an arrival that is displayed now.
pub(super) fn released(held: &Held) -> Arrival {
    Arrival {
        stream: held.stream.clone(),
        number: held.number,
        id: held.id,
        deliveries: Vec::new(),
        bytes: held.text.len(),
        receipt_to: Some(held.from.clone()),
        was_held: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::StreamSource;
    use letschat_protocol::identity::PublicKey;
    use letschat_protocol::peer::ChatId;

    fn chat(n: u128) -> Stream {
        Stream { device: PublicKey::from_bytes([1; 32]), source: StreamSource::Chat(ChatId(n)) }
    }

    #[test]
    fn records_of_chats_are_bounded_and_the_oldest_gives_way() {
        let mut arrivals = Arrivals::default();
        let progress = || ChatProgress { count: 1, received: 1, displayed: 1 };
        let mut rows = Vec::new();
        for n in 0..MAX_CHATS as u128 + 1 {
            // Ids are random, so that their order says nothing.
            let changes = arrivals.chat_ended(chat(u128::MAX - n), progress());
            for change in changes {
                match change {
                    MailChange::Received(row) => rows.push(row),
                    MailChange::Unrecorded(stream) => rows.retain(|row| row.stream != stream),
                    change => panic!("{change:?}"),
                }
            }
        }
        assert_eq!(rows.len(), MAX_CHATS);
        let mut again = Arrivals::new(rows);
        assert_eq!(
            again.judge((&chat(u128::MAX), 1), (Delivery::Server(1), None), None),
            Verdict::New
        );
        let newest = chat(u128::MAX - MAX_CHATS as u128);
        assert_eq!(again.judge((&newest, 1), (Delivery::Server(1), None), None), Verdict::Recorded);
    }
}
