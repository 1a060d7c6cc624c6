//! The service that runs the histories. It is started, stopped, crashed and swept.

use std::{collections::BTreeMap, mem, net::SocketAddr, sync::Arc, time::Duration};

use auth_service::ops::AuthService;
use tests::{World, grpc::Grpc, wire::Wire, world::BILLING};
use tokio::runtime::Runtime;

use super::{history::History, operation::Operation, reference::Divergence, rules::Rule};

/// Number of connections.
const WIRES: usize = 4;

/// Time that the conservative clock needs before a sweep uses the wall clock's time: the longest access lifetime and
/// one minute.
const SETTLED_AFTER: Duration = Duration::from_mins(16);

/// A service, and everything that outlives a history.
pub(super) struct Driver {
    pub(super) runtime: Runtime,
    pub(super) world: World,
    pub(super) operator: Arc<AuthService>,
    pub(super) grpc: Grpc,
    pub(super) wires: Vec<Wire>,
    pub(super) histories: usize,
    /// Whether the last history ended normally. Otherwise requests may still be in flight.
    is_clean: bool,
    /// Count of each rule that decided an answer.
    pub(super) rules: BTreeMap<Rule, usize>,
    /// Count of each kind of operation.
    pub(super) done: BTreeMap<&'static str, usize>,
}

impl Driver {
    pub(super) fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (world, operator) = runtime.block_on(async {
            let world =
                World::of_auth_alone(&[("AUTH_TRUSTED_PROXIES", "127.0.0.0/8"), ("AUTH_SESSION_TTL", "40d")])
                    .await;
            let operator = world.operator().await;
            (world, operator)
        });
        let grpc = runtime.block_on(async { world.grpc() });
        let mut driver = Self {
            runtime,
            world,
            operator,
            grpc,
            wires: Vec::new(),
            histories: 0,
            is_clean: true,
            rules: BTreeMap::new(),
            done: BTreeMap::new(),
        };
        driver.reconnect();
        driver
    }

    pub(super) fn stop(self) {
        drop(self.operator);
        self.runtime.block_on(self.world.stop());
    }

    /// Runs a history on new accounts. At the end every visible part of the state is checked again.
    pub(super) fn run(&mut self, operations: &[Operation]) -> Result<(), Divergence> {
        self.histories += 1;
        if !mem::take(&mut self.is_clean) {
            self.restart();
        }
        let mut history = History::begin(self);
        for operation in operations {
            if history.perform(operation).map_err(|divergence| format!("{operation:?}: {divergence}"))? {
                *history.driver.done.entry(operation.kind()).or_default() += 1;
            }
        }
        history.look_at_everything().map_err(|divergence| format!("in the end: {divergence}"))?;
        self.is_clean = true;
        Ok(())
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.world.auth().address
    }

    fn reconnect(&mut self) {
        self.wires = (0..WIRES).map(|_| Wire::to(self.address())).collect();
        let _in_runtime = self.runtime.enter();
        self.grpc = self.world.grpc().basic(BILLING.0, BILLING.1);
    }

    pub(super) fn restart(&mut self) {
        self.wires.clear();
        self.runtime.block_on(async {
            self.world.stop_auth().await;
            self.world.start_auth().await.expect("auth-service starts");
        });
        self.reconnect();
    }

    pub(super) fn crash(&mut self) {
        self.runtime.block_on(async {
            self.world.crash_auth().await;
            self.world.start_auth().await.expect("auth-service starts");
        });
        self.reconnect();
    }

    /// Sweeps by the time that the wall clock shows now. The monotonic clock moves on until the conservative clock
    /// shows that time.
    pub(super) fn sweep(&self) {
        self.runtime.block_on(self.operator.sweep()).unwrap();
        self.world.clock.advance_monotonic(SETTLED_AFTER);
        self.runtime.block_on(self.operator.sweep()).unwrap();
    }
}
