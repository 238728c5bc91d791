//! Async functions, and an executor: futures that wait, take turns, and are dropped.

use std::collections::HashMap;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use crate::truth::{Count, Futures, Scenario, provoke};
use crate::{mix, sum_of};

/// Waits so many polls.
struct Pending(u32);

impl Future for Pending {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A future whose polls are counted. It is polled through a table, so that its polls are calls.
struct Counted {
    count: &'static Count,
    name: &'static str,
    future: Option<Pin<Box<dyn Future<Output = u64>>>>,
    polls: u64,
}

static FUTURES: Mutex<Vec<(&'static str, Futures)>> = Mutex::new(Vec::new());

fn note(name: &'static str, change: impl FnOnce(&mut Futures)) {
    let mut all = FUTURES.lock().unwrap();
    if !all.iter().any(|(known, _)| *known == name) {
        all.push((name, Futures::default()));
    }
    let known = all.iter_mut().find(|(known, _)| *known == name);
    change(&mut known.expect("it was added if it was not there").1);
}

fn futures() -> HashMap<&'static str, Futures> {
    FUTURES.lock().unwrap().drain(..).collect()
}

impl Counted {
    fn address(&self) -> usize {
        self.future.as_ref().map_or(0, |future| {
            std::ptr::from_ref(&**future).cast::<()>().addr()
        })
    }
}

impl Future for Counted {
    type Output = u64;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<u64> {
        let this = &mut *self;
        let Some(future) = &mut this.future else {
            return Poll::Pending;
        };
        if this.polls == 0 {
            note(this.name, |futures| futures.calls += 1);
        }
        this.polls += 1;
        let call = this.count.enter();
        let polled = call.leave(black_box(future.as_mut()).poll(context));
        if polled.is_ready() {
            this.future = None;
            note(this.name, |futures| {
                futures.completed += 1;
                futures.polls += this.polls;
            });
        }
        polled
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.future.is_some() && self.polls > 0 {
            note(self.name, |futures| futures.dropped += 1);
        }
    }
}

static WAITS: Count = Count::new("target::waiting::waits::{closure#0}");
async fn waits(times: u32, x: u64) -> u64 {
    Pending(times).await;
    mix(x, u64::from(times))
}

fn counted_waits(times: u32, x: u64) -> Counted {
    Counted {
        count: &WAITS,
        name: "target::waiting::waits",
        future: Some(Box::pin(waits(times, x))),
        polls: 0,
    }
}

static WAITS_TWICE: Count = Count::new("target::waiting::waits_twice::{closure#0}");
async fn waits_twice(times: u32, x: u64) -> u64 {
    let first = counted_waits(times, x).await;
    Pending(1).await;
    mix(first, counted_waits(times + 1, x).await)
}

fn counted_waits_twice(times: u32, x: u64) -> Counted {
    Counted {
        count: &WAITS_TWICE,
        name: "target::waiting::waits_twice",
        future: Some(Box::pin(waits_twice(times, x))),
        polls: 0,
    }
}

/// Polls futures in turns until all are done, and adds up what they return.
fn block_on(futures: &mut [Counted]) -> u64 {
    let mut context = Context::from_waker(Waker::noop());
    let mut results = vec![None; futures.len()];
    while results.iter().any(Option::is_none) {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if let (None, Poll::Ready(value)) = (*result, poll_if(future, *result, &mut context)) {
                *result = Some(value);
            }
        }
    }
    results.into_iter().flatten().fold(0, mix)
}

fn poll_if(future: &mut Counted, result: Option<u64>, context: &mut Context<'_>) -> Poll<u64> {
    match result {
        None => Pin::new(future).poll(context),
        Some(_) => Poll::Pending,
    }
}

fn run_async(n: u64) -> u64 {
    sum_of(n, |i| {
        let times = (i % 7) as u32;
        block_on(&mut [counted_waits(times, i)])
    })
}

fn run_nested(n: u64) -> u64 {
    sum_of(n, |i| {
        block_on(&mut [counted_waits_twice((i % 4) as u32, i)])
    })
}

// async_turns: futures of one function that are polled in turns.
fn run_turns(n: u64) -> u64 {
    sum_of(n, |i| {
        let times = (i % 5) as u32;
        block_on(&mut [counted_waits(times, i), counted_waits(3, i)])
    })
}

// async_dropped: futures that are dropped before they are done, and others in their place.
fn run_dropped(n: u64) -> u64 {
    let mut context = Context::from_waker(Waker::noop());
    let mut last = 0;
    (0..n).fold(0, |sum, i| {
        let mut future = counted_waits(2 + (i % 3) as u32, i);
        if future.address() == last {
            provoke("same_address");
        }
        last = future.address();
        // The last future at an address is done, because nothing else shows that one is gone.
        if i % 3 == 2 || i + 1 == n {
            return mix(sum, block_on(&mut [future]));
        }
        for _ in 0..=i % 2 {
            let _ = Pin::new(&mut future).poll(&mut context);
        }
        sum
    })
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("async", run_async, 300, const { &[&WAITS] }).with_futures(futures),
    Scenario::new(
        "async_nested",
        run_nested,
        200,
        const { &[&WAITS_TWICE, &WAITS] },
    )
    .with_futures(futures),
    Scenario::new("async_turns", run_turns, 200, const { &[&WAITS] }).with_futures(futures),
    Scenario::new("async_dropped", run_dropped, 300, const { &[&WAITS] }).with_futures(futures),
];
