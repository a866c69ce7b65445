//! Receivers with all kinds of behavior, on loopback, with a thread for each connection.

use std::{
    io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    time::timeout,
};

/// Time limit for a receiver to notice a closed connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Results of a receiver's connections, in order.
pub(super) struct Served<T>(UnboundedReceiver<io::Result<T>>);

/// Listens on loopback, passes each connection to `serve`, and forwards the results.
pub(super) fn receiver<T: Send + 'static>(
    serve: impl Fn(TcpStream) -> io::Result<T> + Send + 'static,
) -> (SocketAddr, Served<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = listener.local_addr().expect("the listener has an address");
    let (send, served) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            if send.send(stream.and_then(&serve)).is_err() {
                return;
            }
        }
    });
    (address, Served(served))
}

impl<T> Served<T> {
    /// The result of the next connection.
    pub(super) async fn next(&mut self) -> T {
        let served = timeout(PATIENCE, self.0.recv()).await.expect("it is done by now");
        served.expect("it is still listening").expect("it was served")
    }

    /// True if no other connection was served.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

/// A receiver that reads the request, answers with `response`, and closes.
pub(super) fn answering(response: impl Into<Vec<u8>>) -> (SocketAddr, Served<String>) {
    let response = response.into();
    receiver(move |mut stream| {
        let request = read_request(&stream)?;
        stream.write_all(&response)?;
        Ok(request)
    })
}

/// A receiver that reads the request, begins with `head`, and repeats `more` until cut off. Returns
/// the number of bytes sent.
pub(super) fn flooding(head: &'static str, more: &'static str) -> (SocketAddr, Served<usize>) {
    receiver(move |mut stream| {
        read_request(&stream)?;
        stream.write_all(head.as_bytes())?;
        let more = more.repeat(65_536 / more.len());
        let mut n_bytes = 0;
        while stream.write_all(more.as_bytes()).is_ok() {
            n_bytes += more.len();
        }
        Ok(n_bytes)
    })
}

/// A receiver that reads the request, begins with `head`, and adds `drop` at intervals.
pub(super) fn dripping(head: &'static str, drop: &'static str) -> (SocketAddr, Served<()>) {
    receiver(move |mut stream| {
        read_request(&stream)?;
        stream.write_all(head.as_bytes())?;
        stream.set_read_timeout(Some(Duration::from_millis(50)))?;
        // The read's timeout sets the interval of the drops; the read ends when the client
        // disconnects.
        while stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            stream.write_all(drop.as_bytes())?;
        }
        Ok(())
    })
}

pub(super) fn read_request(stream: &TcpStream) -> io::Result<String> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    let length = request.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.parse().expect("a number"));
    reader.take(length).read_to_string(&mut request)?;
    Ok(request)
}

/// Checks that no client has connected: a connection would wait in the listener's queue.
#[track_caller]
pub(super) fn assert_untouched(listener: &TcpListener) {
    listener.set_nonblocking(true).expect("it can be");
    let error = listener.accept().expect_err("no client connects");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}
