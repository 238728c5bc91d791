//! Well-nested calls on several stacks, some of whose records are lost.

use proptest::prelude::*;

use super::*;

/// What a stack does next: it goes so many calls up, and then calls something or works.
type Step = (usize, u32, bool);

/// Calls that end, each with its number as its slot, in the order of their ends.
#[derive(Default)]
struct Program {
    now_ns: u64,
    calls: u32,
    ended: Vec<CallRecord>,
}

impl Program {
    fn enter(&mut self, stack: u64, open: &mut Vec<CallRecord>) {
        self.now_ns += 1;
        open.push(CallRecord {
            entry_ns: self.now_ns,
            goroutine: stack,
            slot: self.calls,
            frame_index: open.len() as u32,
            ..CallRecord::default()
        });
        self.calls += 1;
    }

    fn leave(&mut self, open: &mut Vec<CallRecord>) {
        if let Some(mut call) = open.pop() {
            self.now_ns += 1;
            call.duration_ns = self.now_ns - call.entry_ns;
            if let Some(caller) = open.last_mut() {
                caller.children_ns += call.duration_ns;
            }
            self.ended.push(call);
        }
    }

    /// Two goroutines that take turns.
    fn of(steps: &[Step]) -> Self {
        let mut program = Self::default();
        let mut stacks = [Vec::new(), Vec::new()];
        for &(leaves, works_ns, other) in steps {
            let open = &mut stacks[usize::from(other)];
            for _ in 0..leaves {
                program.leave(open);
            }
            program.now_ns += u64::from(works_ns);
            program.enter(1 + u64::from(other), open);
        }
        for open in &mut stacks {
            while !open.is_empty() {
                program.leave(open);
            }
        }
        program
    }
}

fn record(call: CallRecord) -> KernelRecord {
    KernelRecord { call, detail: None }
}

/// What is told of the calls inside of one: their numbers and depths, and whether their callers
/// are missing.
fn told(inside: &Inside<'_>) -> Vec<(u32, u32, bool)> {
    let fields = |nested: &super::super::nesting::Nested<'_>| {
        (nested.record.call.slot, nested.depth, nested.parent_missing)
    };
    inside.calls.iter().map(fields).collect()
}

/// The same by definition, from all calls of a program.
fn expected(
    outer: &CallRecord,
    all: &[CallRecord],
    is_lost: impl Fn(&CallRecord) -> bool,
) -> Vec<(u32, u32, bool)> {
    let same_stack = |call: &&CallRecord| call.goroutine == outer.goroutine;
    let mut inside: Vec<_> = all
        .iter()
        .filter(same_stack)
        .filter(|call| is_inside(call, outer) && !is_lost(call))
        .collect();
    inside.sort_by_key(|call| call.entry_ns);
    let row = |call: &&CallRecord| {
        let above = inside.iter().filter(|above| is_inside(call, above));
        let caller_index = above.clone().map(|above| above.frame_index).max();
        let caller_index = caller_index.unwrap_or(outer.frame_index);
        let depth = 1 + above.count() as u32;
        (call.slot, depth, call.frame_index != caller_index + 1)
    };
    inside.iter().map(row).collect()
}

proptest! {
    #[test]
    fn what_was_recorded_is_told_and_the_rest_is_missing(
        steps in prop::collection::vec((0usize..4, 0u32..50, any::<bool>()), 0..150),
        lost in any::<[u64; 3]>(),
    ) {
        let program = Program::of(&steps);
        let is_lost = |call: &CallRecord| {
            let place = call.slot as usize;
            lost[place / 64 % 3] >> (place % 64) & 1 == 1
        };
        let mut ended = EndedCalls::default();
        for outer in &program.ended {
            if is_lost(outer) {
                continue;
            }
            let inside = ended.inside(outer);
            prop_assert_eq!(told(&inside), expected(outer, &program.ended, is_lost));
            let own_ns: u64 = inside
                .calls
                .iter()
                .map(|nested| nested.record.call.duration_ns - nested.record.call.children_ns)
                .sum();
            let self_ns = outer.duration_ns - outer.children_ns;
            prop_assert_eq!(self_ns + own_ns + inside.missing_ns, outer.duration_ns);
            prop_assert_eq!(inside.left_out, 0);
            ended.push(record(*outer));
        }
    }

    #[test]
    fn any_records_are_taken(
        raw in prop::collection::vec((0u64..3, 0u32..4, 0u64..20, 0u64..20, 0u64..20), 0..80),
    ) {
        let mut ended = EndedCalls::default();
        for (goroutine, frame_index, entry_ns, duration_ns, children_ns) in raw {
            let call = CallRecord {
                goroutine, frame_index, entry_ns, duration_ns, children_ns,
                ..CallRecord::default()
            };
            let inside = ended.inside(&call);
            let within = |nested: &super::super::nesting::Nested<'_>| is_inside(&nested.record.call, &call);
            prop_assert!(inside.calls.iter().all(within));
            prop_assert!(inside.missing_ns <= children_ns);
            ended.push(record(call));
        }
    }
}

