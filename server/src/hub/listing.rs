//! LIST and WATCH: the active clients.

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{Listed, Notice, Reply};
use letschat_protocol::limits::MAX_PAGE_BYTES;
use letschat_protocol::username::Username;

use super::directory::{Entry, Viewer};
use super::{ConnectionId, Hub};
use letschat_protocol::clock::Now;

/// The room in a page for a list's last line, in bytes.
const LAST_LINE_BYTES: usize = 128;

impl Hub {
    /// Answers LIST with a page of the directory.
    pub(super) fn list(&mut self, now: Now, id: ConnectionId, after: Option<&Username>) {
        self.asked(id, "LIST");
        let Some((viewer, is_interactive)) = self.viewer(id) else {
            return;
        };
        let mut lines = Vec::new();
        let mut bytes = LAST_LINE_BYTES;
        let mut more = None;
        for (username, sessions) in self.directory.after(after) {
            let Some(entry) = self.reached_session(username, sessions.iter()) else { continue };
            let listed = listed(username, entry, viewer);
            let line = if is_interactive { columns(&listed) } else { listed.to_string() };
            bytes += line.len() + "250-\n".len();
            if bytes > MAX_PAGE_BYTES {
                more = lines.last().and_then(|_| self.directory.after(after).nth(lines.len() - 1));
                break;
            }
            lines.push(line);
        }
        let count = lines.len();
        let last = match (more, is_interactive) {
            (Some((last, _)), true) => format!("There are more: LIST AFTER {last}"),
            (Some((last, _)), false) => format!("{count} more after {last}"),
            (None, true) if count == 1 => String::from("You are the only one here."),
            (None, true) => format!("{count} are here."),
            (None, false) => format!("{count} end"),
        };
        self.answer(now, id, &Reply::long(Code::Ok, lines, last));
    }

    pub(super) fn watch(&mut self, now: Now, id: ConnectionId, on: bool) {
        self.asked(id, "WATCH");
        // A new watcher is not told of earlier changes.
        let before = self.presence.take();
        self.tell_watchers(&before);
        if let Some(member) = self.connections.get_mut(&id).and_then(|c| c.member_mut()) {
            member.watching = on;
        }
        let words = if on {
            "Arrivals and departures are announced from now on."
        } else {
            "Arrivals and departures are no longer announced."
        };
        self.answer(now, id, &Reply::new(Code::Ok, words));
    }

    pub(super) fn viewer(&self, id: ConnectionId) -> Option<(Viewer<'_>, bool)> {
        let connection = self.connections.get(&id)?;
        let username = &connection.member()?.username;
        let viewer = Viewer { username, address: connection.peer.ip(), server: connection.local };
        Some((viewer, connection.is_interactive()))
    }

    /// Notifies watchers, each without its own arrival.
    pub(super) fn tell_watchers(&mut self, notices: &[Notice]) {
        if notices.is_empty() {
            return;
        }
        let watchers: Vec<_> = self
            .everybody()
            .filter(|(_, member)| member.watching)
            .map(|(id, member)| (id, member.username.clone()))
            .collect();
        for (id, username) in watchers {
            for notice in notices {
                match notice {
                    Notice::Joined(names) if names.contains(&username) => {
                        let others: Vec<_> =
                            names.iter().filter(|name| **name != username).cloned().collect();
                        if !others.is_empty() {
                            self.tell(id, &Notice::Joined(others));
                        }
                    }
                    notice => self.tell(id, notice),
                }
            }
        }
    }
}

pub(super) fn listed(username: &Username, entry: &Entry, viewer: Viewer<'_>) -> Listed {
    let address = viewer.sees(entry.address);
    Listed { username: username.clone(), address, port: entry.port }
}

fn columns(listed: &Listed) -> String {
    let port = listed.port.map_or("by hand".to_owned(), |port| port.to_string());
    let address = listed.address.to_string();
    format!("{:<16} {address:<16} {port}", listed.username)
}
