//! The calls that have begun and not ended, read out of the kernel's maps.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use coral_ebpf_common::{FRAME_IS_ROOT, Frame, FrameKey, INLINE_FRAMES, PlaceKey, Stack};

use super::engine::Engine;
use super::records::Shared;

/// How many goroutines and threads are asked for their calls: most have none at the moment.
const KEYS_MAX: usize = 20_000;

/// The calls that go on in one goroutine or thread.
#[derive(Clone, Debug)]
pub struct LiveStack {
    /// Names the goroutine or thread.
    pub key: FrameKey,
    /// The goroutine, as [`coral_ebpf_common::CallRecord::goroutine`] names it; 0 for a thread.
    pub goroutine: u64,
    /// The bounds of a thread's stack; empty where they are not known.
    pub bounds: Range<u64>,
    /// Its calls, outermost first.
    pub frames: Vec<Frame>,
}

impl Engine {
    /// The calls that go on, by goroutine and thread; at most `max` of these.
    pub fn live_stacks(&self, max: usize) -> Vec<LiveStack> {
        let keys = self.stacks.keys().take(KEYS_MAX).filter_map(Result::ok);
        keys.filter_map(|key| {
            let Shared(stack) = self.stacks.get(&key, 0).ok()?;
            Some(LiveStack {
                frames: self.frames_of(&key, &stack),
                goroutine: match (key.0.tid, stack.goid) {
                    (0, 0) => key.0.g,
                    (0, goid) => goid,
                    _ => 0,
                },
                bounds: stack.low..stack.high,
                key: key.0,
            })
        })
        .filter(|stack| !stack.frames.is_empty())
        .take(max)
        .collect()
    }

    /// Drops the frames of threads that are gone, and counts them by slot: nothing can leave them
    /// any more, and nothing else would ever drop them.
    pub fn sweep_threads(&mut self, is_alive: impl Fn(u32, u32) -> bool) -> HashMap<u32, u64> {
        let dead: Vec<Shared<FrameKey>> = self
            .stacks
            .keys()
            .filter_map(Result::ok)
            .filter(|key| key.0.tid != 0 && !is_alive(key.0.tgid, key.0.tid))
            .collect();
        let mut dropped = HashMap::new();
        for key in dead {
            if let Ok(Shared(stack)) = self.stacks.get(&key, 0) {
                for frame in self.frames_of(&key, &stack) {
                    *dropped.entry(frame.slot).or_default() += 1;
                }
            }
            // A failure means that it is gone already.
            let _ = self.stacks.remove(&key);
        }
        dropped
    }

    /// How many roots of traces have begun and not ended.
    pub fn open_roots(&self) -> u64 {
        let stacks = self.live_stacks(KEYS_MAX);
        let frames = stacks.iter().flat_map(|stack| &stack.frames);
        frames
            .filter(|frame| frame.flags & FRAME_IS_ROOT != 0)
            .count() as u64
    }

    /// How many of these frames are still where they were, by slot. Those of one stack should lie
    /// next to each other: it is read once for all of them.
    pub fn count_frames(&self, frames: &[(FrameKey, Frame)]) -> HashMap<u32, u64> {
        let place = |frame: &Frame| (frame.depth, frame.entry_ns, frame.slot);
        let mut counts = HashMap::new();
        for of_stack in frames.chunk_by(|(key, _), (next, _)| key == next) {
            let key = Shared(of_stack[0].0);
            let stack = self.stacks.get(&key, 0);
            let now = stack.map_or(Vec::new(), |Shared(stack)| self.frames_of(&key, &stack));
            let places: HashSet<_> = now.iter().map(place).collect();
            for (_, frame) in of_stack {
                let is_there = places.contains(&place(frame));
                *counts.entry(frame.slot).or_default() += u64::from(is_there);
            }
        }
        counts
    }

    fn frames_of(&self, key: &Shared<FrameKey>, stack: &Stack) -> Vec<Frame> {
        let inline = (stack.len as usize).min(INLINE_FRAMES);
        let mut frames = stack.frames[..inline].to_vec();
        for index in inline as u32..stack.len {
            let key = Shared(PlaceKey {
                stack: key.0,
                index,
                padding: 0,
            });
            frames.extend(self.overflow.get(&key, 0).map(|frame| frame.0));
        }
        frames
    }
}
