//! Messages of the gRPC contract. The first byte of the input selects the message type; the rest is the encoded
//! message.

use countermark::{
    issuer::wire::claims as wire,
    verify::{Claims, Entry},
};
use countermark_proto::auth_v1::{
    BatchIntrospectRequest, BatchIntrospectResponse, Claims as WireClaims, Entry as WireEntry,
    IntrospectRequest, IntrospectResponse, WatchRequest, WatchResponse, watch_response::Response,
};
use prost::Message;

/// Decodes a message, and converts it as both ends of the wire do.
pub fn decode(input: &[u8]) {
    let Some((&kind, bytes)) = input.split_first() else { return };
    match kind {
        b'r' => drop(decoded::<IntrospectRequest>(bytes)),
        b'R' => drop(decoded::<BatchIntrospectRequest>(bytes)),
        b'a' => {
            if let Some(answer) = decoded::<IntrospectResponse>(bytes) {
                read_answer(answer);
            }
        }
        b'A' => {
            let answers = decoded::<BatchIntrospectResponse>(bytes).unwrap_or_default();
            answers.responses.into_iter().for_each(read_answer);
        }
        b'w' => drop(decoded::<WatchRequest>(bytes)),
        b'W' => match decoded::<WatchResponse>(bytes).and_then(|answer| answer.response) {
            Some(Response::Snapshot(snapshot)) => snapshot.entries.iter().for_each(read_entry),
            Some(Response::Delta(delta)) => delta.entry.iter().for_each(read_entry),
            Some(Response::Heartbeat(_)) | None => {}
        },
        b'e' => decoded::<WireEntry>(bytes).iter().for_each(read_entry),
        _ => {}
    }
}

/// Decodes a message, and checks that encoding and decoding it again preserves it.
fn decoded<M: Message + Default>(bytes: &[u8]) -> Option<M> {
    let message = M::decode(bytes).ok()?;
    let written = message.encode_to_vec();
    assert_eq!(written.len(), message.encoded_len());
    // The lengths are compared, not the messages: NaN equals nothing, and the order of a map's entries is not
    // defined.
    let again = M::decode(written.as_slice()).expect("we encoded it");
    assert_eq!(again.encoded_len(), written.len());
    Some(message)
}

fn read_answer(answer: IntrospectResponse) {
    let is_active = answer.active;
    match wire::claims(answer) {
        Ok(Some(claims)) => {
            assert!(is_active, "an inactive token has claims");
            let again = Claims::try_from(WireClaims::from(claims.clone()));
            assert_eq!(again, Ok(claims));
        }
        Ok(None) => assert!(!is_active),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn read_entry(entry: &WireEntry) {
    if let Ok(read) = Entry::try_from(entry.clone()) {
        assert_eq!(WireEntry::from(read), *entry);
    }
}
