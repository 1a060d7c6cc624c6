//! Infrastructure that our binaries share. Each binary adds its own settings, routes and tables.
//!
//! | module | holds |
//! |---|---|
//! | [`settings`] | settings from flags, environment and file, as checked values |
//! | [`exposed`] | files that others can read, and should not |
//! | [`exit`] | exit codes and error messages of a program |
//! | [`telemetry`] | the log: JSON lines on stderr |
//! | [`inert`](mod@inert) | text of others, made inert for terminals and logs |
//! | [`listener`] | ports: bind, serve, drain. `connection` serves each connection, `supervisor` watches over it, `stream` carries its bytes |
//! | [`connections`] | all connections of a port: which one is closed when it is full, metrics, file descriptors |
//! | [`ports`] | the limits of all ports of a service |
//! | [`tls`] | TLS of a port, reloaded when its files change |
//! | [`client_tls`] | TLS towards another service |
//! | [`http`] | the layers around all routes: request id, log, limits, time-out, CORS, error body |
//! | [`host`] | the host that a request is for, checked |
//! | [`gauges`] | metrics of the process, its database and its certificates |
//! | [`metrics`] | metrics of HTTP requests |
//! | [`openapi`] | routes and their OpenAPI document from one list, and a page for trying the calls |
//! | [`ops`] | the operations port, and the `healthcheck` command that queries it |
//! | [`paging`] | lists that are read page by page |
//! | [`shutdown`] | stop on SIGTERM and SIGINT |
//! | [`env`](mod@env) | clock and randomness, injected |
//! | [`address`] | the client's address behind proxies |
//! | [`accept`] | the media types that a client accepts |
//! | [`version`](mod@version) | what `--version` prints |
//! | [`database`] | the embedded database engine: one file, one writer, group commit |

pub mod accept;
pub mod address;
pub mod client_tls;
mod connection;
pub mod connections;
pub mod database;
pub mod env;
pub mod exit;
pub mod exposed;
pub mod gauges;
pub mod host;
pub mod http;
pub mod inert;
pub mod limits;
pub mod listener;
pub mod metrics;
pub mod openapi;
pub mod ops;
pub mod paging;
pub mod ports;
pub mod settings;
pub mod shutdown;
mod stream;
mod supervisor;
pub mod telemetry;
pub mod tls;
pub mod version;
