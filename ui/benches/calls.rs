//! A call tree of 100,000 paths: how long a snapshot, a frame and a key take.
//! `cargo bench -p coral-ui --bench calls`.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // it prints, and its harness is the tests'

#[allow(dead_code)] // the tests use all of it
#[path = "../tests/console/fixture.rs"]
mod fixture;
#[allow(dead_code)] // the tests use all of it
#[path = "../tests/console/harness.rs"]
mod harness;

use std::sync::Arc;
use std::time::{Duration, Instant};

use coral_model::{CallNode, CallTree, FunctionId, Histogram, Snapshot};
use coral_ui::{SourceEvent, draw};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use harness::Console;

const NODES: u32 = 100_000;

/// What is to be measured, once; the first run pays for cold memory, as it does in the console.
fn time(run: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    run();
    begin.elapsed()
}

/// Every path calls three others.
fn snapshot(calls: u64) -> Arc<Snapshot> {
    let latency = Arc::new(Histogram::default());
    let node = |id: u32| CallNode {
        parent: id.checked_sub(1).map(|before| before / 3),
        function: FunctionId(id % 14),
        depth: 0,
        calls,
        returns: calls,
        unwound: 0,
        errors: 0,
        total_ns: u64::from(NODES - id) * 1_000,
        self_ns: 300,
        max_ns: 1_000,
        probes_ns: 0,
        latency: Some(Arc::clone(&latency)),
    };
    Arc::new(Snapshot {
        call_tree: Arc::new(CallTree {
            nodes: (0..NODES).map(node).collect(),
            lost_calls: 0,
        }),
        ..fixture::snapshot()
    })
}

fn main() {
    let mut console = Console::open();
    console.press("4");
    for calls in 1..=3 {
        let snapshot = snapshot(calls);
        let took = time(|| {
            console.send(SourceEvent::Snapshot(snapshot));
        });
        println!("a snapshot taken in in {took:?}");
    }
    console.resize(200, 60);
    let mut terminal = Terminal::new(TestBackend::new(200, 60)).unwrap();
    for view in ["tree", "flame", "sandwich"] {
        for _ in 0..2 {
            let frame = time(|| {
                terminal.draw(|frame| draw(frame, &console.state)).unwrap();
            });
            println!("{view}: a frame in {frame:?}");
        }
        for key in ["j", "PgDn", "G", "g", "l", "h", "Enter", "Enter", "s", "*"] {
            let took = time(|| {
                console.press(key);
            });
            println!("{view}: {key} in {took:?}");
        }
        console.press("v");
    }
    console.press("V V V /");
    for key in ["c", "a", "r", "t", "Enter", "n", "n"] {
        let took = time(|| {
            console.press(key);
        });
        println!("search: {key} in {took:?}");
    }
}
