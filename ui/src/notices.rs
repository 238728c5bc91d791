//! What happened and what was refused: the latest in place, all of them on the events screen.

use std::collections::VecDeque;
use std::time::Duration;

use crate::event::{Level, Notice};
use crate::selection::Selection;

/// The notices that are kept; the oldest is dropped first.
const KEPT_MAX: usize = 1_000;

/// Good news leave the screen by themselves after this long; warnings and errors stay.
const INFO_SHOWN_FOR: Duration = Duration::from_secs(6);

/// Warnings and errors are not replaced by good news before this has passed.
const WORSE_SHOWN_FOR: Duration = Duration::from_secs(6);

/// A notice and when it came.
#[derive(Clone, Debug)]
pub(crate) struct LoggedNotice {
    /// Counts up from the first.
    pub(crate) number: u64,
    pub(crate) at: Duration,
    pub(crate) notice: Notice,
}

/// The log, and which of it is shown in place.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    log: VecDeque<LoggedNotice>,
    last_number: u64,
    /// The number of the one that is shown.
    shown: Option<u64>,
    /// How many warnings and errors were not seen on the events screen yet.
    unseen: usize,
    pub(crate) selection: Selection<u64>,
}

impl Notices {
    /// Logs a notice and shows it in place; good news do not replace what is worse until that
    /// could be read.
    pub(crate) fn push(&mut self, notice: Notice, now: Duration) {
        let unread = self.front().is_some_and(|front| {
            front.notice.level > Level::Info && now.saturating_sub(front.at) < WORSE_SHOWN_FOR
        });
        self.unseen += usize::from(notice.level > Level::Info);
        self.last_number += 1;
        if notice.level > Level::Info || !unread {
            self.shown = Some(self.last_number);
        }
        self.log.push_front(LoggedNotice {
            number: self.last_number,
            at: now,
            notice,
        });
        self.log.truncate(KEPT_MAX);
        let numbers = self.numbers();
        self.selection.restore(&numbers);
    }

    /// The newest first.
    pub(crate) fn log(&self) -> &VecDeque<LoggedNotice> {
        &self.log
    }

    /// The rows of the events screen.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.log.iter().map(|logged| logged.number).collect()
    }

    /// The notice that is shown in place.
    pub(crate) fn shown(&self) -> Option<&Notice> {
        self.front().map(|logged| &logged.notice)
    }

    /// Takes the notice off the screen; returns whether there was one.
    pub(crate) fn dismiss(&mut self) -> bool {
        let was_shown = self.front().is_some();
        self.shown = None;
        was_shown
    }

    /// Takes good news off the screen when their time is over; returns whether that was so.
    pub(crate) fn expire(&mut self, now: Duration) -> bool {
        let expired = self.front().is_some_and(|logged| {
            logged.notice.level == Level::Info && now.saturating_sub(logged.at) >= INFO_SHOWN_FOR
        });
        expired && self.dismiss()
    }

    pub(crate) fn unseen(&self) -> usize {
        self.unseen
    }

    /// Everything in the log is on the screen now.
    pub(crate) fn seen(&mut self) {
        self.unseen = 0;
    }

    fn front(&self) -> Option<&LoggedNotice> {
        let number = self.shown?;
        self.log.iter().find(|logged| logged.number == number)
    }
}
