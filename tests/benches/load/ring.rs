//! Clients that cost less than the service, so that the service is the bottleneck. Requests are bytes that are made
//! once. Of an answer only the expected status and length are checked.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countermark_proto::auth_v1::IntrospectRequest;
use prost::Message as _;
use tests::{PATIENCE, wire::Request};

/// A load on the service.
pub(crate) trait Load {
    /// Sends requests for `span`. Returns the number of answers.
    fn run(&mut self, span: Duration) -> u64;
}

/// HTTP/1.1 connections, each with one request in flight, served in turn.
pub(crate) struct Ring {
    connections: Vec<TcpStream>,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Ring {
    const CONNECTIONS: usize = 48;

    pub(crate) fn to(address: SocketAddr, request: &Request) -> Self {
        let connections: Vec<_> = (0..Self::CONNECTIONS).map(|_| connect(address)).collect();
        let request = request.bytes();
        let answer = first_answer(&connections[0], &request);
        Self { connections, request, answer }
    }
}

impl Load for Ring {
    fn run(&mut self, span: Duration) -> u64 {
        let (mut answered, started) = (0, Instant::now());
        let mut buffer = vec![0; self.answer.len()];
        for mut connection in &self.connections {
            connection.write_all(&self.request).unwrap();
        }
        loop {
            let is_last = started.elapsed() >= span;
            for mut connection in &self.connections {
                connection.read_exact(&mut buffer).unwrap();
                // Checks the status. An answer of another length would shift the next status line.
                assert_eq!(buffer[..12], self.answer[..12]);
                answered += 1;
                if !is_last {
                    connection.write_all(&self.request).unwrap();
                }
            }
            if is_last {
                return answered;
            }
        }
    }
}

/// The complete first answer. It must be 200 with a `content-length`.
fn first_answer(mut connection: &TcpStream, request: &[u8]) -> Vec<u8> {
    connection.write_all(request).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let head = String::from_utf8(answer.clone()).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let mut body = vec![0; length.parse().unwrap()];
    connection.read_exact(&mut body).unwrap();
    answer.extend(body);
    answer
}

/// gRPC calls over HTTP/2 connections with many streams each, written frame by frame (RFC 9113).
pub(crate) struct Calls(Vec<Connection>);

struct Connection {
    stream: TcpStream,
    next_stream: u32,
    /// The frames of a call without the stream number. The peer already knows the names and values in the header block.
    call: [Vec<u8>; 2],
    /// Length of an answer's single message, with its prefix.
    answer_length: usize,
    buffer: Vec<u8>,
    unacknowledged: u32,
}

impl Calls {
    const CONNECTIONS: usize = 4;
    /// Number of streams in flight on each connection.
    const STREAMS: usize = 16;

    /// Calls of `Introspect` about `token`, as the client `client`.
    pub(crate) fn to(address: SocketAddr, token: &str, client: (&str, &str), answer_length: usize) -> Self {
        let connection = |_| Connection::to(address, token, client, answer_length + 5);
        Self((0..Self::CONNECTIONS).map(connection).collect())
    }
}

impl Load for Calls {
    fn run(&mut self, span: Duration) -> u64 {
        let (mut answered, started) = (0, Instant::now());
        for connection in &mut self.0 {
            connection.send(Self::STREAMS);
        }
        loop {
            let is_last = started.elapsed() >= span;
            for connection in &mut self.0 {
                connection.receive(Self::STREAMS);
                answered += Self::STREAMS as u64;
                if !is_last {
                    connection.send(Self::STREAMS);
                }
            }
            if is_last {
                return answered;
            }
        }
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

impl Connection {
    fn to(address: SocketAddr, token: &str, (id, secret): (&str, &str), answer_length: usize) -> Self {
        let authorization = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        let head = [
            (":path", "/auth.v1.Introspection/Introspect"),
            (":authority", "auth.test"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("authorization", &authorization),
        ];
        // `:method: POST` and `:scheme: http` are in the static table (RFC 7541 appendix A).
        let (mut first, mut later) = (vec![0x83, 0x86], vec![0x83, 0x86]);
        for (place, (name, value)) in head.iter().enumerate() {
            first.push(0x40);
            for text in [name, value] {
                assert!(text.len() < 127, "one byte holds the length");
                first.push(u8::try_from(text.len()).unwrap());
                first.extend(text.bytes());
            }
            later.push(0x80 | u8::try_from(62 + head.len() - 1 - place).unwrap());
        }
        let message = IntrospectRequest { token: token.to_owned() }.encode_to_vec();
        let mut data = vec![0];
        data.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        data.extend(message);
        let data = frame(DATA, END_STREAM, &data);
        let mut stream = connect(address);
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        // A large INITIAL_WINDOW_SIZE, so that the window never delays an answer.
        stream.write_all(&frame(SETTINGS, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff])).unwrap();
        stream.write_all(&frame(WINDOW_UPDATE, 0, &(i32::MAX - 65_535).to_be_bytes())).unwrap();
        let mut connection = Self {
            stream,
            next_stream: 1,
            call: [frame(HEADERS, END_HEADERS, &first), data.clone()],
            answer_length,
            buffer: Vec::new(),
            unacknowledged: 0,
        };
        connection.send(1);
        connection.receive(1);
        connection.call = [frame(HEADERS, END_HEADERS, &later), data];
        connection
    }

    fn send(&mut self, calls: usize) {
        let mut bytes = Vec::new();
        for _ in 0..calls {
            for frame in &self.call {
                let start = bytes.len();
                bytes.extend(frame);
                bytes[start + 5..start + 9].copy_from_slice(&self.next_stream.to_be_bytes());
            }
            self.next_stream += 2;
        }
        self.stream.write_all(&bytes).unwrap();
    }

    /// Receives `calls` complete answers: a message of the expected length and the end of the stream.
    fn receive(&mut self, calls: usize) {
        let (mut ended, mut received) = (0, 0);
        let mut place = 0;
        while ended < calls {
            let Some(frame) = whole_frame(&self.buffer[place..]) else {
                self.buffer.drain(..place);
                place = 0;
                let mut more = [0; 8 * 1024];
                let read = self.stream.read(&mut more).unwrap();
                assert!(read > 0, "the service hung up");
                self.buffer.extend(&more[..read]);
                continue;
            };
            let (kind, flags, length) = (frame[3], frame[4], frame.len());
            match kind {
                DATA => received += length - 9,
                HEADERS if flags & END_STREAM != 0 => ended += 1,
                SETTINGS if flags & ACK == 0 => {
                    self.stream.write_all(&self::frame(SETTINGS, ACK, &[])).unwrap();
                }
                PING if flags & ACK == 0 => {
                    let pong = self::frame(PING, ACK, &frame[9..]);
                    self.stream.write_all(&pong).unwrap();
                }
                GOAWAY => panic!("the service lets go: {}", frame[13..].escape_ascii()),
                _ => {}
            }
            place += length;
        }
        self.buffer.drain(..place);
        assert_eq!(received, calls * self.answer_length, "each was answered what was expected");
        self.unacknowledged += u32::try_from(received).unwrap();
        if self.unacknowledged > 1 << 30 {
            self.stream.write_all(&frame(WINDOW_UPDATE, 0, &self.unacknowledged.to_be_bytes())).unwrap();
            self.unacknowledged = 0;
        }
    }
}

/// Makes a frame for stream 0.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}

/// The first frame in `bytes`, if it is complete.
fn whole_frame(bytes: &[u8]) -> Option<&[u8]> {
    let &[a, b, c, ..] = bytes else { return None };
    bytes.get(..9 + u32::from_be_bytes([0, a, b, c]) as usize)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}
