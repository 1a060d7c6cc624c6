//! Sessions, compared with a reference model. The test generates histories and compares each answer with the contract.
//!
//! A history is a plain list of operations. proptest's state machine is not used, because it must know its states in
//! advance. Here a lost answer or concurrent requests leave several states possible, and the model learns the actual
//! one from later answers.
//!
//! - [`rules`] — the contract's rules for one session; [`reference`] — the model made of them
//! - [`operation`] — the operations and their frequencies
//! - [`driver`] — the service; [`history`] — runs a history and compares the answers; [`answer`] — parses the answers
//!
//! A number determines a history. A failure prints its number, and `COUNTERMARK_HISTORY=<number>` runs that history
//! alone. A race does not happen at the same place each time, so a failure may need several runs to occur again.

mod answer;
mod driver;
mod history;
mod operation;
mod reference;
mod rules;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    env, mem,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use proptest::{
    strategy::Strategy as _,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};
use tests::effort::effort;

use self::{driver::Driver, operation::Operation, rules::Rule};

/// Environment variable with the number of one history.
const VARIABLE: &str = "COUNTERMARK_HISTORY";

/// Number of services that run at once, each with its own histories. A client mostly waits for the disk.
const LANES: usize = 2;

/// The operations that were run, with their counts.
#[derive(Debug, Default)]
struct Tried {
    histories: u64,
    operations: BTreeMap<&'static str, usize>,
    /// Refreshes by the rule that decided the answer.
    rules: BTreeMap<Rule, usize>,
}

impl Tried {
    fn add(mut self, other: Self) -> Self {
        self.histories += other.histories;
        for (kind, count) in other.operations {
            *self.operations.entry(kind).or_default() += count;
        }
        for (rule, count) in other.rules {
            *self.rules.entry(rule).or_default() += count;
        }
        self
    }
}

#[test]
fn whatever_is_done_in_whatever_order_the_answers_are_those_of_the_reference_model() {
    let is_over = AtomicBool::new(false);
    if let Ok(number) = env::var(VARIABLE) {
        let number = number.parse().expect("the number of a history");
        lane([number], usize::MAX, &is_over).unwrap_or_else(|failure| panic!("{failure}"));
        return;
    }
    let wanted = effort(3_000, 100_000, 1_000_000);
    let of_each = wanted.div_ceil(LANES);
    let lanes: Vec<_> = thread::scope(|scope| {
        let numbers = |first| (first..).step_by(LANES);
        let is_over = &is_over;
        let start = |first| scope.spawn(move || lane(numbers(first), of_each, is_over));
        let lanes: Vec<_> = (0..).take(LANES).map(start).collect();
        lanes.into_iter().map(|lane| lane.join().expect("a lane that ends")).collect()
    });
    let lanes =
        lanes.into_iter().collect::<Result<Vec<_>, _>>().unwrap_or_else(|failure| panic!("{failure}"));
    let tried = lanes.into_iter().fold(Tried::default(), Tried::add);
    let operations: usize = tried.operations.values().sum();
    println!("{operations} operations, 0 divergences: {tried:#?}");
    assert!(operations >= wanted, "{operations} operations, and not {wanted}");
    assert_eq!(tried.operations.len(), Operation::KINDS, "every kind was done");
    for rule in Rule::ALL {
        assert!(tried.rules.contains_key(&rule), "{rule:?} was never tried");
    }
}

/// Runs histories until `wanted` operations are done or another lane has failed.
fn lane(
    numbers: impl IntoIterator<Item = u64>,
    wanted: usize,
    is_over: &AtomicBool,
) -> Result<Tried, String> {
    let driver = RefCell::new(Driver::start());
    let mut histories = 0;
    let mut outcome = Ok(());
    for number in numbers {
        outcome = history(number, &driver);
        histories += 1;
        is_over.fetch_or(outcome.is_err(), Ordering::Relaxed);
        if is_over.load(Ordering::Relaxed) || driver.borrow().done.values().sum::<usize>() >= wanted {
            break;
        }
    }
    let mut driver = driver.into_inner();
    let (operations, rules) = (mem::take(&mut driver.done), mem::take(&mut driver.rules));
    driver.stop();
    outcome.map(|()| Tried { histories, operations, rules })
}

/// Runs one history. A failing history is run again with parts left out, until no more can be left out.
fn history(number: u64, driver: &RefCell<Driver>) -> Result<(), String> {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: 3_000,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let tree = operation::history().new_tree(&mut runner).map_err(|reason| reason.to_string())?;
    let attempt = |operations: Vec<_>| driver.borrow_mut().run(&operations).map_err(TestCaseError::fail);
    match runner.run_one(tree, attempt) {
        Ok(_) => Ok(()),
        Err(TestError::Abort(reason)) => Err(format!("history {number} was given up: {reason}")),
        Err(TestError::Fail(reason, operations)) => Err(format!(
            "{reason}\nThe shortest history that does it, out of number {number}:\n{operations:#?}\n\
             Again: {VARIABLE}={number} cargo test -p tests --test scenarios model"
        )),
    }
}
