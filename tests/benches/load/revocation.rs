//! Measures the time from the answer to a revocation until every watching verifier refuses the token, and the bytes
//! that an idle watcher costs.

use std::{
    future::pending,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use countermark::{
    clock::{Clock as _, SystemClock},
    issuer::{
        About, Followed, Follower, JwksClient, KeySource as _, TrustedIssuer,
        introspection::IntrospectionConfig,
    },
    random::SystemRandom,
    verify::{
        AcceptedAudiences, AnyAge, Audience, Freshness, Issuer, RevocationSet, Revocations, StalePolicy,
        TokenError, Verifier,
    },
};
use countermark_service::database::rusqlite::{Connection, params};
use hyper_util::rt::TokioIo;
use tests::{
    PATIENCE,
    process::Process,
    wire::{Request, Wire},
    world::{AUDIENCE, RESOURCE},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    runtime::Runtime,
};
use tonic::transport::Endpoint;
use zeroize::Zeroizing;

use crate::{median, millis, percentile, server::Server};

/// Time for which idle watchers are observed.
const IDLE: Duration = Duration::from_secs(30);

/// Number of live revocations that a new verifier has to receive.
const MANY: u32 = 1_000_000;

/// Number of measurements.
const CATCHES: u64 = 5;

/// A verifier that watches.
struct WatchingVerifier {
    revocations: Arc<Revocations>,
    freshness: Arc<Freshness>,
    trusted: TrustedIssuer,
}

pub(crate) fn run() {
    for (watchers, revocations) in [(1, 300), (100, 300), (1_000, 100)] {
        let issuer = Server::start(&[]);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let bytes = Arc::new(AtomicU64::new(0));
        let fleet = watch(&issuer, &runtime, watchers, &bytes);
        let (mut times, mut last) = (Vec::new(), Vec::new());
        for _ in 0..revocations {
            let mut own = revoke(&issuer, &fleet);
            last.push(percentile(&mut own, 100));
            times.extend(own);
        }
        let before = bytes.load(Relaxed);
        thread::sleep(IDLE);
        let idle = (bytes.load(Relaxed) - before) / u64::from(watchers);
        let [p50, p99, most] = [50, 99, 100].map(|percent| millis(percentile(&mut times, percent)));
        let all = [50, 99].map(|percent| millis(percentile(&mut last, percent)));
        println!(
            "{watchers:>5} watchers, {revocations} revocations: refused {p50:.2} ms after the answer (p50), {p99:.2} (p99), {most:.2} (max)"
        );
        println!(
            "      refused by all of them: {:.2} ms (p50), {:.2} (p99; target 50 for 100 watchers)",
            all[0], all[1]
        );
        let per_hour = idle * 3_600 / IDLE.as_secs();
        println!("      idle, both ways: {per_hour} bytes a watcher and hour, above TCP\n");
    }
}

/// Measures how long a new verifier takes until it knows a million live revocations and is current.
pub(crate) fn catch_up() {
    let issuer = Server::start(&[]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    insert(&issuer, MANY);
    let knows_all =
        |watching: &WatchingVerifier| watching.revocations.read(RevocationSet::len) == MANY as usize;
    // When the first verifier has all revocations, the issuer has read them too.
    let first = watch(&issuer, &runtime, 1, &Arc::default());
    wait(|| knows_all(&first[0]));
    let mut times = Vec::new();
    let bytes = Arc::<AtomicU64>::default();
    for _ in 0..CATCHES {
        let began = Instant::now();
        let fresh = watch(&issuer, &runtime, 1, &bytes);
        wait(|| knows_all(&fresh[0]));
        times.push(began.elapsed());
    }
    let (middle, most) = (millis(median(&mut times)), millis(percentile(&mut times, 100)));
    let megabytes = bytes.load(Relaxed) / CATCHES / 1_000_000;
    println!(
        "a fresh verifier knows {MANY} revocations after {middle:.0} ms (p50), {most:.0} (max; target 2000); {megabytes} MB came\n"
    );
}

/// Writes `count` live revocations to the database, as another process of the issuer would.
fn insert(issuer: &Server, count: u32) {
    let mut connection = Connection::open(issuer.database()).unwrap();
    connection.busy_timeout(PATIENCE).unwrap();
    let transaction = connection.transaction().unwrap();
    let expires_at = SystemClock::new().now().after(Duration::from_hours(1)).unix_millis();
    let mut insert = transaction
        .prepare("INSERT INTO revocations (seq, kind, subject, expires_at) VALUES (?, 'token', ?, ?)")
        .unwrap();
    for number in 1..=count {
        insert.execute(params![number, format!("{number:022}"), expires_at]).unwrap();
    }
    drop(insert);
    transaction.execute("UPDATE revocation_log SET head = ?", [count]).unwrap();
    transaction.commit().unwrap();
}

/// Starts `watchers` verifiers, each with its own connection, and waits until all are current.
fn watch(issuer: &Server, runtime: &Runtime, watchers: u32, bytes: &Arc<AtomicU64>) -> Vec<WatchingVerifier> {
    let _guard = runtime.enter();
    let clock = Arc::new(SystemClock::new());
    let url = format!("http://{}", issuer.http());
    let keys =
        JwksClient::new(&url, Arc::<SystemClock>::clone(&clock), Duration::ZERO, Duration::from_secs(3))
            .unwrap();
    runtime.block_on(keys.refresh()).unwrap();
    let held = keys.held().unwrap();
    let start = |number| {
        let (revocations, freshness) = (Arc::<Revocations>::default(), Arc::<Freshness>::default());
        let keys = Arc::new(keys.clone());
        let followed = Followed::new(
            Arc::clone(&revocations),
            Arc::clone(&freshness),
            Arc::<JwksClient>::clone(&keys) as _,
        );
        let follower = Follower::new(
            &config(issuer.process()),
            about(number),
            followed,
            Arc::<SystemClock>::clone(&clock),
            Arc::new(SystemRandom),
        )
        .unwrap();
        let connect = connect(issuer.process(), Arc::clone(bytes));
        runtime.spawn(follower.with_connection(connect).follow(pending()));
        let audiences = AcceptedAudiences::AnyOf(vec![Audience::new(AUDIENCE)]);
        let verifier = Verifier::new(Issuer::new("http://localhost:8080"), audiences);
        let trusted = TrustedIssuer::new(verifier, keys, Arc::<SystemClock>::clone(&clock))
            .with_revocations(Arc::clone(&revocations));
        WatchingVerifier { revocations, freshness, trusted }
    };
    assert!(!held.is_empty());
    let fleet: Vec<_> = (0..watchers).map(start).collect();
    let now = || clock.monotonic();
    wait(|| fleet.iter().all(|watching| watching.freshness.heard_ago(now()).is_some()));
    fleet
}

fn config(issuer: &Process) -> IntrospectionConfig {
    let secret = Zeroizing::new(RESOURCE.1.to_owned());
    IntrospectionConfig::new(format!("http://{}", issuer.address("grpc")), RESOURCE.0, secret)
}

fn about(number: u32) -> About {
    let mut about = About::new(format!("verifier-{number}"));
    about.policy = StalePolicy::Deny;
    about
}

/// Revokes a token. Returns for each verifier the time from the answer to its refusal.
fn revoke(issuer: &Server, fleet: &[WatchingVerifier]) -> Vec<Duration> {
    let mut wire = Wire::to(issuer.http());
    let client = format!("client_id={}&client_secret={}", RESOURCE.0, RESOURCE.1);
    let asked = format!("grant_type=client_credentials&scope=documents%3Aread&{client}");
    let answer = wire.ask(&Request::new("POST", "/oauth/token").form(&asked)).is(200);
    let token = answer["access_token"].as_str().unwrap().to_owned();
    let count = |watching: &WatchingVerifier| watching.revocations.read(RevocationSet::len);
    let before: Vec<_> = fleet.iter().map(count).collect();
    for watching in fleet {
        assert!(matches!(watching.trusted.verify_held(&token), Some(Ok(AnyAge::Live(_)))));
    }
    let revocation = Request::new("POST", "/oauth/revoke").form(&format!("token={token}&{client}"));
    assert_eq!(wire.ask(&revocation).status, 200);
    let answered = Instant::now();
    let mut times = vec![None; fleet.len()];
    wait(|| {
        for (at, watching) in
            fleet.iter().enumerate().filter(|(at, _)| times[*at].is_none()).collect::<Vec<_>>()
        {
            if count(watching) > before[at] {
                times[at] = Some(answered.elapsed());
            }
        }
        times.iter().all(Option::is_some)
    });
    for watching in fleet {
        let refused = watching.trusted.verify_held(&token).expect("an answer");
        assert_eq!(refused.err(), Some(TokenError::Revoked.into()));
    }
    times.into_iter().flatten().collect()
}

fn wait(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "it never holds");
        thread::sleep(Duration::from_micros(200));
    }
}

/// Connects, and counts the bytes on the connections.
fn connect(
    issuer: &Process,
    bytes: Arc<AtomicU64>,
) -> impl Fn() -> tonic::transport::Channel + Send + Sync + 'static {
    let address = issuer.address("grpc");
    move || {
        let bytes = Arc::clone(&bytes);
        let to = move |_: http::Uri| {
            let bytes = Arc::clone(&bytes);
            async move {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok::<_, std::io::Error>(TokioIo::new(Counted { stream, bytes }))
            }
        };
        Endpoint::from_static("http://issuer").connect_with_connector_lazy(tower::service_fn(to))
    }
}

struct Counted {
    stream: TcpStream,
    bytes: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.bytes.fetch_add((buffer.filled().len() - before).try_into().unwrap(), Relaxed);
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, buffer);
        if let Poll::Ready(Ok(count)) = &written {
            self.bytes.fetch_add((*count).try_into().unwrap(), Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
