//! Snapshots that follow from each other, made of random numbers.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{
    Accounting, CallNode, CallRecord, CallTree, CallValue, Capture, EndReason, ExitProbe,
    FunctionId, FunctionStats, Histogram, InFlightCall, InnerCall, InnerCalls, JoinedCalls,
    Language, Overhead, SessionId, SessionInfo, SessionNotice, SessionSettings, SessionState,
    Snapshot, StackFrame, Target,
};
use jiff::Timestamp;

/// Numbers that choose what is made; zeros once they are used up, so that a short tape makes
/// little.
pub(crate) struct Tape {
    numbers: Vec<u32>,
    next: usize,
}

impl Tape {
    pub(crate) fn new(numbers: Vec<u32>) -> Self {
        Self { numbers, next: 0 }
    }

    pub(crate) fn below(&mut self, end: u32) -> u32 {
        let number = self.numbers.get(self.next).copied().unwrap_or_default();
        self.next += 1;
        number % end
    }

    fn number(&mut self) -> u64 {
        let shift = self.below(40);
        u64::from(self.below(u32::MAX)) << shift >> 20
    }

    fn rate(&mut self) -> f64 {
        self.number() as f64 / 7.0
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    fn some<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| make(self))
    }

    fn list<T>(&mut self, len_end: u32, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(len_end)).map(|_| make(self)).collect()
    }

    fn text(&mut self) -> String {
        let part = ["main.", "\u{1b}[31m", "é", "\0", "\u{202e}", "handle"][self.below(6) as usize];
        part.repeat(self.below(12) as usize)
    }

    fn time(&mut self) -> Duration {
        Duration::from_nanos(self.number())
    }

    fn moment(&mut self) -> Timestamp {
        Timestamp::from_nanosecond(i128::from(self.number()) - 1_000_000).unwrap()
    }

    /// A session with what it measured before: some of it as it was, some changed, some new, and
    /// now and then less than before.
    pub(crate) fn snapshot(&mut self, last: Option<&Snapshot>) -> Snapshot {
        let functions = last.map_or_else(Vec::new, |last| last.functions.clone());
        let tree = last.map_or_else(Arc::default, |last| Arc::clone(&last.call_tree));
        let notices = last.map_or_else(Vec::new, |last| last.notices.clone());
        let slow_calls = last.map_or_else(Vec::new, |last| last.slow_calls.clone());
        let in_flight = last.map_or_else(Vec::new, |last| last.in_flight.clone());
        Snapshot {
            session: self.session(),
            functions: self.functions(functions),
            call_tree: self.tree(tree),
            slow_calls: self
                .some(|it| it.list(6, Self::record))
                .unwrap_or(slow_calls),
            in_flight: self
                .some(|it| it.list(6, Self::hanging))
                .unwrap_or(in_flight),
            notices: self.notices(notices),
            accounting: self.accounting(),
            overhead: Overhead {
                hits_per_s: self.rate(),
                ns_per_hit: self.some(Self::rate),
                cpu_percent: self.some(Self::rate),
            },
            replicas: Vec::new(),
        }
    }

    fn session(&mut self) -> SessionInfo {
        let states = [
            SessionState::Active,
            SessionState::Ended(EndReason::TargetExeced),
        ];
        SessionInfo {
            id: SessionId(self.text()),
            target: self.target(),
            other_pids: self.list(3, |it| it.below(u32::MAX)),
            started_at: self.moment(),
            ended_at: self.some(Self::moment),
            requested_by: self.text(),
            elapsed: self.time(),
            remaining: self.time(),
            state: states[self.below(2) as usize],
            probes: self.below(u32::MAX),
            settings: self.settings(),
        }
    }

    pub(crate) fn target(&mut self) -> Target {
        Target {
            agent_id: self.text(),
            service: self.text(),
            pid: self.below(u32::MAX),
            exe: self.text(),
            build_id: self.some(Self::text),
            language: [Language::Unknown, Language::Go, Language::Cpp][self.below(3) as usize],
            start_ticks: self.number(),
        }
    }

    pub(crate) fn settings(&mut self) -> SessionSettings {
        let filter = r#"amount > 100 and (user == "u\"1" or not #2 starts_with "é")"#;
        SessionSettings {
            duration: self.time(),
            sample_rate: 1 + self.below(1_000),
            min: self.time(),
            max: self.some(Self::time),
            slow: self.some(Self::time),
            capture: Capture {
                arguments: self.flag(),
                results: self.flag(),
            },
            filter: self.some(|_| coral_model::filter::Expression::parse(filter).unwrap()),
            budget_percent: self.some(|it| it.rate() + 0.5),
        }
    }

    fn functions(&mut self, mut functions: Vec<Arc<FunctionStats>>) -> Vec<Arc<FunctionStats>> {
        if self.below(8) == 7 {
            functions.pop();
        }
        for function in &mut functions {
            match self.below(5) {
                0 => {}
                1 => *function = Arc::new(FunctionStats::clone(function)),
                2 => self.count(Arc::make_mut(function)),
                3 => self.describe(Arc::make_mut(function)),
                _ => *function = Arc::new(self.function()),
            }
        }
        functions.extend(self.list(5, |it| Arc::new(it.function())));
        functions
    }

    fn function(&mut self) -> FunctionStats {
        let probes = [
            ExitProbe::None,
            ExitProbe::ReturnSites,
            ExitProbe::Uretprobe,
        ];
        let id = FunctionId(self.below(u32::MAX));
        let mut function = FunctionStats {
            file: self.some(Self::text),
            line: self.some(|it| it.below(u32::MAX)),
            exit_probe: probes[self.below(3) as usize],
            reason: self.some(Self::text),
            slowest_are_complete: self.flag(),
            detached_because: self.some(Self::text),
            ..FunctionStats::new(id, self.text())
        };
        self.count(&mut function);
        function
    }

    /// Something else about a function.
    fn describe(&mut self, function: &mut FunctionStats) {
        match self.below(8) {
            7 => function.recent_calls_per_s.truncate(self.below(5) as usize),
            0 => function.id = FunctionId(self.below(u32::MAX)),
            1 => function.name = self.text(),
            2 => function.file = self.some(Self::text),
            3 => function.line = self.some(|it| it.below(u32::MAX)),
            4 => function.exit_probe = ExitProbe::Uretprobe,
            5 => function.reason = self.some(Self::text),
            _ => function.detached_because = self.some(Self::text),
        }
    }

    /// More numbers of a function.
    fn count(&mut self, function: &mut FunctionStats) {
        function.attached = self.flag();
        function.calls = self.number();
        function.returns = self.number();
        function.unwound = self.number();
        function.in_flight = self.number();
        function.errors = self.some(Self::number);
        function.unmatched_exits = self.number();
        self.durations(&mut function.latency);
        function.self_ns = self.number();
        function.probes_ns = self.number();
        function.cost_percent = self.some(Self::rate);
        function.joined = self.some(|it| {
            let mut joined = function.joined.take().unwrap_or_default();
            it.join(&mut joined);
            joined
        });
        function.calls_per_s = self.rate();
        function.recent_calls_per_s.extend(self.list(4, Self::rate));
        let surplus = function.recent_calls_per_s.len().saturating_sub(5);
        function.recent_calls_per_s.drain(..surplus);
    }

    fn join(&mut self, joined: &mut JoinedCalls) {
        joined.calls = self.number();
        joined.completed = self.number();
        joined.dropped = self.number();
        joined.polls = self.number();
        joined.busy_ns = self.number();
        self.durations(&mut joined.latency);
    }

    /// More durations, or now and then none any more.
    fn durations(&mut self, histogram: &mut Histogram) {
        if self.below(8) == 7 {
            *histogram = Histogram::default();
        }
        (0..self.below(6)).for_each(|_| histogram.record(self.number()));
    }

    fn tree(&mut self, mut tree: Arc<CallTree>) -> Arc<CallTree> {
        if self.below(4) == 0 {
            return tree;
        }
        let CallTree { nodes, lost_calls } = Arc::make_mut(&mut tree);
        *lost_calls = self.number();
        if self.below(8) == 7 {
            nodes.pop();
        }
        for node in nodes.iter_mut() {
            if self.flag() {
                *node = CallNode {
                    calls: self.number(),
                    self_ns: self.number(),
                    latency: self.latency(node.latency.take()),
                    ..node.clone()
                };
            }
        }
        for _ in 0..self.below(8) {
            let node = self.node(nodes);
            nodes.push(node);
        }
        tree
    }

    fn node(&mut self, nodes: &[CallNode]) -> CallNode {
        let parent = self.below(nodes.len() as u32 + 1);
        let parent = parent.checked_sub(1);
        CallNode {
            parent,
            function: FunctionId(self.below(5)),
            depth: parent.map_or(0, |parent| nodes[parent as usize].depth + 1),
            calls: self.number(),
            returns: self.number(),
            unwound: self.number(),
            errors: self.number(),
            total_ns: self.number(),
            self_ns: self.number(),
            max_ns: self.number(),
            probes_ns: self.number(),
            latency: self.latency(None),
        }
    }

    fn latency(&mut self, last: Option<Arc<Histogram>>) -> Option<Arc<Histogram>> {
        self.some(|it| {
            let mut latency = last.unwrap_or_default();
            it.durations(Arc::make_mut(&mut latency));
            latency
        })
    }

    fn record(&mut self) -> CallRecord {
        CallRecord {
            pid: self.below(u32::MAX),
            tid: self.below(u32::MAX),
            goroutine: self.some(Self::number),
            failed: self.flag(),
            arguments: self.list(3, Self::value),
            results: self.list(3, Self::value),
            stack: self.list(3, Self::frame),
            inner: self.some(|it| Arc::new(it.inner())),
            ..CallRecord::new(FunctionId(self.below(9)), self.moment(), self.number())
        }
    }

    fn inner(&mut self) -> InnerCalls {
        let mut depth = 0;
        InnerCalls {
            calls: self.list(4, |it| {
                depth = 1 + it.below(depth + 1);
                InnerCall {
                    function: FunctionId(it.below(9)),
                    depth,
                    parent_missing: it.flag(),
                    started_after_ns: it.number(),
                    duration_ns: it.number(),
                    self_ns: it.number(),
                    failed: it.flag(),
                    arguments: it.list(2, Self::value),
                    results: it.list(2, Self::value),
                }
            }),
            left_out: self.number(),
            self_ns: self.number(),
            missing_ns: self.number(),
        }
    }

    fn hanging(&mut self) -> InFlightCall {
        InFlightCall {
            function: FunctionId(self.below(9)),
            age_ns: self.number(),
            pid: self.below(u32::MAX),
            tid: self.some(|it| it.below(u32::MAX)),
            goroutine: self.some(Self::number),
            callers: self.list(4, |it| FunctionId(it.below(9))),
            is_innermost: self.flag(),
            stack: self.list(3, Self::frame),
            replica: None,
        }
    }

    fn value(&mut self) -> CallValue {
        CallValue {
            name: self.text(),
            type_name: self.text(),
            value: self.text(),
        }
    }

    fn frame(&mut self) -> StackFrame {
        StackFrame {
            function: self.text(),
            file: self.some(Self::text),
            line: self.some(|it| it.below(u32::MAX)),
            inlined: self.flag(),
        }
    }

    fn notices(&mut self, mut notices: Vec<SessionNotice>) -> Vec<SessionNotice> {
        if self.below(8) == 7 {
            notices.pop();
        }
        notices.extend(self.list(3, |it| SessionNotice {
            at: it.time(),
            text: it.text(),
        }));
        notices
    }

    fn accounting(&mut self) -> Accounting {
        Accounting {
            hits: self.number(),
            aggregated: self.number(),
            events_stored: self.number(),
            sampled_out: self.number(),
            filtered_out: self.number(),
            throttled: self.number(),
            ring_full: self.number(),
            map_full: self.number(),
            unmatched_exits: self.number(),
        }
    }
}
