//! The client against an issuer in the same process, which says what a test wants it to.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use countermark_proto::auth_v1::{
    BatchIntrospectRequest, BatchIntrospectResponse, IntrospectRequest, IntrospectResponse,
    introspection_server::{Introspection, IntrospectionServer},
};
use serde_json::json;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::{
    Code, Request, Response, Status,
    metadata::MetadataMap,
    transport::{Server, server::TcpIncoming},
};
use zeroize::Zeroizing;

use super::{IntrospectionClient, IntrospectionConfig, IntrospectionError, InvalidConfig};
use crate::issuer::wire::claims::{self as wire, InvalidAnswer};
use crate::verify::{Audience, Audiences, Claims, Issuer, MAX_TOKEN_BYTES, NumericDate, Scope};

/// `a:b` and `s e:c+ret`, each form-encoded.
const AUTHORIZATION: &str = "Basic YSUzQWI6cytlJTNBYyUyQnJldA==";
const SECRET: &str = "s e:c+ret";

/// What the issuer does instead of answering properly.
enum Instead {
    Says(Code),
    Answers(Vec<IntrospectResponse>),
    KeepsSilent,
}

/// Knows one client, for which each token that starts with `alive` is alive.
#[derive(Default)]
struct FakeIssuer {
    instead: Mutex<VecDeque<Instead>>,
    /// The number of tokens in each call.
    calls: Mutex<Vec<usize>>,
}

impl FakeIssuer {
    fn first(does: impl IntoIterator<Item = Instead>) -> Arc<Self> {
        Arc::new(Self { instead: Mutex::new(does.into_iter().collect()), ..Self::default() })
    }

    fn calls(&self) -> Vec<usize> {
        self.calls.lock().unwrap().clone()
    }

    async fn answer(
        &self,
        metadata: &MetadataMap,
        tokens: &[String],
    ) -> Result<Vec<IntrospectResponse>, Status> {
        self.calls.lock().unwrap().push(tokens.len());
        assert!(metadata.contains_key("grpc-timeout"), "the issuer learns how long it has");
        if metadata.get_all("authorization").iter().ne([AUTHORIZATION]) {
            return Err(Status::unauthenticated("who?"));
        }
        let instead = self.instead.lock().unwrap().pop_front();
        match instead {
            None => Ok(tokens.iter().map(|token| about(token)).collect()),
            Some(Instead::Answers(responses)) => Ok(responses),
            Some(Instead::Says(code)) => Err(Status::new(code, "said")),
            Some(Instead::KeepsSilent) => std::future::pending().await,
        }
    }
}

fn about(token: &str) -> IntrospectResponse {
    wire::response(token.starts_with("alive").then(|| claims(token)))
}

fn claims(jti: &str) -> Claims {
    Claims {
        iss: Issuer::new("http://localhost:8080"),
        sub: "0190".parse().unwrap(),
        aud: Audiences::new(vec![Audience::new("resource-service")]).unwrap(),
        exp: NumericDate::from_unix_seconds(1_800_000_900),
        nbf: None,
        iat: None,
        jti: jti.get(..20.min(jti.len())).map(|jti| jti.parse().unwrap()),
        client_id: None,
        scope: Scope::default(),
        roles: vec![],
        email: None,
        sid: None,
        auth_time: None,
        fresh: None,
        amr: vec![],
        csrf: None,
        custom: json!({ "tenant": { "id": 7, "tags": ["a"] } }).as_object().unwrap().clone(),
    }
}

#[tonic::async_trait]
impl Introspection for FakeIssuer {
    async fn introspect(
        &self,
        request: Request<IntrospectRequest>,
    ) -> Result<Response<IntrospectResponse>, Status> {
        let tokens = [request.get_ref().token.clone()];
        let mut answers = self.answer(request.metadata(), &tokens).await?;
        Ok(Response::new(answers.remove(0)))
    }

    async fn batch_introspect(
        &self,
        request: Request<BatchIntrospectRequest>,
    ) -> Result<Response<BatchIntrospectResponse>, Status> {
        let responses = self.answer(request.metadata(), &request.get_ref().tokens).await?;
        Ok(Response::new(BatchIntrospectResponse { responses }))
    }
}

/// The issuer on a port; it stops when this is dropped.
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn listener(address: impl Into<SocketAddr>) -> TcpListener {
    TcpListener::bind(address.into()).await.unwrap()
}

fn run(issuer: &Arc<FakeIssuer>, listener: TcpListener) -> Running {
    let (stop, stopped) = oneshot::channel();
    let server = Server::builder().add_service(IntrospectionServer::from_arc(Arc::clone(issuer)));
    let task = tokio::spawn(async move {
        let until = async { drop(stopped.await) };
        server.serve_with_incoming_shutdown(TcpIncoming::from(listener), until).await.unwrap();
    });
    Running { stop, task }
}