/// A call that makes so many others of which each takes longer than the one before.
fn caller_of(calls: u64) -> (CallRecord, Vec<CallRecord>) {
    let mut open = Vec::new();
    let mut program = Program::default();
    program.enter(1, &mut open);
    program.enter(1, &mut open);
    for call in 0..calls {
        program.enter(1, &mut open);
        program.now_ns += call;
        program.leave(&mut open);
    }
    program.leave(&mut open);
    let outer = program.ended.pop().unwrap();
    (outer, program.ended)
}

#[test]
fn the_longest_of_many_calls_are_told_and_the_others_counted() {
    for calls in [10, 256, 257, 3_000, 100_000] {
        let (outer, inner) = caller_of(calls);
        let mut ended = EndedCalls::default();
        for call in &inner {
            ended.push(record(*call));
        }
        let inside = ended.inside(&outer);
        let told: Vec<u64> = told(&inside).iter().map(|row| row.0.into()).collect();
        // The two calls outside of them were entered first.
        let longest: Vec<u64> = (calls.saturating_sub(256)..calls)
            .map(|call| call + 2)
            .collect();
        assert_eq!(told, longest, "{calls}");
        assert_eq!(inside.left_out, calls.saturating_sub(256));
        let left_out = &inner[..inside.left_out as usize];
        let left_out_ns: u64 = left_out.iter().map(|call| call.duration_ns).sum();
        assert_eq!(inside.missing_ns, left_out_ns);
    }
}

#[test]
fn a_late_call_has_all_that_it_made_whatever_came_before_it() {
    let mut open = Vec::new();
    let mut program = Program::default();
    program.enter(1, &mut open);
    for _ in 0..50_000 {
        program.enter(1, &mut open);
        program.now_ns += 1_000_000;
        program.leave(&mut open);
    }
    program.enter(1, &mut open);
    for _ in 0..200 {
        program.enter(1, &mut open);
        program.leave(&mut open);
    }
    program.leave(&mut open);
    let outer = program.ended.pop().unwrap();
    let mut ended = EndedCalls::default();
    for call in program.ended {
        ended.push(record(call));
    }
    let inside = ended.inside(&outer);
    assert_eq!(
        (inside.calls.len(), inside.left_out, inside.missing_ns),
        (200, 0, 0)
    );
}

#[test]
fn memory_is_bounded_whatever_never_ends() {
    let taken = |stack: &Stack| STACK_BYTES + stack.calls.iter().map(Ended::bytes).sum::<usize>();
    let mut ended = EndedCalls::default();
    for goroutine in 0..200_000 {
        ended.push(record(CallRecord {
            goroutine,
            frame_index: 1,
            ..CallRecord::default()
        }));
        assert!(ended.bytes <= BYTES_MAX + STACK_BYTES + size_of::<Ended>());
    }
    assert_eq!(ended.bytes, ended.stacks.values().map(taken).sum::<usize>());
    assert!(ended.stacks.len() > 10_000, "{}", ended.stacks.len());
    for goroutine in 0..200_000 {
        ended.push(record(CallRecord {
            goroutine,
            ..CallRecord::default()
        }));
    }
    assert_eq!((ended.bytes, ended.stacks.len()), (0, 0));
}

#[test]
fn calls_of_another_stack_of_the_thread_are_not_put_inside() {
    let call = |frame_index, entry_ns, duration_ns, children_ns| CallRecord {
        tid: 7,
        frame_index,
        entry_ns,
        duration_ns,
        children_ns,
        ..CallRecord::default()
    };
    let mut ended = EndedCalls::default();
    // A coroutine that has not ended called this one while the outer call waited for it.
    ended.push(record(call(2, 110, 50, 0)));
    let inside = ended.inside(&call(1, 100, 100, 0));
    assert_eq!((inside.calls.len(), inside.missing_ns), (0, 0));
}
