//! Who runs a command: the user and the host, for the audit trail.

use std::{fs, os::unix::fs::MetadataExt as _, sync::LazyLock};

/// For example `by an operator (uid 1000 on web-1)`.
pub(in crate::ops) fn by_whom() -> &'static str {
    static BY: LazyLock<String> = LazyLock::new(|| {
        let uid = fs::metadata("/proc/self").map_or_else(|_| "unknown".to_owned(), |me| me.uid().to_string());
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = if host.trim().is_empty() { "an unknown host" } else { host.trim() };
        format!("by an operator (uid {uid} on {host})")
    });
    &BY
}
