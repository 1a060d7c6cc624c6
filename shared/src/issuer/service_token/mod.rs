//! A program's own token, from the issuer's token endpoint (`client_credentials`, RFC 6749 §4.4): fetched once, shared by all
//! who call, and renewed before it expires.
//!
//! ```no_run
//! # use countermark::issuer::service_token::{ServiceTokenConfig, ServiceTokens};
//! # async fn call(secret: zeroize::Zeroizing<String>) -> Result<(), Box<dyn std::error::Error>> {
//! let tokens = ServiceTokens::new(ServiceTokenConfig::new("http://localhost:8080", "reports", secret))?;
//! tokio::spawn(tokens.clone().keep_current());
//! let http = reqwest::Client::new();
//! let documents = tokens.send(http.get("http://localhost:8081/documents")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `config` | where the issuer is, who asks, and for what |
//! | `key` | the key of a client that signs instead of having a secret |
//! | `source` | the token that is held, and when another is fetched |
//! | `request` | what is asked of the token endpoint, and its answer |
//! | `call` | puts the token on a reqwest request |
//! | `layer` | puts it on a tonic client; under the feature `grpc` |
//! | `error` | why there is no token |

mod call;
mod config;
mod error;
mod key;
#[cfg(feature = "grpc")]
mod layer;
mod request;
mod source;

pub use call::CallError;
pub use config::{InvalidConfig, ServiceTokenConfig};
pub use error::ServiceTokenError;
pub use key::{ClientKey, InvalidKey};
#[cfg(feature = "grpc")]
pub use layer::{ServiceTokenLayer, WithServiceToken};
pub use source::{ServiceToken, ServiceTokens};
