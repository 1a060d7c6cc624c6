//! The operations and their frequencies. Operations refer to accounts, sessions and tokens by their position at that
//! moment. Therefore any part of a history is also a valid history, and shrinking just leaves operations out.

use proptest::prelude::{Just, Strategy, any, prop_oneof};

use super::rules::{DAY, Device, HOUR, MINUTE, Millis, SECOND};

/// A position in the list at that moment. Live items come first, and the newest of them before older ones.
pub(super) type Pick = usize;

#[derive(Clone, Debug)]
pub(super) enum Operation {
    Login {
        account: Pick,
        is_right: bool,
        device: Device,
    },
    /// A client sends a refresh token: the live one, its predecessor, or an older one.
    Refresh {
        session: Pick,
        shot: Shot,
        in_body: bool,
    },
    /// Several requests at the same time.
    Race {
        session: Pick,
        shots: Vec<Shot>,
    },
    /// A client gets no answer, for the reason `how`.
    Lose {
        session: Pick,
        shot: Shot,
        how: Loss,
    },
    Show {
        token: Pick,
    },
    Introspect,
    List {
        token: Pick,
    },
    LogOut {
        token: Pick,
    },
    LogOutAll {
        token: Pick,
    },
    EndSession {
        token: Pick,
        session: Pick,
    },
    ChangePassword {
        token: Pick,
        is_right: bool,
    },
    Clock(Step),
    Restart,
    /// The service crashes while it handles these requests.
    Crash {
        session: Pick,
        shots: Vec<Shot>,
    },
    /// Another process sweeps expired data.
    Sweep,
    /// An operator ends a session.
    Revoke {
        session: Pick,
    },
    /// An operator disables an account.
    Disable {
        account: Pick,
    },
    /// An operator enables all disabled accounts.
    Enable,
}

impl Operation {
    /// Number of kinds.
    pub(super) const KINDS: usize = 18;

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Login { .. } => "log in",
            Self::Refresh { .. } => "refresh",
            Self::Race { .. } => "race",
            Self::Lose { .. } => "lose an answer",
            Self::Show { .. } => "show an access token",
            Self::Introspect => "introspect",
            Self::List { .. } => "list sessions",
            Self::LogOut { .. } => "log out",
            Self::LogOutAll { .. } => "log out everywhere",
            Self::EndSession { .. } => "end a session",
            Self::ChangePassword { .. } => "change the password",
            Self::Clock(_) => "set the clock",
            Self::Restart => "restart",
            Self::Crash { .. } => "crash",
            Self::Sweep => "sweep",
            Self::Revoke { .. } => "revoke a session",
            Self::Disable { .. } => "disable an account",
            Self::Enable => "enable an account",
        }
    }
}

/// A request with the refresh token that is `back` places before the newest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shot {
    pub(super) back: Pick,
    pub(super) act: ShotAct,
    pub(super) device: Device,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShotAct {
    Refresh,
    LogOut,
}

/// How an answer is lost.
#[derive(Clone, Copy, Debug)]
pub(super) enum Loss {
    /// The answer arrived and the client lost it.
    Unread,
    /// The client disconnects while its request is in flight, after yielding `looks` times.
    HungUp { looks: usize },
}

