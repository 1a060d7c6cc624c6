//! All that talks to the issuer: its keys, its stream of revocations, its introspection, and tokens of one's own.
//!
//! | file | holds |
//! |---|---|
//! | `trusted_issuer` | verifies tokens with the keys at hand, or with newer ones |
//! | `trusted_issuers` | the issuers that one guard trusts |
//! | `mismatch` | the log line of a refused caller, with expected and claimed issuer or audience |
//! | `followed_issuer` | an issuer whose keys and revocations are kept current (feature `jwks`, the stream: `watch`) |
//! | `key_source` | the trait for whatever holds a key set, and may get a newer one |
//! | `staleness` | what happens to good tokens when revocations may have been missed |
//! | `jwks_client` | fetches the key set, keeps the last good one, and limits how often it asks (feature `jwks`) |
//! | `follower`, `reading` | follow the issuer's stream of revocations (feature `watch`) |
//! | `forgetting` | when revocations can be forgotten (feature `watch`) |
//! | `bundle`, `bundle_file` | keys and revocations on disk, to start with the issuer down (feature `watch`) |
//! | [`introspection`] | asks the issuer about one token, over gRPC (feature `introspection`) |
//! | [`service_token`] | a program's own token, renewed in time (feature `service-token`) |
//! | [`wire`] | claims and revocations as protobuf messages (feature `wire`) |

#[cfg(feature = "watch")]
mod bundle;
#[cfg(feature = "watch")]
mod bundle_file;
#[cfg(any(feature = "introspection", feature = "service-token"))]
mod credentials;
#[cfg(feature = "watch")]
mod followed;
#[cfg(feature = "jwks")]
mod followed_issuer;
#[cfg(feature = "watch")]
mod follower;
#[cfg(feature = "watch")]
mod forgetting;
#[cfg(feature = "introspection")]
pub mod introspection;
#[cfg(feature = "jwks")]
mod jwks_client;
mod key_source;
#[cfg(any(feature = "http", feature = "grpc"))]
mod mismatch;
#[cfg(feature = "watch")]
mod reading;
#[cfg(feature = "service-token")]
pub mod service_token;
mod staleness;
mod trusted_issuer;
#[cfg(any(feature = "http", feature = "grpc"))]
mod trusted_issuers;
#[cfg(feature = "wire")]
pub mod wire;

#[cfg(feature = "watch")]
pub use bundle::{Bundle, BundleKey, InvalidBundle};
#[cfg(feature = "watch")]
pub use followed::Followed;
#[cfg(feature = "jwks")]
pub use followed_issuer::{FollowError, FollowedIssuer, FollowedIssuerBuilder};
#[cfg(feature = "watch")]
pub use follower::{About, Follower};
#[cfg(feature = "jwks")]
pub use jwks_client::{ClientError, FetchError, JwksClient};
pub use key_source::KeySource;
pub use staleness::{LiveAnswer, Staleness};
pub use trusted_issuer::TrustedIssuer;
#[cfg(any(feature = "http", feature = "grpc"))]
pub(crate) use trusted_issuers::TrustedIssuers;