fn config(address: SocketAddr, secret: &str) -> IntrospectionConfig {
    IntrospectionConfig::new(format!("http://{address}"), "a:b", Zeroizing::new(secret.to_owned()))
}

/// A client of that issuer.
async fn client_of(issuer: &Arc<FakeIssuer>) -> (IntrospectionClient, Running) {
    let listener = listener(([127, 0, 0, 1], 0)).await;
    let client = IntrospectionClient::new(&config(listener.local_addr().unwrap(), SECRET)).unwrap();
    (client, run(issuer, listener))
}

#[tokio::test]
async fn an_active_token_is_its_claims_and_any_other_is_none() {
    let issuer = FakeIssuer::first([]);
    let (client, _running) = client_of(&issuer).await;
    assert_eq!(client.introspect("alive").await, Ok(Some(claims("alive"))));
    assert_eq!(client.introspect("dead").await, Ok(None));
    assert_eq!(issuer.calls(), [1, 1]);
}

#[tokio::test]
async fn an_unavailable_issuer_is_asked_again() {
    let issuer = FakeIssuer::first([Code::Unavailable, Code::Unavailable].map(Instead::Says));
    let (client, _running) = client_of(&issuer).await;
    assert_eq!(client.introspect("alive").await, Ok(Some(claims("alive"))));
    assert_eq!(issuer.calls(), [1, 1, 1]);
}

#[tokio::test]
async fn whatever_asking_again_would_not_change_is_asked_once() {
    for (code, error) in [
        (Code::Unauthenticated, IntrospectionError::Unauthenticated),
        (Code::PermissionDenied, IntrospectionError::NotAllowed),
        (Code::DeadlineExceeded, IntrospectionError::DeadlineExceeded),
        (Code::ResourceExhausted, IntrospectionError::Failed(Code::ResourceExhausted, "said".into())),
        (Code::Internal, IntrospectionError::Failed(Code::Internal, "said".into())),
        (Code::Cancelled, IntrospectionError::Failed(Code::Cancelled, "said".into())),
    ] {
        let issuer = FakeIssuer::first([Instead::Says(code)]);
        let (client, _running) = client_of(&issuer).await;
        assert_eq!(client.introspect("alive").await, Err(error));
        assert_eq!(issuer.calls(), [1]);
    }
}

#[tokio::test]
async fn a_wrong_secret_is_unauthenticated() {
    let listener = listener(([127, 0, 0, 1], 0)).await;
    let client = IntrospectionClient::new(&config(listener.local_addr().unwrap(), "wrong")).unwrap();
    let _running = run(&FakeIssuer::first([]), listener);
    assert_eq!(client.introspect("alive").await, Err(IntrospectionError::Unauthenticated));
    assert_eq!(client.introspect_batch(&["alive"]).await, Err(IntrospectionError::Unauthenticated));
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    // One that takes the call, and one that doesn't even speak HTTP.
    let (takes, mute) = (listener(([127, 0, 0, 1], 0)).await, listener(([127, 0, 0, 1], 0)).await);
    let addresses = [takes.local_addr().unwrap(), mute.local_addr().unwrap()];
    let _running = run(&FakeIssuer::first([Instead::KeepsSilent]), takes);
    for address in addresses {
        let config = config(address, SECRET).with_deadline(Duration::from_millis(100));
        let client = IntrospectionClient::new(&config).unwrap();
        assert_eq!(client.introspect("alive").await, Err(IntrospectionError::DeadlineExceeded));
    }
}

#[tokio::test]
async fn an_absent_issuer_is_unavailable() {
    let listener = listener(([127, 0, 0, 1], 0)).await;
    let config = config(listener.local_addr().unwrap(), SECRET).with_deadline(Duration::from_millis(200));
    drop(listener);
    let error = IntrospectionClient::new(&config).unwrap().introspect("alive").await.unwrap_err();
    let refused = matches!(&error, IntrospectionError::Unavailable(why) if why.contains("refused"));
    assert!(refused, "{error:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_is_made_anew() {
    let listener = listener(([127, 0, 0, 1], 0)).await;
    let address = listener.local_addr().unwrap();
    let client = IntrospectionClient::new(&config(address, SECRET)).unwrap();
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.introspect("alive").await }
    });
    // The first connection ends before there is an answer.
    drop(listener.accept().await.unwrap());
    let issuer = FakeIssuer::first([]);
    let running = run(&issuer, listener);
    assert_eq!(asking.await.unwrap(), Ok(Some(claims("alive"))));

    running.stop.send(()).unwrap();
    running.task.await.unwrap();
    let _running = run(&issuer, super::tests::listener(address).await);
    assert_eq!(client.introspect("alive").await, Ok(Some(claims("alive"))));
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_tokens() {
    let issuer = FakeIssuer::first([]);
    let (client, _running) = client_of(&issuer).await;
    let tokens: Vec<String> = (0..2_001)
        .map(|number| if number % 3 == 0 { format!("alive {number}") } else { format!("dead {number}") })
        .collect();
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let answers = client.introspect_batch(&tokens).await.unwrap();
    let expected: Vec<_> =
        tokens.iter().map(|token| token.starts_with("alive").then(|| claims(token))).collect();
    assert_eq!(answers, expected);
    assert_eq!(issuer.calls(), [1_000, 1_000, 1]);
}

