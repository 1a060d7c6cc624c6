//! Clients that poll for answers and never sleep. The kernel wakes a sleeping client within the service's own write, at
//! the service's expense. Clients on other machines do not cause this cost.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use tests::wire::Request;

/// Connections of one thread, each with one request in flight.
pub(crate) struct Spinning<F>(Vec<Client<F>>);

struct Client<F> {
    stream: TcpStream,
    request: Vec<u8>,
    /// The part of the answer that has arrived.
    answer: Vec<u8>,
    is_waiting: bool,
    /// Makes the next request from an answer. `None` repeats the last request.
    next: F,
}

impl<F: FnMut(&str) -> Option<Request>> Spinning<F> {
    /// Clients with their first request and the function that makes the next one.
    pub(crate) fn to(address: SocketAddr, clients: impl Iterator<Item = (Request, F)>) -> Self {
        let client = |(request, next): (Request, F)| {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_nonblocking(true).unwrap();
            Client { stream, request: request.bytes(), answer: Vec::new(), is_waiting: false, next }
        };
        Self(clients.map(client).collect())
    }

    /// Sends requests for `span`. Returns the number of answers. Afterwards no request is in flight.
    pub(crate) fn run(&mut self, span: Duration) -> u64 {
        let (mut answered, started) = (0, Instant::now());
        for client in &mut self.0 {
            client.ask();
        }
        let mut waiting = self.0.len();
        while waiting > 0 {
            let is_over = started.elapsed() >= span;
            for client in &mut self.0 {
                if !client.is_answered() {
                    continue;
                }
                answered += 1;
                if is_over {
                    waiting -= 1;
                } else {
                    client.ask();
                }
            }
        }
        answered
    }
}

impl<F: FnMut(&str) -> Option<Request>> Client<F> {
    fn ask(&mut self) {
        // The write does not block, because the previous request was answered.
        self.stream.write_all(&self.request).unwrap();
        self.is_waiting = true;
    }

    /// Whether the answer has just become complete. A status other than 200 is an error.
    fn is_answered(&mut self) -> bool {
        if !self.is_waiting {
            return false;
        }
        let mut bytes = [0; 8 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => panic!("the service hung up"),
            Ok(read) => self.answer.extend(&bytes[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) => panic!("{error}"),
        }
        let text = str::from_utf8(&self.answer).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        assert!(head.starts_with("HTTP/1.1 200 "), "{text}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        if body.len() < length.parse().unwrap() {
            return false;
        }
        if let Some(next) = (self.next)(body) {
            self.request = next.bytes();
        }
        self.answer.clear();
        self.is_waiting = false;
        true
    }
}
