//! The pairing of entries with exits, held against a program that knows its own calls.
//!
//! The program is one stack on which functions call each other, return, are left by panics, grow
//! the stack, and enter their probes twice. Its probes drive the very code that the kernel runs.

use std::collections::BTreeMap;

use coral_ebpf_common::{Entered, Frame, FrameStack, drop_one, enter, leave};
use proptest::collection::vec;
use proptest::prelude::*;

/// Functions that are probed; calls of others move the stack and are not seen.
const SLOTS: u32 = 4;
/// The entry of this one may fire again while its call goes on.
const REFIRING: u32 = 0;

#[derive(Clone, Debug)]
enum Step {
    /// A function is called with so many words of its caller's frame above it.
    Call {
        slot: Option<u32>,
        words: u64,
        seen: Seen,
    },
    Return,
    /// So many calls are left at once, without passing an exit.
    Leave(usize),
    /// The stack is copied to a larger one.
    Grow,
    /// The entry of the innermost call fires again.
    Refire,
    /// The last call is left and made again from the same place.
    Retry,
}

/// What of a call's entry is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    Whole,
    /// There is no room for its frame.
    NoRoom,
    /// Its function is probed from later on.
    Nothing,
}

/// A call as the program knows it.
#[derive(Clone, Debug)]
struct Call {
    id: u64,
    slot: Option<u32>,
    /// It has a frame.
    is_seen: bool,
    /// Below the end of the stack: what a growing stack keeps.
    depth: u64,
    entry_ns: u64,
    /// What the probed calls took that it made itself, or that functions made which nobody probes.
    children_ns: u64,
}

/// The frames as the kernel keeps them. A frame's address is the number of its call.
#[derive(Default)]
struct Frames {
    frames: Vec<Frame>,
    unwound: Vec<Frame>,
}

impl FrameStack for Frames {
    fn top(&self) -> Option<Frame> {
        self.frames.last().copied()
    }

    fn pop(&mut self) {
        self.frames.pop();
    }

    fn add_to_top(&mut self, children_ns: u64, probes_ns: u64) {
        if let Some(top) = self.frames.last_mut() {
            top.children_ns += children_ns;
            top.probes_ns += probes_ns;
        }
    }

    fn unwound(&mut self, frame: &Frame) {
        self.unwound.push(*frame);
    }

    fn drop_all(&mut self, depth: u64) {
        while drop_one(self, depth) {}
    }
}

/// What became of the calls of a function.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Numbers {
    calls: u64,
    returns: u64,
    unwound: u64,
}

struct Program {
    now_ns: u64,
    /// Where the stack ends, as an address; it moves when the stack grows.
    high: u64,
    calls: Vec<Call>,
    calls_made: u64,
    /// Some call was left without passing an exit.
    has_left: bool,
    frames: Frames,
    truth: BTreeMap<u32, Numbers>,
    seen: BTreeMap<u32, Numbers>,
}

