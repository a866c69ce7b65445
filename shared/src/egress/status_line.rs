//! The status of a response, read from the bytes as they arrive.
//!
//! An HTTP client reports a response when its whole head is valid. A receiver that has sent its status
//! has decided, whatever becomes of its headers: they may break off, be too many, or contradict each
//! other. So the status is also read here, on the way to the client.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of a line that are kept. A status line begins with `HTTP/1.1 200`.
const LINE_BYTES_MAX: usize = 16;
/// Bytes that are read at once.
const CHUNK_BYTES: usize = 4_096;

/// The status of the final response, once it has arrived. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Status(Arc<AtomicU16>);

/// A connection that reads the status of the response on the way.
pub(super) struct Watched<T> {
    connection: T,
    reader: Reader,
    status: Status,
}

/// Reads the heads of responses up to the final status.
#[derive(Debug, Default)]
struct Reader {
    /// The beginning of the current line.
    line: Vec<u8>,
    /// The line is a header of an interim response, such as 103.
    is_in_head: bool,
    is_done: bool,
}

impl Status {
    /// The status, if it has arrived.
    pub(super) fn get(&self) -> Option<u16> {
        Some(self.0.load(Ordering::Relaxed)).filter(|it| *it != 0)
    }
}

impl<T> Watched<T> {
    pub(super) fn new(connection: T, status: Status) -> Self {
        Self { connection, reader: Reader::default(), status }
    }
}

impl Reader {
    /// Reads more bytes. Returns the final status when it is complete.
    fn read(&mut self, bytes: &[u8]) -> Option<u16> {
        for byte in bytes {
            if self.is_done {
                return None;
            }
            if *byte != b'\n' {
                if self.line.len() < LINE_BYTES_MAX {
                    self.line.push(*byte);
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if self.is_in_head {
                // An empty line ends the head.
                self.is_in_head = !line.is_empty();
                continue;
            }
            match status(line) {
                Some(100..=199) => self.is_in_head = true,
                status => {
                    self.is_done = true;
                    return status;
                }
            }
        }
        None
    }
}

/// The status in the beginning of a status line.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.0 ").or_else(|| line.strip_prefix(b"HTTP/1.1 "))?;
    let (digits, rest) = rest.split_at_checked(3)?;
    let is_status =
        digits.iter().all(u8::is_ascii_digit) && matches!(rest.first(), None | Some(b' '));
    let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (is_status && status >= 100).then_some(status)
}

impl<T: AsyncRead + Unpin> Read for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; CHUNK_BYTES];
        let n_bytes = CHUNK_BYTES.min(buffer.remaining());
        let mut read = ReadBuf::new(&mut bytes[..n_bytes]);
        ready!(Pin::new(&mut self.connection).poll_read(context, &mut read))?;
        if let Some(status) = self.reader.read(read.filled()) {
            self.status.0.store(status, Ordering::Relaxed);
        }
        buffer.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> Write for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The status in a response that arrives in pieces of this size.
    fn read(response: &str, piece: usize) -> Option<u16> {
        let mut reader = Reader::default();
        response.as_bytes().chunks(piece).find_map(|it| reader.read(it))
    }

    #[test]
    fn status_is_read_from_pieces_of_any_size() {
        for piece in 1..60 {
            for (response, expected) in [
                ("HTTP/1.1 200 OK\r\n", Some(200)),
                ("HTTP/1.1 204\r\nX: HTTP/1.1 500 E\r\n\r\n", Some(204)),
                ("HTTP/1.0 503 A very long reason phrase\nx", Some(503)),
                (
                    "HTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 429 T\r\n",
                    Some(429),
                ),
                ("HTTP/1.1 200 OK", None),
                ("HTTP/1.1 103 Early\r\nHTTP/1.1 200 OK\r\n", None),
                ("HTTP/1.1 2000 OK\r\n", None),
                ("HTTP/2 200\r\n\r\nHTTP/1.1 200 OK\r\n", None),
                ("SSH-2.0-OpenSSH\r\nHTTP/1.1 200 OK\r\n", None),
                ("HTTP/1.1 099 X\r\n", None),
            ] {
                assert_eq!(read(response, piece), expected, "{response:?} by {piece}");
            }
        }
    }
}
