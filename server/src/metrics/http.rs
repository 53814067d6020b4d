//! One request and one response of HTTP/1.1 (RFC 9112), on a connection that then closes.

use std::io;

use futures_lite::{AsyncRead, AsyncReadExt as _};

/// The longest head of a request.
const MAX_HEAD_BYTES: usize = 4_096;

/// The most fields in it.
const MAX_FIELDS: usize = 32;

const TOO_LARGE: &str = "431 Request Header Fields Too Large";

/// The type of `/metrics`: <https://prometheus.io/docs/instrumenting/exposition_formats/>.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Response {
    status: &'static str,
    text: String,
}

impl Response {
    pub(super) fn ok(text: String) -> Response {
        Response { status: "200 OK", text }
    }

    pub(super) fn not_ready(text: String) -> Response {
        Response { status: "503 Service Unavailable", text }
    }

    pub(super) fn not_found() -> Response {
        let text = "there are /livez, /readyz and /metrics\n".into();
        Response { status: "404 Not Found", text }
    }

    fn refused(status: &'static str) -> Response {
        Response { status, text: String::new() }
    }

    /// Returns the bytes, without the text for HEAD.
    pub(super) fn to_bytes(&self, is_head: bool) -> Vec<u8> {
        let Response { status, text } = self;
        let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
        let text = if is_head { "" } else { text };
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {TEXT}\r\nContent-Length: {}\r\n{allow}\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n{text}",
            self.text.len()
        )
        .into_bytes()
    }
}

/// The target of a request, without its query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) is_head: bool,
}

/// Reads the head of a request. Returns the response if it is refused.
///
/// # Errors
///
/// The connection breaks.
pub(super) async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Result<Request, Response>> {
    let (mut head, mut length) = ([0; MAX_HEAD_BYTES], 0);
    loop {
        let count = stream.read(&mut head[length..]).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        length += count;
        if let Some(request) = parse(&head[..length]) {
            return Ok(request.map_err(Response::refused));
        }
        if length == MAX_HEAD_BYTES {
            return Ok(Err(Response::refused(TOO_LARGE)));
        }
    }
}

/// Returns the request, or the status of its refusal, once its head is whole.
fn parse(head: &[u8]) -> Option<Result<Request, &'static str>> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Partial) => None,
        Ok(httparse::Status::Complete(_)) => Some(match (request.method, request.path) {
            (Some(method @ ("GET" | "HEAD")), Some(target)) => {
                let path = target.split('?').next().unwrap_or_default().to_owned();
                Ok(Request { path, is_head: method == "HEAD" })
            }
            _ => Err("405 Method Not Allowed"),
        }),
        Err(httparse::Error::TooManyHeaders) => Some(Err(TOO_LARGE)),
        Err(_) => Some(Err("400 Bad Request")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(head: &str) -> Option<Result<Request, &'static str>> {
        parse(head.as_bytes())
    }

    #[test]
    fn request_is_read_once_its_head_is_whole() {
        let whole = "GET /metrics?a=b HTTP/1.1\r\nHost: here\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(parsed(&whole[..length]), None, "{length}");
        }
        let request = Request { path: "/metrics".into(), is_head: false };
        assert_eq!(parsed(whole), Some(Ok(request)));
        let head = Request { path: "/livez".into(), is_head: true };
        assert_eq!(parsed("HEAD /livez HTTP/1.0\n\n"), Some(Ok(head)));
    }

    #[test]
    fn others_are_refused() {
        assert_eq!(parsed("POST / HTTP/1.1\r\n\r\n"), Some(Err("405 Method Not Allowed")));
        for text in ["\u{16}\u{3}\u{1}", "GET\r\n\r\n", "GET / HTTP/2\r\n\r\n"] {
            assert_eq!(parsed(text), Some(Err("400 Bad Request")), "{text:?}");
        }
        let fields = "A: b\r\n".repeat(MAX_FIELDS + 1);
        let many = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        assert_eq!(parsed(&many), Some(Err(TOO_LARGE)));
    }

    #[test]
    fn head_has_the_length_and_no_text() {
        let response = Response::ok("alive\n".into());
        let (whole, head) = (response.to_bytes(false), response.to_bytes(true));
        assert!(whole.starts_with(b"HTTP/1.1 200 OK\r\n") && whole.ends_with(b"\r\n\r\nalive\n"));
        assert_eq!(head, whole[..whole.len() - "alive\n".len()]);
    }
}