#[tokio::test]
async fn a_batch_of_the_longest_tokens_fits_the_issuers_messages() {
    let issuer = FakeIssuer::first([]);
    let (client, _running) = client_of(&issuer).await;
    let longest = format!("alive{}", "x".repeat(MAX_TOKEN_BYTES - 5));
    let answers = client.introspect_batch(&vec![longest.as_str(); 1_000]).await.unwrap();
    assert!(answers.iter().all(Option::is_some) && answers.len() == 1_000);
    assert_eq!(issuer.calls(), [384, 384, 232]);
}

#[tokio::test]
async fn a_token_over_8_kib_is_inactive_without_a_call() {
    let issuer = FakeIssuer::first([]);
    let (client, _running) = client_of(&issuer).await;
    let long = format!("alive{}", "x".repeat(MAX_TOKEN_BYTES));
    assert_eq!(client.introspect(&long).await, Ok(None));
    assert_eq!(client.introspect_batch(&[&long, &long]).await, Ok(vec![None, None]));
    assert_eq!(client.introspect_batch(&[]).await, Ok(vec![]));
    assert_eq!(issuer.calls(), [0; 0]);
    let answers = client.introspect_batch(&["alive 1", &long, "alive 2"]).await.unwrap();
    assert_eq!(answers, [Some(claims("alive 1")), None, Some(claims("alive 2"))]);
    assert_eq!(issuer.calls(), [2]);
}

#[tokio::test]
async fn an_answer_that_can_not_be_is_malformed() {
    let mut nobodys = about("alive");
    nobodys.claims.as_mut().unwrap().iss.clear();
    let silent = IntrospectResponse { active: true, claims: None };
    let issuer = FakeIssuer::first([vec![nobodys], vec![silent], vec![about("alive")]].map(Instead::Answers));
    let (client, _running) = client_of(&issuer).await;
    let malformed = |what| Err(IntrospectionError::Malformed(what));
    assert_eq!(client.introspect("alive").await, malformed(InvalidAnswer::Claim("iss")));
    assert_eq!(client.introspect("alive").await, malformed(InvalidAnswer::NoClaims));
    let answers = client.introspect_batch(&["alive", "alive"]).await;
    assert_eq!(answers, Err(IntrospectionError::Malformed(InvalidAnswer::Count)));
}

#[tokio::test]
async fn the_secret_is_shown_nowhere() {
    let config = config(([127, 0, 0, 1], 1).into(), SECRET);
    let authorization = config.authorization().unwrap();
    assert_eq!(authorization.as_bytes(), AUTHORIZATION.as_bytes());
    let shown = format!("{config:?} {authorization:?} {:?}", IntrospectionClient::new(&config).unwrap());
    assert!(!shown.contains(SECRET) && !shown.contains(&AUTHORIZATION[6..]), "{shown}");
}

#[tokio::test]
async fn an_endpoint_is_a_url_of_a_port_and_nothing_more() {
    let made = |url: &str, roots: Option<&str>| {
        let config = IntrospectionConfig::new(url, "a", Zeroizing::new("b".into()));
        let config = match roots {
            Some(pem) => config.with_roots(pem),
            None => config,
        };
        IntrospectionClient::new(&config).map(drop)
    };
    for url in ["http://localhost:50051", "http://localhost:50051/", "http://[::1]:50051"] {
        made(url, None).unwrap();
    }
    for url in ["", "localhost:50051", "ftp://a", "http://a/path", "http://a/?query", "http://u:p@a", "/"] {
        let error = made(url, None).unwrap_err();
        assert!(matches!(error, InvalidConfig::Endpoint), "{url}: {error:?}");
    }
    let error = made("https://a", Some("no certificate")).unwrap_err();
    assert!(matches!(error, InvalidConfig::Roots), "{error:?}");
    let error = made("https://a", Some("-----BEGIN CERTIFICATE-----\n-----END")).unwrap_err();
    assert!(matches!(error, InvalidConfig::Tls(_)), "{error:?}");
}