impl Program {
    /// With that many calls that began before anything was probed.
    fn new(unseen: u64) -> Self {
        let unseen = (1..=unseen).map(|id| Call {
            id,
            slot: Some(id as u32 % SLOTS),
            is_seen: false,
            depth: 64 * id,
            entry_ns: 0,
            children_ns: 0,
        });
        let calls: Vec<Call> = unseen.collect();
        Self {
            now_ns: 1_000,
            high: 1 << 40,
            calls_made: calls.len() as u64,
            calls,
            has_left: false,
            frames: Frames::default(),
            truth: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    fn run(&mut self, steps: &[Step]) {
        for step in steps {
            self.now_ns += 7 + self.calls_made % 5;
            match *step {
                Step::Call { slot, words, seen } => self.call(slot, words, seen),
                Step::Return => self.end_call(),
                Step::Leave(calls) => (0..calls).for_each(|_| self.leave()),
                Step::Grow => self.high += 1 << 20,
                Step::Refire => self.refire(),
                Step::Retry => self.retry(),
            }
            self.assert_sound();
        }
    }

    fn call(&mut self, slot: Option<u32>, words: u64, seen: Seen) {
        let caller = self.calls.last().map_or(0, |caller| caller.depth);
        let mut depth = caller + 8 * words;
        // An entry that may fire again cannot be told from a new call at the place of one that was
        // left: the one thing that the pairing does not know.
        let was_left_at = |frame: &Frame, depth| (frame.slot, frame.depth) == (REFIRING, depth);
        while slot == Some(REFIRING) && self.frames.frames.iter().any(|it| was_left_at(it, depth)) {
            depth += 8;
        }
        self.call_at(slot, depth, seen);
    }

    fn call_at(&mut self, slot: Option<u32>, depth: u64, seen: Seen) {
        self.calls_made += 1;
        self.calls.push(Call {
            id: self.calls_made,
            slot,
            is_seen: slot.is_some() && seen == Seen::Whole,
            depth,
            entry_ns: self.now_ns,
            children_ns: 0,
        });
        let Some(slot) = slot else { return };
        if seen == Seen::Nothing && !self.truth.contains_key(&slot) {
            return;
        }
        let parent = match self.entry(slot, depth) {
            Entered::Call { parent } => parent,
            Entered::Again => panic!("a new call was taken for one that goes on"),
        };
        if seen != Seen::Whole {
            return;
        }
        self.truth.entry(slot).or_default().calls += 1;
        self.seen.entry(slot).or_default().calls += 1;
        self.frames.frames.push(Frame {
            entry_ns: self.now_ns,
            depth,
            slot,
            address: self.calls_made,
            ..Frame::default()
        });
        if !self.has_left {
            let mut callers = self.calls.iter().rev().skip(1);
            let caller = callers.find(|call| call.is_seen);
            assert_eq!(
                parent.map(|frame| frame.address),
                caller.map(|call| call.id)
            );
        }
    }

    /// What the kernel makes of an entry, by the stack pointer.
    fn entry(&mut self, slot: u32, depth: u64) -> Entered {
        let sp = self.high - depth;
        enter(&mut self.frames, self.high - sp, slot, slot == REFIRING)
    }

    fn end_call(&mut self) {
        let Some(call) = self.calls.pop() else { return };
        let duration_ns = self.now_ns - call.entry_ns;
        let Some(slot) = call.slot else {
            self.give_to_caller(call.children_ns);
            return;
        };
        let sp = self.high - call.depth;
        let found = leave(&mut self.frames, self.high - sp, slot);
        if !call.is_seen {
            assert_eq!(found, None, "an exit without an entry has no pair");
            self.give_to_caller(call.children_ns);
            return;
        }
        self.truth.entry(slot).or_default().returns += 1;
        let frame = found.expect("a call whose entry was seen has a pair");
        assert_eq!((frame.address, frame.entry_ns), (call.id, call.entry_ns));
        assert!(
            frame.children_ns <= duration_ns,
            "no time of its own is below zero"
        );
        assert_eq!(frame.children_ns, call.children_ns);
        self.seen.entry(slot).or_default().returns += 1;
        self.frames.add_to_top(duration_ns, 0);
        self.give_to_caller(duration_ns);
    }

    fn give_to_caller(&mut self, children_ns: u64) {
        if let Some(caller) = self.calls.last_mut() {
            caller.children_ns += children_ns;
        }
    }

    fn leave(&mut self) {
        let Some(call) = self.calls.pop() else { return };
        self.has_left = true;
        self.give_to_caller(call.children_ns);
        if let Some(slot) = call.slot.filter(|_| call.is_seen) {
            self.truth.entry(slot).or_default().unwound += 1;
        }
    }

    fn refire(&mut self) {
        if let Some(&Call {
            slot: Some(REFIRING),
            depth,
            is_seen: true,
            ..
        }) = self.calls.last()
        {
            let entered = self.entry(REFIRING, depth);
            assert!(
                matches!(entered, Entered::Again),
                "a call that goes on was taken for a new one"
            );
        }
    }

    fn retry(&mut self) {
        if let Some(&Call {
            slot: Some(slot),
            depth,
            ..
        }) = self.calls.last()
            && slot != REFIRING
        {
            self.leave();
            self.call_at(Some(slot), depth, Seen::Whole);
        }
    }

    /// Whatever has happened: every call that goes on has its frame, in order; what lies between
    /// them is of calls that were left; and nothing is lost.
    fn assert_sound(&self) {
        let frames: Vec<u64> = self
            .frames
            .frames
            .iter()
            .map(|frame| frame.address)
            .collect();
        let going_on = self.calls.iter().filter(|call| call.is_seen);
        let going_on: Vec<u64> = going_on.map(|call| call.id).collect();
        let mut rest = frames.iter();
        assert!(
            going_on.iter().all(|id| rest.any(|frame| frame == id)),
            "{frames:?} {going_on:?}"
        );
        if !self.has_left {
            assert_eq!(frames, going_on);
            assert!(self.frames.unwound.is_empty());
        }
        let depths: Vec<u64> = self.frames.frames.iter().map(|frame| frame.depth).collect();
        assert!(depths.is_sorted_by(|a, b| a < b), "{depths:?}");
    }

    /// Ends the program: an entry at its bottom finds everything that was left.
    fn finish(mut self) {
        while !self.calls.is_empty() {
            self.now_ns += 1;
            self.end_call();
        }
        self.frames.drop_all(0);
        for frame in &self.frames.unwound {
            self.seen.entry(frame.slot).or_default().unwound += 1;
        }
        assert_eq!(self.seen, self.truth);
        for numbers in self.seen.values() {
            assert_eq!(numbers.calls, numbers.returns + numbers.unwound);
        }
    }
}

fn step(may_leave: bool) -> impl Strategy<Value = Step> {
    let slot = prop_oneof![3 => (0..SLOTS).prop_map(Some), 1 => Just(None)];
    let seen = prop_oneof![
        18 => Just(Seen::Whole),
        1 => Just(Seen::NoRoom),
        1 => Just(Seen::Nothing),
    ];
    let call =
        (slot, 1..6u64, seen).prop_map(|(slot, words, seen)| Step::Call { slot, words, seen });
    let leaving = u32::from(may_leave);
    prop_oneof![
        40 => call,
        34 => Just(Step::Return),
        4 => Just(Step::Grow),
        8 => Just(Step::Refire),
        5 * leaving => (1..6usize).prop_map(Step::Leave),
        5 * leaving => Just(Step::Retry),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Parents, own times and counts are exactly the program's.
    #[test]
    fn calls_that_return_are_known_exactly(steps in vec(step(false), 0..200), unseen in 0..4u64) {
        let mut program = Program::new(unseen);
        program.run(&steps);
        program.finish();
    }

    /// No pair is wrong, none is missing, and every call is counted once.
    #[test]
    fn no_pair_is_wrong_whatever_leaves_calls(steps in vec(step(true), 0..200), unseen in 0..4u64) {
        let mut program = Program::new(unseen);
        program.run(&steps);
        program.finish();
    }
}
