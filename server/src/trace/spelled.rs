//! How the protocol's values are spelled in JSON; those of the server spell themselves.

use std::fmt::Display;
use std::str::FromStr;

use letschat_protocol::datagram::ToServer;
use letschat_protocol::dialogue::Broadcast;
use letschat_protocol::frame::FrameError;
use letschat_protocol::username::Username;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What has a form as text.
pub(crate) mod text {
    use super::*;

    pub(crate) fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom("a value is not spelled as it should be"))
    }
}

/// The same where there may be nothing.
pub(crate) mod optional_text {
    use super::*;

    pub(crate) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(ToString::to_string).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let value = text.map(|text| text.parse()).transpose();
        value.map_err(|_| D::Error::custom("a value is not spelled as it should be"))
    }
}

/// 32 bytes as 64 hexadecimal digits.
pub(crate) mod hexadecimal {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        bytes: &[u8; 32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        data_encoding::HEXLOWER.encode(bytes).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 32], D::Error> {
        let digits = String::deserialize(deserializer)?;
        let bytes = data_encoding::HEXLOWER.decode(digits.as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| D::Error::custom("expected 64 hexadecimal digits"))
    }
}

/// A frame, or what was wrong with it.
pub(crate) mod line {
    use super::*;
    use letschat_protocol::frame::Frame;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Line {
        Plain(String),
        WithText(String, String),
        /// What is no text is a text's stand-in for the decoder: so many bytes that are no UTF-8.
        WithBytes(String, usize),
        Wrong(#[serde(with = "FrameErrorSpelled")] FrameError),
    }

    pub(crate) fn serialize<S: Serializer>(
        line: &Result<Frame, FrameError>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let line = match line {
            Err(error) => Line::Wrong(*error),
            Ok(frame) => {
                let line = frame.as_line().to_owned();
                match (frame.payload(), frame.text()) {
                    (None, _) => Line::Plain(line),
                    (_, Some(text)) => Line::WithText(line, text.to_owned()),
                    (Some(payload), None) => Line::WithBytes(line, payload.len()),
                }
            }
        };
        line.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Result<Frame, FrameError>, D::Error> {
        Ok(match Line::deserialize(deserializer)? {
            Line::Plain(line) => Ok(Frame::line(line)),
            Line::WithText(line, text) => Ok(Frame::with_payload(line, text)),
            Line::WithBytes(line, count) => Ok(Frame::with_payload(line, no_text(count))),
            Line::Wrong(error) => Err(error),
        })
    }
}

/// A payload of so many bytes that is no UTF-8.
pub(crate) fn no_text(count: usize) -> Vec<u8> {
    vec![0xff; count.min(letschat_protocol::limits::MAX_PAYLOAD_BYTES)]
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "FrameError", rename_all = "snake_case")]
enum FrameErrorSpelled {
    LineTooLong,
    NotUtf8,
    PayloadTooLong,
    PayloadEnd,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ToServer", rename_all = "snake_case")]
pub(crate) enum ToServerSpelled {
    KeepAlive,
    Answer(u64),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Broadcast")]
pub(crate) struct BroadcastSpelled {
    number: u64,
    #[serde(with = "text")]
    sender: Username,
    time_ms: u64,
    text: String,
}
