//! The `Authorization` value of a client, the same over HTTP and gRPC.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use form_urlencoded::byte_serialize;
use http::{HeaderValue, header::InvalidHeaderValue};
use zeroize::Zeroizing;

/// `Basic` credentials (RFC 7617; id and secret form-encoded, RFC 6749 §2.3.1), overwritten in memory when the last copy of
/// the value goes. It is marked, so that no log shows it and HTTP/2 doesn't keep it in its table.
///
/// # Errors
/// Never: a header can carry every base64 text.
pub(crate) fn basic(id: &str, secret: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let (id, secret) = (id.as_bytes(), secret.as_bytes());
    // Room for the worst case at once: growing would leave a copy behind.
    let mut pair = Zeroizing::new(String::with_capacity((id.len() + secret.len()) * 3 + 1));
    pair.extend(byte_serialize(id).chain([":"]).chain(byte_serialize(secret)));
    let mut value = Zeroizing::new(String::with_capacity("Basic ".len() + pair.len().div_ceil(3) * 4));
    value.push_str("Basic ");
    STANDARD.encode_string(pair.as_bytes(), &mut value);
    sensitive(&mut value)
}

/// `Bearer` credentials, likewise.
///
/// # Errors
/// When the token has characters that no header can carry.
#[cfg(feature = "service-token")]
pub(crate) fn bearer(token: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = Zeroizing::new(String::with_capacity("Bearer ".len() + token.len()));
    value.push_str("Bearer ");
    value.push_str(token);
    sensitive(&mut value)
}

fn sensitive(value: &mut String) -> Result<HeaderValue, InvalidHeaderValue> {
    let value = Bytes::from_owner(Zeroizing::new(std::mem::take(value).into_bytes()));
    let mut value = HeaderValue::from_maybe_shared(value)?;
    value.set_sensitive(true);
    Ok(value)
}
