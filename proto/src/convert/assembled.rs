//! The receiver's side of a session's stream: from what has changed to snapshots.

use std::sync::Arc;

use coral_model::{
    Accounting, CallRecord, InFlightCall, Overhead, Replica, SessionNotice, Snapshot,
};

use super::held::Held;
use super::totals::{check_functions, check_tree};
use super::{ConvertError, replicas, stats, tree};
use crate::agent::v1 as wire;

/// What one session may take in the receiver's memory if nothing else is said, in bytes, about.
pub const SESSION_BYTES_MAX: usize = 512 << 20;

/// Puts a session together from the updates of one stream. What it is given is not trusted.
#[derive(Debug)]
pub struct Assembled {
    bytes_max: usize,
    /// `None` before the first update, and after an error.
    session: Option<Session>,
}

impl Assembled {
    /// A session of which nothing is known yet, and which may take [`SESSION_BYTES_MAX`].
    pub fn new() -> Self {
        Self::with_bytes_max(SESSION_BYTES_MAX)
    }

    /// A session of which nothing is known yet, and which may take so many bytes.
    pub fn with_bytes_max(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            session: None,
        }
    }

    /// Takes the next message of the stream and returns the session as it is by now, once all
    /// messages of an update have come.
    ///
    /// # Errors
    /// If the message does not follow from the one before, contradicts itself, or asks for more
    /// memory than it may take. What was known is forgotten then: the stream has to begin
    /// anew, with a whole update.
    pub fn apply(
        &mut self,
        update: wire::SessionUpdate,
    ) -> Result<Option<Arc<Snapshot>>, ConvertError> {
        let mut session = match self.session.take() {
            _ if update.is_whole => Session::begin(&update, self.bytes_max)?,
            Some(session) => session.follow(&update)?,
            None => return Err(ConvertError::NotWhole),
        };
        let snapshot = session.take(update)?;
        self.session = Some(session);
        Ok(snapshot)
    }
}

impl Default for Assembled {
    fn default() -> Self {
        Self::new()
    }
}

/// A session of which some updates have come.
#[derive(Debug)]
struct Session {
    sequence: u64,
    /// The snapshot that the update that is coming becomes.
    next: Snapshot,
    /// Whether more messages of that update are due.
    is_open: bool,
    /// Whether that update has begun to list calls again.
    lists_slow_calls: bool,
    lists_in_flight: bool,
    is_tree_changed: bool,
    /// What all of it may take; what functions, nodes and notices take; what the lists of calls do.
    bytes_max: usize,
    kept_bytes: usize,
    slow_calls_bytes: usize,
    in_flight_bytes: usize,
}

impl Session {
    /// The session that a whole update begins.
    fn begin(update: &wire::SessionUpdate, bytes_max: usize) -> Result<Self, ConvertError> {
        let field = "session";
        let session = update.session.clone();
        let session = session.ok_or(ConvertError::Missing { field })?;
        let mut begun = Self {
            sequence: update.sequence,
            next: Snapshot {
                session: session.try_into()?,
                functions: Vec::new(),
                call_tree: Arc::default(),
                slow_calls: Vec::new(),
                in_flight: Vec::new(),
                notices: Vec::new(),
                accounting: Accounting::default(),
                overhead: Overhead::default(),
                replicas: Vec::new(),
            },
            is_open: false,
            lists_slow_calls: false,
            lists_in_flight: false,
            is_tree_changed: false,
            bytes_max,
            kept_bytes: 0,
            slow_calls_bytes: 0,
            in_flight_bytes: 0,
        };
        begun.take_header(update)?;
        Ok(begun)
    }

    /// The session with the beginning of the next message.
    fn follow(mut self, update: &wire::SessionUpdate) -> Result<Self, ConvertError> {
        let expected = self.sequence.wrapping_add(1);
        if update.sequence != expected {
            return Err(ConvertError::Gap {
                expected,
                got: update.sequence,
            });
        }
        self.sequence = expected;
        if !self.is_open {
            if let Some(session) = &update.session {
                self.next.session = session.clone().try_into()?;
            }
            self.take_header(update)?;
        }
        Ok(self)
    }

    /// What the first message of an update holds beside the session.
    fn take_header(&mut self, update: &wire::SessionUpdate) -> Result<(), ConvertError> {
        (self.lists_slow_calls, self.lists_in_flight) = (false, false);
        self.is_tree_changed = false;
        if self.next.call_tree.lost_calls != update.lost_calls {
            Arc::make_mut(&mut self.next.call_tree).lost_calls = update.lost_calls;
        }
        if let Some(accounting) = update.accounting {
            self.next.accounting = accounting.try_into()?;
        }
        if let Some(overhead) = update.overhead {
            self.next.overhead = overhead.into();
        }
        Ok(())
    }

