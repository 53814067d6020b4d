//! Replies and notices of the server in the session's world.

use std::net::SocketAddr;

use letschat_protocol::code::Code;
use letschat_protocol::dialogue::{
    Broadcast, Closing, Introduction, Listed, Notice, Reply, SessionId, Welcome,
};

use super::{World, key};

impl World<'_> {
    pub(super) fn reply(&mut self) -> Reply {
        match self.choices.below(11) {
            8..=10 => self.mail_reply(),
            0 => Reply::new(Code::Ready, "letschat-server"),
            1 => Reply::new(Code::WhichWay, "log in or sign up?"),
            2 => {
                let (other, head) = (self.name(), self.choices.number());
                let own = self.account.clone().filter(|_| self.choices.below(4) > 0);
                let username = own.unwrap_or(other);
                let (epoch, address) = (self.choices.below(2) as u64 + 1, [127, 0, 0, 1].into());
                let session = SessionId(3);
                Welcome { username, session, epoch, head, udp_port: 4400, address }.to_reply()
            }
            3 => {
                let listed = (0..self.choices.below(5)).map(|_| self.listed().to_string());
                let listed: Vec<String> = listed.collect();
                let last = match self.choices.flip() {
                    true => format!("{} more after {}", listed.len(), self.name()),
                    false => "done".into(),
                };
                Reply::long(Code::Ok, listed, last)
            }
            4 => Reply::new(Code::Ok, self.introduction().to_string()),
            5 => {
                Reply::new(Code::Ok, format!("{} {}", self.choices.number(), self.choices.number()))
            }
            _ => {
                let code = self.choices.one(Code::ALL).unwrap_or(Code::Ok);
                Reply::new(code, self.choices.text(60))
            }
        }
    }

    fn listed(&mut self) -> Listed {
        let port = self.choices.flip().then_some(4401);
        Listed { username: self.name(), address: [127, 0, 0, 2].into(), port }
    }

    pub(super) fn introduction(&mut self) -> Introduction {
        let receiver = SocketAddr::from(([127, 0, 0, 2], 4401));
        Introduction { username: self.name(), receiver, key: key(self.choices.below(3)) }
    }

    pub(super) fn broadcast(&mut self) -> Broadcast {
        Broadcast {
            number: self.choices.number(),
            sender: self.name(),
            time_ms: self.choices.number(),
            text: self.choices.text(50),
        }
    }

    pub(super) fn notice(&mut self) -> Notice {
        match self.choices.below(10) {
            9 => Notice::Meeting(self.invitation()),
            7 | 8 => {
                let who = self.introduction();
                Notice::Client { who, is_new: self.choices.flip() }
            }
            0 | 1 => Notice::Broadcast { entry: self.broadcast(), own: self.choices.flip() },
            2 => Notice::Replayed { through: self.choices.number() },
            3 => Notice::Introduction(self.introduction()),
            4 => Notice::Joined(vec![self.name()]),
            5 => Notice::Crowd { joined: self.choices.number(), left: self.choices.number() },
            _ => Notice::Closing(self.choices.one(Closing::ALL).unwrap_or(Closing::Idle)),
        }
    }
}
