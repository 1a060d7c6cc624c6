//! A service on a core of its own, and the core of the clients that measure it.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use rustix::{
    process::{Pid, getpid},
    thread::{CpuSet, sched_setaffinity},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    process::{AUTH, Process, RESOURCE, Start},
    until,
    wire::{Request, Wire},
    world::{ADMIN, bootstrap},
};

/// Core of the service.
pub(crate) const SERVICE: usize = 0;

/// Core of the clients.
pub(crate) const CLIENT: usize = 1;

/// Pins this thread, and all threads that it starts later, to `core`.
pub(crate) fn pin(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).expect("a core of that number");
}

/// An issuer on core 0 with its own data.
pub(crate) struct Server {
    process: Process,
    folder: TempDir,
}

/// Starts a resource server on core 0 with its own data, and waits until it is ready.
pub(crate) fn resource(settings: &[(&str, String)]) -> (Process, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("resource.db").display());
    let start = Start::on_core(RESOURCE, SERVICE)
        .within(folder.path())
        .env("RESOURCE_HTTP_ADDR", "127.0.0.1:0")
        .env("RESOURCE_OPS_ADDR", "127.0.0.1:0")
        .env("RESOURCE_DATABASE_URL", database)
        .envs(settings.iter().map(|(name, value)| (*name, value)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let process = runtime.block_on(async {
        let process = start.listen().await;
        let ops = process.ops();
        until("it is ready", async || (ops.get("/health/ready").await.status == 200).then_some(())).await;
        process
    });
    (process, folder)
}

impl Server {
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(folder.path().join("bootstrap.toml"), bootstrap()).unwrap();
        let start = Start::on_core(AUTH, SERVICE)
            .env("AUTH_HTTP_ADDR", "127.0.0.1:0")
            .env("AUTH_GRPC_ADDR", "127.0.0.1:0")
            .env("AUTH_OPS_ADDR", "127.0.0.1:0")
            .env("AUTH_DATABASE_URL", format!("sqlite://{}", path("auth.db")))
            .env("AUTH_MASTER_KEY_FILE", path("master.key"))
            .env("AUTH_BOOTSTRAP_FILE", path("bootstrap.toml"))
            .env("AUTH_LOGIN_LIMITS", "off")
            .env("AUTH_TOKEN_LIMITS", "off")
            .envs(settings.iter().copied());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let process = runtime.block_on(start.listen());
        pin(CLIENT);
        Self { process, folder }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("auth.db")
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.process.address("http")
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Logs in and returns the token answer.
    pub(crate) fn login(&self) -> Value {
        let body = json!({"email": ADMIN.0, "password": ADMIN.1});
        Wire::to(self.http()).ask(&Request::new("POST", "/login").json(&body)).is(200)
    }

    /// Resident memory in MiB: the present value and the peak.
    pub(crate) fn memory(&self) -> (f64, f64) {
        let pid: Pid = self.process.pid();
        assert_ne!(pid, getpid());
        let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap();
        let of = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).expect("a line of that name");
            line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
        };
        (of("VmRSS"), of("VmHWM"))
    }
}

/// A resource server on core 0 that trusts this issuer. The issuer has little to do.
pub(crate) struct Resource {
    process: Process,
    _issuer: Server,
    _folder: TempDir,
}

impl Resource {
    pub(crate) fn start(issuer: Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let start = Start::on_core(RESOURCE, SERVICE)
            .env("RESOURCE_HTTP_ADDR", "127.0.0.1:0")
            .env("RESOURCE_OPS_ADDR", "127.0.0.1:0")
            .env("RESOURCE_AUTH_URL", format!("http://{}", issuer.http()))
            .env("RESOURCE_DATABASE_URL", format!("sqlite://{}", path("resource.db")))
            .env("RESOURCE_BUNDLE_FILE", path("verifier.bundle"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let process = runtime.block_on(async {
            let process = start.listen().await;
            let ready = async || {
                let ready = process.ops().get("/health/ready").await.status;
                (ready == 200).then_some(())
            };
            until("it has the keys", ready).await;
            process
        });
        Self { process, _issuer: issuer, _folder: folder }
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.process.address("http")
    }

    pub(crate) fn pid(&self) -> Pid {
        self.process.pid()
    }
}

/// Processor time of a process so far, and the kernel's part of it.
pub(crate) fn processor_time(pid: Pid) -> (Duration, Duration) {
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap();
    // The second field is the program's name in parentheses. It may contain blanks.
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let [user, kernel] = [11, 12].map(|field: usize| TICK * fields[field].parse::<u32>().unwrap());
    (user + kernel, kernel)
}