    fn take(&mut self, update: wire::SessionUpdate) -> Result<Option<Arc<Snapshot>>, ConvertError> {
        for function in update.functions {
            self.take_function(function)?;
        }
        for node in &update.nodes {
            self.take_node(node)?;
        }
        for head in update.replicas {
            self.take_replica(head)?;
        }
        for changed in update.replica_functions {
            self.take_replica_function(changed)?;
        }
        if let Some(calls) = update.slow_calls {
            self.take_slow_calls(calls)?;
        }
        if let Some(calls) = update.in_flight {
            self.take_in_flight(calls)?;
        }
        for notice in update.notices {
            let notice = SessionNotice::try_from(notice)?;
            self.keep(notice.held_bytes(), 0)?;
            self.next.notices.push(notice);
        }
        self.is_open = update.continues;
        if self.is_open {
            return Ok(None);
        }
        check_functions(&self.next.functions)?;
        if self.is_tree_changed {
            check_tree(&self.next.call_tree)?;
        }
        Ok(Some(Arc::new(self.next.clone())))
    }

    fn take_function(&mut self, function: wire::FunctionStats) -> Result<(), ConvertError> {
        let len = self.next.functions.len();
        let place = function.place as usize;
        if place > len {
            return Err(ConvertError::Place {
                field: "functions",
                place: function.place.into(),
                len,
            });
        }
        let last = self.next.functions.get(place).map(Arc::as_ref);
        let before_bytes = last.map_or(0, Held::held_bytes);
        let function = stats::from_wire(function, last)?;
        self.keep(function.held_bytes(), before_bytes)?;
        let function = Arc::new(function);
        match self.next.functions.get_mut(place) {
            Some(last) => *last = function,
            None => self.next.functions.push(function),
        }
        Ok(())
    }

    fn take_node(&mut self, node: &wire::CallNode) -> Result<(), ConvertError> {
        self.is_tree_changed = true;
        let nodes = &mut Arc::make_mut(&mut self.next.call_tree).nodes;
        let place = node.id as usize;
        let before_bytes = nodes.get(place).map_or(0, Held::held_bytes);
        tree::put(nodes, node)?;
        let bytes = nodes.get(place).map_or(0, Held::held_bytes);
        self.keep(bytes, before_bytes)
    }

    fn take_replica(&mut self, head: wire::Replica) -> Result<(), ConvertError> {
        let place = head.place as usize;
        let before_bytes = self
            .next
            .replicas
            .get(place)
            .map_or(0, |it| it.held_bytes());
        replicas::put(&mut self.next.replicas, head)?;
        let bytes = self
            .next
            .replicas
            .get(place)
            .map_or(0, |it| it.held_bytes());
        self.keep(bytes, before_bytes)
    }

    fn take_replica_function(
        &mut self,
        changed: wire::ReplicaFunction,
    ) -> Result<(), ConvertError> {
        let replica = changed.replica as usize;
        let place = changed.stats.as_ref().map_or(0, |stats| stats.place) as usize;
        let bytes = |replicas: &[Arc<Replica>]| {
            let stats = replicas.get(replica).and_then(|it| it.function(place));
            let all = replicas.get(replica).map_or(0, |it| it.held_bytes());
            all + stats.map_or(0, |it| it.held_bytes())
        };
        let before_bytes = bytes(&self.next.replicas);
        let functions_len = self.next.functions.len();
        replicas::put_function(&mut self.next.replicas, changed, functions_len)?;
        let bytes = bytes(&self.next.replicas);
        self.keep(bytes, before_bytes)
    }

    fn take_slow_calls(&mut self, calls: wire::SlowCalls) -> Result<(), ConvertError> {
        if !std::mem::replace(&mut self.lists_slow_calls, true) {
            self.next.slow_calls.clear();
            self.slow_calls_bytes = 0;
        }
        for call in calls.calls {
            let call = CallRecord::try_from(call)?;
            self.slow_calls_bytes += call.held_bytes();
            self.check_bytes()?;
            self.next.slow_calls.push(call);
        }
        Ok(())
    }

    fn take_in_flight(&mut self, calls: wire::InFlightCalls) -> Result<(), ConvertError> {
        if !std::mem::replace(&mut self.lists_in_flight, true) {
            self.next.in_flight.clear();
            self.in_flight_bytes = 0;
        }
        for call in calls.calls {
            let call = InFlightCall::from(call);
            self.in_flight_bytes += call.held_bytes();
            self.check_bytes()?;
            self.next.in_flight.push(call);
        }
        Ok(())
    }

    /// Counts what a part takes now in place of what it took before.
    fn keep(&mut self, bytes: usize, before_bytes: usize) -> Result<(), ConvertError> {
        self.kept_bytes = self.kept_bytes + bytes - before_bytes;
        self.check_bytes()
    }

    fn check_bytes(&self) -> Result<(), ConvertError> {
        let sum = self.kept_bytes + self.slow_calls_bytes + self.in_flight_bytes;
        if sum > self.bytes_max {
            return Err(ConvertError::TooLarge {
                what: "the session",
                limit_bytes: self.bytes_max,
            });
        }
        Ok(())
    }
}
