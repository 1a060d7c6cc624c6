//! The real binaries as processes, started as an operator would.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, LazyLock, Mutex},
    thread::{self, JoinHandle},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{Http, grpc::Grpc, until};

pub const AUTH: &str = "auth-service";
pub const RESOURCE: &str = "resource-service";

/// Folder of the binaries. They are built on first use, into the target folder of this test.
static BINARIES: LazyLock<PathBuf> = LazyLock::new(|| {
    let test = env::current_exe().unwrap();
    // target/<profile>/deps/scenarios-…
    let folder = test.ancestors().nth(2).unwrap().to_owned();
    let profile = match folder.file_name().and_then(OsStr::to_str) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--quiet",
            "--package",
            AUTH,
            "--package",
            RESOURCE,
            "--profile",
            profile,
            "--target-dir",
        ])
        .arg(folder.parent().unwrap())
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status();
    assert!(status.expect("cargo").success(), "the binaries can be built");
    folder
});

/// Path of a binary.
pub fn binary(name: &str) -> PathBuf {
    BINARIES.join(name)
}

/// A command to start: binary, arguments and environment. It inherits nothing from the test's environment.
#[derive(Debug)]
pub struct Start(Command);

impl Start {
    pub fn of(binary: &str) -> Self {
        let mut command = Command::new(BINARIES.join(binary));
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command)
    }

    /// A command that runs on one core only. `taskset` of util-linux pins all its threads.
    pub fn on_core(binary: &str, core: usize) -> Self {
        let start = Self::of("/usr/bin/taskset").arg("--cpu-list").arg(core.to_string());
        start.arg(self::binary(binary))
    }

    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    #[must_use]
    pub fn envs<N: AsRef<OsStr>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        for (name, value) in variables {
            self.0.env(name, value.into());
        }
        self
    }

    #[must_use]
    pub fn within(mut self, folder: &std::path::Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// Runs the process to its end, which must come soon.
    pub async fn end(self) -> Ended {
        let mut process = self.spawn();
        let mut pipe = process.child.stdout.take().unwrap();
        // The output is read while the process runs. Otherwise a full pipe would block the process.
        let reader = thread::spawn(move || {
            let mut stdout = String::new();
            pipe.read_to_string(&mut stdout).map(|_| stdout)
        });
        let status = process.exit().await;
        Ended {
            code: status.code(),
            stdout: reader.join().unwrap().expect("text on stdout"),
            stderr: process.stderr(),
        }
    }

    /// Runs the process until it listens.
    pub async fn listen(self) -> Process {
        let mut process = self.spawn();
        let lines = Arc::clone(&process.lines);
        let line = until("the service listens", async || {
            assert!(process.child.try_wait().unwrap().is_none(), "it ended: {lines:?}");
            let lines = lines.lock().unwrap();
            lines
                .iter()
                .map(|line| serde_json::from_str::<Value>(line).unwrap_or_default())
                .find(|line| line["message"] == "listening")
        });
        let line = line.await;
        process.addresses = line;
        process
    }

    fn spawn(mut self) -> Process {
        let mut child = self.0.spawn().expect("the binary starts");
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            for line in stderr.split(b'\n') {
                let line = String::from_utf8_lossy(&line.unwrap()).into_owned();
                to.lock().unwrap().push(line);
            }
        });
        Process { child, lines, reader: Some(reader), addresses: Value::Null }
    }
}

/// Exit code and output of a process.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    addresses: Value,
}

impl Process {
    pub fn address(&self, port: &str) -> SocketAddr {
        let address = self.addresses[format!("{port}.address")].as_str();
        address.unwrap_or_else(|| panic!("{port} in {}", self.addresses)).parse().unwrap()
    }

    pub fn http(&self) -> Http {
        Http::at(self.address("http"))
    }

    pub fn ops(&self) -> Http {
        Http::at(self.address("ops"))
    }

    pub fn grpc(&self) -> Grpc {
        Grpc::at(self.address("grpc"))
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for the end of the process.
    pub async fn exit(&mut self) -> ExitStatus {
        let status = until("the process ends", async || self.child.try_wait().unwrap()).await;
        // The reader must see the last lines.
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn stop(mut self) -> Ended {
        self.signal(Signal::TERM);
        let status = self.exit().await;
        Ended { code: status.code(), stdout: String::new(), stderr: self.stderr() }
    }

    /// Everything that the process wrote to stderr.
    pub fn stderr(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
