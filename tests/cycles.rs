//! Probes that come and go under load, thousands of times: the target does not notice.
//!
//! Each cycle puts the probes of one function in and takes them out again, which waits for the
//! kernel's grace periods and not for a processor; so many functions cycle at the same time.
#![allow(clippy::print_stderr, clippy::unwrap_used)] // all of this is tests

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use common::need;
use common::target::Target;
use common::{code, compile, rights};
use coral_model::{FunctionId, Limits, Snapshot};
use coral_tui::agent::{Agent, AttachRequest, Watched};
use coral_tui::source;

/// How many cycles there are, if not as many as `CORAL_TEST_CYCLES` says.
const CYCLES: usize = 400;
/// A session ends after so many of its cycles, and another begins.
const CYCLES_PER_SESSION: usize = 50;

/// What runs in a target, and which of its functions come and go.
struct Load {
    scenarios: &'static [&'static str],
    functions: &'static [&'static str],
}

const C: Load = Load {
    scenarios: &[
        "plain", "threads", "longjmp", "cold", "switch", "leaf", "signal",
    ],
    functions: &[
        "plain_outer",
        "plain_step",
        "jump_down",
        "cold_path",
        "by_table",
        "leaf_red_zone",
        "in_handler",
        "raise_inside",
    ],
};

const GO: Load = Load {
    scenarios: &["plain", "grow", "migrate", "panic", "goexit"],
    functions: &[
        "main.plainOuter",
        "main.plainStep",
        "main.grow",
        "main.growInner",
        "main.migrate",
        "main.panicDown",
        "main.recoverAll",
        "main.goexitDown",
    ],
};

#[test]
fn thousands_of_cycles_under_load_leave_a_c_program_as_it_is() {
    check(
        &need!(rights::probes().and_then(|()| compile::c(&["-O2"]))),
        &C,
    );
}

#[test]
fn thousands_of_cycles_under_load_leave_a_go_program_as_it_is() {
    need!(rights::probes());
    let newest = need!(compile::gos()).pop().unwrap();
    check(&need!(compile::go(&newest, &[])), &GO);
}

fn check(binary: &Path, load: &Load) {
    let mut target = Target::spawn(binary);
    let expected: Vec<String> = load
        .scenarios
        .iter()
        .map(|scenario| target.run(scenario).checksum)
        .collect();
    let watched = Arc::new(source::local::open(target.pid(), &[]).unwrap());
    let cycles = Cycles::new(load.functions.len());
    let began = Instant::now();
    let rounds = std::thread::scope(|scope| {
        for function in load.functions {
            let cycles = &cycles;
            let watched = Arc::clone(&watched);
            scope.spawn(move || {
                let _ended = Ended(cycles);
                cycles.run(&watched, function);
            });
        }
        let mut rounds = 0;
        while cycles.running.load(Relaxed) > 0 {
            for (scenario, expected) in load.scenarios.iter().zip(&expected) {
                assert_eq!(&target.run(scenario).checksum, expected, "{scenario}");
            }
            rounds += 1;
        }
        rounds
    });
    assert!(!cycles.failed.load(Relaxed));
    let (done, asked) = (cycles.done.load(Relaxed), cycles.asked);
    eprintln!(
        "{done} cycles in {:?}, {rounds} rounds of load",
        began.elapsed()
    );
    assert!(done >= asked, "{done} of {asked}");
    assert!(rounds > 0, "there was no load");
    assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
    assert_eq!(target.quit().code(), Some(0));
}

/// The cycles of all functions of one target.
struct Cycles {
    agent: Agent,
    asked: usize,
    done: AtomicUsize,
    running: AtomicUsize,
    failed: AtomicBool,
}

impl Cycles {
    fn new(functions: usize) -> Self {
        let given = std::env::var("CORAL_TEST_CYCLES").ok();
        Self {
            agent: Agent::new(Limits {
                // One that has ended may give its share back a moment after it says so.
                sessions: 2 * functions,
                memory_bytes: 4 << 30,
                ..Limits::default()
            }),
            asked: given.map_or(CYCLES, |given| given.parse().unwrap()),
            done: AtomicUsize::new(0),
            running: AtomicUsize::new(functions),
            failed: AtomicBool::new(false),
        }
    }

    fn are_left(&self) -> bool {
        self.done.load(Relaxed) < self.asked && !self.failed.load(Relaxed)
    }

    /// Lets the probes of a function come and go, until all cycles of all functions are done.
    fn run(&self, watched: &Arc<Watched>, name: &str) {
        let functions = source::select(watched.table(), &[name.to_owned()]).unwrap();
        while self.are_left() {
            self.run_session(watched, &functions);
        }
    }

    fn run_session(&self, watched: &Arc<Watched>, functions: &[FunctionId]) {
        let mut request = AttachRequest::new(functions.to_vec(), "a test".into());
        request.settings.duration = Duration::from_secs(600);
        // A test may spend what a user must not.
        request.settings.budget_percent = None;
        let (session, attached) = self.agent.attach(Arc::clone(watched), &request).unwrap();
        for _ in 1..CYCLES_PER_SESSION {
            if !self.are_left() {
                break;
            }
            session.remove(functions.to_vec()).unwrap();
            self.done.fetch_add(1, Relaxed);
            let again = session.add(functions.to_vec()).unwrap();
            assert_eq!(again.probes, attached.probes);
        }
        assert_balance(&session.detach());
        self.done.fetch_add(1, Relaxed);
    }
}

/// Every call is accounted for, whenever its probes came and went.
fn assert_balance(snapshot: &Snapshot) {
    for function in &snapshot.functions {
        let left = function.returns + function.unwound + function.in_flight;
        assert_eq!(function.calls, left, "{function:?}");
    }
}

/// Says that one of the cycling threads has ended, also by a panic.
struct Ended<'a>(&'a Cycles);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.failed.fetch_or(std::thread::panicking(), Relaxed);
        self.0.running.fetch_sub(1, Relaxed);
    }
}
