//! Copies of what the account's other devices send, and the comparison of device lists.

use letschat_protocol::body::{Body, Content};
use letschat_protocol::envelope::OpenError;
use letschat_protocol::groups::GroupId;

use super::arrivals::{Arrival, Verdict};
use super::shown::Shown;
use crate::conversation::ConversationId;
use crate::mail::{Membership, Stream};
use crate::session::Session;
use crate::session::mail::Incoming;
use crate::watermark::MAX_NUMBER;

impl Session {
    /// Compares the list that a body names with the held one. A server that shows two people different lists is found
    /// out here. A newer list is looked up, and its absence is told then.
    pub(super) fn compare_lists(&mut self, body: &Body) {
        let Some(list) = self.account.list(&body.sender) else {
            return;
        };
        // What an unlisted device claims says nothing about the server.
        if body.list.number == 0 || !list.contains(&body.device) {
            return;
        }
        match list.hash_of(body.list.number) {
            Some(_) => self.check_claim(&body.sender, body.list),
            None => self.look_up_claim(&body.sender, body.list),
        }
    }

    /// Shows a copy of a message that another device of this account has sent.
    pub(super) fn own_copy_arrived(&mut self, mail: &Incoming, body: &Body) {
        let device = self.account.own_list().and_then(|list| {
            let devices = &mut list.devices().iter();
            devices.find(|device| device.key == body.device).map(|device| device.name.clone())
        });
        let Some(device) = device else {
            return self.acknowledge(vec![mail.delivery]);
        };
        if let Content::People(people) = &body.content {
            self.take_over(people.clone());
            return self.acknowledge(vec![mail.delivery]);
        }
        match &body.content {
            Content::Roster(roster) => {
                return self.roster_arrived(mail, &body.sender, roster);
            }
            Content::Wish(group, wish, roster) => {
                let from = (&body.sender, body.device);
                return self.wish_arrived(mail, from, (*group, *wish, *roster));
            }
            _ => {}
        }
        let (stream, number) = Stream::of(body);
        let group = body.conversation.parse::<GroupId>().ok();
        let to = match group {
            Some(id) => match self.groups.get(&id) {
                Some(group) if group.membership != Membership::Left => {
                    Some(ConversationId::Group(group.label.clone()))
                }
                // This device may not know the group yet. A copy for a group that was left is dropped.
                _ => return self.ask_own_devices(&id, mail),
            },
            None => body.conversation.parse().ok().map(ConversationId::Person),
        };
        let said = match &body.content {
            Content::Text(text) => Some((text.clone(), None)),
            Content::File(name, file) => Some((name.clone(), Some(*file))),
            _ => None,
        };
        let (Some((text, file)), Some(to), true) = (said, to, (1..=MAX_NUMBER).contains(&number))
        else {
            return self.refuse_mail(mail, OpenError::NotAddressed);
        };
        match self.mail.arrivals.judge((&stream, number), (mail.delivery, None), None) {
            Verdict::Recorded => return self.acknowledge(vec![mail.delivery]),
            Verdict::Pending | Verdict::InChat => return,
            Verdict::New => {}
        }
        // The user knows that person, although this device does not yet.
        if let Some(who) = to.person() {
            self.make_known(who);
        }
        let arrival = Arrival {
            stream,
            number,
            id: body.message_id(),
            deliveries: vec![mail.delivery],
            bytes: mail.bytes,
            receipt_to: None,
            was_held: false,
        };
        self.display(
            arrival,
            Shown {
                from: body.sender.clone(),
                conversation: to,
                text,
                file,
                sent_ms: body.time_ms,
                time_ms: self.cx.wall_ms(),
                via: mail.delivery.via(),
                own: true,
                device: Some(device),
            },
        );
    }
}