/// How the clock moves.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    By(Millis),
    /// Moves to an instant that matters to a session, or slightly before or after it.
    To {
        session: Pick,
        edge: Edge,
        off: Millis,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Edge {
    EndOfWindow,
    SetBack,
    Idle,
    Over,
    TokenExpiry,
    TokenAhead,
}

/// Histories long enough for a session to reach its end.
pub(super) fn history() -> impl Strategy<Value = Vec<Operation>> {
    proptest::collection::vec(operation(), 1..=120)
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        140 => (any::<Pick>(), rarely(8), device()).prop_map(|(account, is_wrong, device)| Operation::Login {
            account, is_right: !is_wrong, device
        }),
        360 => (session(), shot(1), any::<bool>())
            .prop_map(|(session, shot, in_body)| Operation::Refresh { session, shot, in_body }),
        30 => (session(), proptest::collection::vec(shot(8), 2..=4))
            .prop_map(|(session, shots)| Operation::Race { session, shots }),
        40 => (session(), shot(8), loss()).prop_map(|(session, shot, how)| Operation::Lose { session, shot, how }),
        120 => token().prop_map(|token| Operation::Show { token }),
        20 => Just(Operation::Introspect),
        40 => token().prop_map(|token| Operation::List { token }),
        20 => token().prop_map(|token| Operation::LogOut { token }),
        8 => token().prop_map(|token| Operation::LogOutAll { token }),
        12 => (token(), session()).prop_map(|(token, session)| Operation::EndSession { token, session }),
        10 => (token(), any::<bool>())
            .prop_map(|(token, is_right)| Operation::ChangePassword { token, is_right }),
        250 => step().prop_map(Operation::Clock),
        2 => Just(Operation::Restart),
        2 => (session(), proptest::collection::vec(shot(8), 0..=2))
            .prop_map(|(session, shots)| Operation::Crash { session, shots }),
        5 => Just(Operation::Sweep),
        4 => session().prop_map(|session| Operation::Revoke { session }),
        4 => any::<Pick>().prop_map(|account| Operation::Disable { account }),
        40 => Just(Operation::Enable),
    ]
}

/// Mostly the newest.
fn recent() -> impl Strategy<Value = Pick> {
    prop_oneof![12 => Just(0), 4 => Just(1), 1 => Just(2), 1 => any::<Pick>()]
}

fn session() -> impl Strategy<Value = Pick> {
    recent()
}

fn token() -> impl Strategy<Value = Pick> {
    recent()
}

/// A request with a refresh token. One of `refreshes` + 1 requests is a logout, but none when `refreshes` is 1.
fn shot(refreshes: u32) -> impl Strategy<Value = Shot> {
    let back = prop_oneof![36 => Just(0), 6 => Just(1), 1 => Just(2), 1 => any::<Pick>()];
    let log_outs = u32::from(refreshes != 1);
    let act = (0..refreshes + log_outs)
        .prop_map(move |act| if act < refreshes { ShotAct::Refresh } else { ShotAct::LogOut });
    (back, act, device()).prop_map(|(back, act, device)| Shot { back, act, device })
}

/// Mostly the same client, but not always from the same address.
fn device() -> impl Strategy<Value = Device> {
    let agent = prop_oneof![20 => Just("browser"), 1 => Just("thief"), 1 => Just("")];
    let address = prop_oneof![6 => Just("203.0.113.1"), 1 => Just("203.0.113.2"), 1 => Just("2001:db8::3")];
    (agent, address).prop_map(|(agent, address)| Device { agent, address })
}

fn loss() -> impl Strategy<Value = Loss> {
    prop_oneof![Just(Loss::Unread), (0..400_usize).prop_map(|looks| Loss::HungUp { looks })]
}

fn step() -> impl Strategy<Value = Step> {
    let edge = prop_oneof![
        6 => Just(Edge::EndOfWindow),
        2 => Just(Edge::SetBack),
        2 => Just(Edge::Idle),
        1 => Just(Edge::Over),
        2 => Just(Edge::TokenExpiry),
        1 => Just(Edge::TokenAhead),
    ];
    let off = prop_oneof![
        3 => Just(0), 3 => Just(1), 3 => Just(-1), 1 => -2 * SECOND..2 * SECOND, 1 => -5 * MINUTE..0
    ];
    prop_oneof![
        60 => (0..4 * SECOND).prop_map(Step::By),
        20 => (0..2 * MINUTE).prop_map(Step::By),
        20 => (0..HOUR).prop_map(Step::By),
        10 => (0..29 * DAY).prop_map(Step::By),
        2 => (0..100 * DAY).prop_map(Step::By),
        12 => (-2 * MINUTE..0).prop_map(Step::By),
        4 => Just(Step::By(-HOUR)),
        1 => Just(Step::By(3_653 * DAY)),
        80 => (session(), edge, off).prop_map(|(session, edge, off)| Step::To { session, edge, off }),
    ]
}

fn rarely(one_in: u32) -> impl Strategy<Value = bool> {
    (0..one_in).prop_map(move |number| number == one_in - 1)
}
