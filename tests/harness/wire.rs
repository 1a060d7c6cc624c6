//! An HTTP/1.1 connection at the level of bytes. It is for tests with so many requests that a full client would cost
//! more than the service, and for clients that disconnect before they read the answer.

use std::{
    fmt::Write as _,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::{Answer, PATIENCE};

/// A request as bytes.
#[derive(Clone, Debug)]
pub struct Request {
    head: String,
    body: String,
}

impl Request {
    pub fn new(method: &str, path: &str) -> Self {
        Self { head: format!("{method} {path} HTTP/1.1\r\nhost: auth.test\r\n"), body: String::new() }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        write!(self.head, "{name}: {value}\r\n").unwrap();
        self
    }

    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string();
        self.header("content-type", "application/json")
    }

    /// Sends a form that is encoded already.
    #[must_use]
    pub fn form(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    pub fn bytes(&self) -> Vec<u8> {
        format!("{}content-length: {}\r\n\r\n{}", self.head, self.body.len(), self.body).into_bytes()
    }
}

/// The connection. Requests are sent one after the other, and answers come in the same order.
#[derive(Debug)]
pub struct Wire(BufReader<TcpStream>);

impl Wire {
    pub fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    pub fn send(&mut self, request: &Request) {
        self.try_send(request).unwrap();
    }

    /// The answer to the oldest unanswered request.
    pub fn answer(&mut self) -> Answer {
        self.try_answer().expect("an answer")
    }

    pub fn ask(&mut self, request: &Request) -> Answer {
        self.send(request);
        self.answer()
    }

    /// Sends a request to a service that may stop meanwhile.
    pub fn try_ask(&mut self, request: &Request) -> io::Result<Answer> {
        self.try_send(request)?;
        self.try_answer()
    }

    fn try_send(&mut self, request: &Request) -> io::Result<()> {
        self.0.get_mut().write_all(&request.bytes())
    }

    fn try_answer(&mut self) -> io::Result<Answer> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no status: {line:?}")).parse().unwrap();
        let mut headers = HeaderMap::new();
        let mut length = 0;
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            if name == "content-length" {
                length = value.parse().unwrap();
            }
            headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(Answer { status, headers, body: body.into() })
    }

    /// Disconnects and waits until the service has noticed. Returns whether the service still sent something.
    pub fn hang_up(mut self) -> bool {
        self.0.get_ref().shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        // A reset also ends the connection.
        let _ = self.0.read_to_end(&mut rest);
        !rest.is_empty()
    }

    /// Reads one complete line.
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        if !line.ends_with('\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
