//! The messages between servers about the sessions of an account. They go by the database, and come in their order. One
//! is lost only if its server crashes, or if the database is away for a minute; it may come twice if an answer is lost.

use letschat_protocol::clock::Now;
use letschat_protocol::dialogue::{FromServer, Notice, ReplyAssembler};
use letschat_protocol::frame::{Decoder, Mode};
use letschat_protocol::identity::PublicKey;
use letschat_protocol::username::Username;
use serde::{Deserialize, Serialize};

use super::super::directory::{Entry, Location};
use super::super::{ConnectionId, Hub};
use super::Cluster;
use crate::store::cluster::ServerName;

/// The most messages that wait for the database. Further ones are lost. Those that clients cause take half of it.
const MAX_MESSAGES: usize = 1_000;

/// A message to another server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    /// Pass a notice on to a device, or to the session that is typed by hand.
    Tell { username: String, device: Option<String>, notice: String },
    /// Count it as an activity of a device that somebody has asked for a chat with it.
    Active { username: String, device: Option<String> },
    /// Tell the account's sessions of its new device list, whose last change was about this device.
    Devices { username: String, device: String, number: u64 },
    /// End the meetings and relays of a device, or of the account.
    EndMeetings { username: String, device: Option<String> },
    /// Tell everybody what the operator says.
    Say { text: String },
}

impl Hub {
    /// Tells a session at any server.
    pub(in crate::hub) fn tell_entry(
        &mut self,
        username: &Username,
        entry: &Entry,
        notice: &Notice,
    ) {
        let Location::Local(id) = entry.location else {
            let device = entry.key.map(|key| key.to_string());
            let notice = String::from_utf8_lossy(&notice.to_frame().to_bytes()).into_owned();
            let message = Message::Tell { username: username.to_string(), device, notice };
            return self.message_to(username, entry.key, &message);
        };
        self.tell(id, notice);
    }

    /// Notes an activity of a session at another server.
    pub(in crate::hub) fn was_active_elsewhere(
        &mut self,
        username: &Username,
        device: Option<PublicKey>,
    ) {
        let (name, key) = (username.to_string(), device.map(|key| key.to_string()));
        self.message_to(username, device, &Message::Active { username: name, device: key });
    }

    /// Tells the other servers of a changed device list.
    pub(in crate::hub) fn tell_servers_of_list(
        &mut self,
        username: &Username,
        device: &PublicKey,
        number: u64,
    ) {
        let (username, device) = (username.to_string(), device.to_string());
        self.message_to_all(&Message::Devices { username, device, number });
    }

    /// Lets the other servers end the meetings and relays of a device, or of an account.
    pub(in crate::hub) fn end_meetings_elsewhere(
        &mut self,
        username: &Username,
        device: Option<PublicKey>,
    ) {
        let (username, device) = (username.to_string(), device.map(|key| key.to_string()));
        self.message_to_all(&Message::EndMeetings { username, device });
    }

    /// Lets another server tell everybody what the operator says.
    pub(in crate::hub) fn say_at(&mut self, server: &ServerName, text: &str) {
        if let Some(cluster) = &mut self.cluster {
            cluster.send(server.clone(), &Message::Say { text: text.to_owned() });
        }
    }

    fn message_to(&mut self, username: &Username, device: Option<PublicKey>, message: &Message) {
        let Some(cluster) = &mut self.cluster else { return };
        if let Some(shared) = cluster.sessions.get(&(username.clone(), device)) {
            let server = shared.place.server.clone();
            cluster.send(server, message);
        }
    }

    fn message_to_all(&mut self, message: &Message) {
        let Some(cluster) = &mut self.cluster else { return };
        for server in cluster.servers.keys().cloned().collect::<Vec<_>>() {
            cluster.send(server, message);
        }
    }

    /// Does what another server asks for.
    pub(super) fn message(&mut self, now: Now, text: &str) {
        // A server of another version may know more.
        let Ok(message) = serde_json::from_str(text) else { return };
        match message {
            Message::Tell { username, device, notice } => {
                let local = self.named(&username, device.as_deref());
                if let (Some(id), Some(notice)) = (local, parse_notice(&notice)) {
                    self.tell(id, &notice);
                }
            }
            Message::Active { username, device } => {
                if let Some(id) = self.named(&username, device.as_deref()) {
                    self.was_active(id, now);
                    self.reschedule(id);
                }
            }
            Message::Devices { username, device, number } => {
                if let (Ok(username), Ok(device)) = (username.parse(), device.parse()) {
                    self.tell_sessions_of_list(&username, &device, number, None);
                }
            }
            Message::EndMeetings { username, device } => {
                let device = device.as_deref().map(str::parse).transpose();
                if let (Ok(username), Ok(device)) = (username.parse(), device) {
                    self.end_meetings_here(now, &username, device);
                }
            }
            Message::Say { text } => {
                self.say_here(&text);
            }
        }
    }

    fn named(&self, username: &str, device: Option<&str>) -> Option<ConnectionId> {
        let device = device.map(str::parse).transpose().ok()?;
        Some(self.local_session(&(username.parse().ok()?, device))?.0)
    }
}

impl Cluster {
    fn send(&mut self, server: ServerName, message: &Message) {
        // The texts of messages are strings, which JSON can express.
        let is_by_client = matches!(message, Message::Tell { .. } | Message::Active { .. });
        let most = if is_by_client { MAX_MESSAGES / 2 } else { MAX_MESSAGES };
        if let Ok(text) = serde_json::to_string(message)
            && self.telling.waiting.len() < most
        {
            self.telling.waiting.push((server, text));
        }
    }
}

/// Parses a notice as a client does.
fn parse_notice(text: &str) -> Option<Notice> {
    let mut decoder = Decoder::new();
    decoder.extend(text.as_bytes());
    let frame = decoder.next(Mode::Frame).ok()??;
    match ReplyAssembler::default().take(&frame).ok()?? {
        FromServer::Notice(notice) => Some(notice),
        FromServer::Reply(_) | FromServer::Unknown => None,
    }
}
