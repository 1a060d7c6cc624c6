//! The error of a hash that can't be used.

/// Why the text is no hash that passwords can be checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHash {
    /// It is not a hash of a known form.
    #[error("no password hash of a known form (argon2, bcrypt, scrypt or PBKDF2)")]
    UnknownForm,
    /// It is one, and to check a password would take more memory or time than a login may.
    #[error("too costly to check: more than 64 MiB or a second")]
    TooCostly,
}
