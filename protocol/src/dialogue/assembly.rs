//! A client's decoder of the dialogue: assembles replies and notices from frames.

use super::PROGRAM;
use super::notice::Notice;
use super::reply::Reply;
use crate::code::Code;
use crate::frame::Frame;
use crate::limits::MAX_PAGE_BYTES;

/// A message from the server, assembled from its frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromServer {
    /// The answer to the oldest pending request.
    Reply(Reply),
    /// An unsolicited notice.
    Notice(Notice),
    /// A notice that this version does not know. Ignore it.
    Unknown,
}

/// The largest reply in bytes: a page, its last line and room for a few words.
pub(super) const MAX_REPLY_BYTES: usize = 2 * MAX_PAGE_BYTES;

/// An assembler of replies that span several lines.
#[derive(Debug, Default)]
pub struct ReplyAssembler {
    lines: Vec<String>,
    bytes: usize,
}

/// A frame that is no reply: the peer is another program, or something between rewrites the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server sent what is no reply of {PROGRAM}")]
pub struct NotAReply;

impl ReplyAssembler {
    /// Takes a frame. Returns `None` while a reply is incomplete.
    pub fn take(&mut self, frame: &Frame) -> Result<Option<FromServer>, NotAReply> {
        let line = frame.as_line();
        if let Some(notice) = line.strip_prefix("* ") {
            let words: Vec<&str> = notice.split(' ').filter(|word| !word.is_empty()).collect();
            let notice = Notice::from_words(&words, frame);
            return Ok(Some(notice.map_or(FromServer::Unknown, FromServer::Notice)));
        }
        let (number, rest) = line.split_at_checked(3).ok_or(NotAReply)?;
        let code = number.parse().ok().and_then(Code::from_number).ok_or(NotAReply)?;
        let (mark, text) = rest.split_at_checked(1).ok_or(NotAReply)?;
        // Count the whole line, so that empty lines reach the limit as well.
        self.bytes += line.len();
        if self.bytes > MAX_REPLY_BYTES {
            return Err(NotAReply);
        }
        self.lines.push(text.into());
        match mark {
            "-" => Ok(None),
            " " => {
                self.bytes = 0;
                let lines = std::mem::take(&mut self.lines);
                Ok(Some(FromServer::Reply(Reply { code, lines })))
            }
            _ => Err(NotAReply),
        }
    }
}
