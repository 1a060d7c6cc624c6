//! Metrics that are read when they are asked for: of the process, of its database, and of the certificates that it shows.

use std::{fmt, fs, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

use super::{database::Database, tls::Tls};

/// Encodes a gauge without labels.
///
/// # Errors
/// [`fmt::Error`] when the text can't be written.
pub fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let gauge = ConstGauge::new(value);
    gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
}

/// Encodes a counter without labels. The text has `_total` after its name.
///
/// # Errors
/// [`fmt::Error`] when the text can't be written.
pub fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let counter = ConstCounter::new(value);
    counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
}

/// Ticks of a second in `/proc`: the kernel's interface has always had 100.
const TICKS: u64 = 100;

/// What the system says of this process. Nothing where there is no `/proc`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessMetrics;

/// Figures of a process.
struct Process {
    cpu: Duration,
    started_at: Duration,
    resident_bytes: f64,
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        if let Some(Process { cpu, started_at, resident_bytes }) = process() {
            let help = "Processor time of this process, of user and system, in seconds";
            counter(encoder, "process_cpu_seconds", help, cpu.as_secs_f64())?;
            gauge(
                encoder,
                "process_resident_memory_bytes",
                "Resident memory of this process",
                resident_bytes,
            )?;
            let help = "Start of this process, in seconds since 1970";
            gauge(encoder, "process_start_time_seconds", help, started_at.as_secs_f64())?;
        }
        if let Some(open) = descriptors() {
            gauge(encoder, "process_open_fds", "Open file descriptors of this process", open)?;
        }
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        limit.map_or(Ok(()), |limit| {
            gauge(encoder, "process_max_fds", "File descriptors that this process may open", float(limit))
        })
    }
}

/// Size and work of the embedded database.
#[derive(Clone, Debug)]
pub struct DatabaseMetrics(pub Database);

impl Collector for DatabaseMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (encoder, figures) = (&mut encoder, self.0.figures());
        gauge(encoder, "database_size_bytes", "Size of the database file", float(figures.bytes))?;
        let help = "Size of the database's write-ahead log";
        gauge(encoder, "database_log_size_bytes", help, float(figures.log_bytes))?;
        counter(encoder, "database_commits", "Commits, each of one or more writes", float(figures.commits))?;
        let help = "Commits that failed";
        counter(encoder, "database_commits_failed", help, float(figures.failed))
    }
}

/// The ends of the certificates that the ports show.
#[derive(Debug)]
pub struct CertificateMetrics(Vec<(&'static str, Tls)>);

impl CertificateMetrics {
    /// Of each port its name, and its TLS state if it speaks TLS.
    #[must_use]
    pub fn new(ports: impl IntoIterator<Item = (&'static str, Option<Tls>)>) -> Self {
        Self(ports.into_iter().filter_map(|(port, tls)| Some((port, tls?))).collect())
    }
}

impl Collector for CertificateMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let ends: Vec<_> =
            self.0.iter().filter_map(|(port, tls)| Some((*port, tls.valid_until()?))).collect();
        if ends.is_empty() {
            return Ok(());
        }
        let kind = ConstGauge::new(0_i64).metric_type();
        let help = "End of the certificate that the port shows, in seconds since 1970";
        let mut descriptor =
            encoder.encode_descriptor("certificate_expiry_timestamp_seconds", help, None, kind)?;
        for (port, end) in ends {
            ConstGauge::new(end).encode(descriptor.encode_family(&[("listener", port)])?)?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floats; 2^53 is not to be had")]
fn float(number: u64) -> f64 {
    number as f64
}

fn process() -> Option<Process> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program may hold blanks and brackets, so the numbers begin after the last bracket.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    let span = |ticks: u64| Duration::from_millis(ticks.saturating_mul(1_000) / TICKS);
    let system = fs::read_to_string("/proc/stat").ok()?;
    let boot = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = resident.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Process {
        cpu: span(number(11)? + number(12)?),
        started_at: Duration::from_secs(boot) + span(number(19)?),
        resident_bytes: float(kibibytes.saturating_mul(1_024)),
    })
}

fn descriptors() -> Option<f64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    // Reading the folder takes one.
    u64::try_from(open.saturating_sub(1)).ok().map(float)
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::*;

    #[test]
    fn this_process_has_figures() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessMetrics));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let value = |name: &str| -> f64 {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("{name} ")))
                .unwrap_or_else(|| panic!("{text}"));
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_start_time_seconds") > 1.7e9);
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_open_fds") >= 3.0 && value("process_max_fds") > value("process_open_fds"));
    }
}
