//! The functions of a session on several replicas, each at a place of its own.

use std::collections::HashMap;
use std::sync::Arc;

use super::sums;
use crate::{FunctionId, FunctionStats, Replica, Snapshot};

/// Which function stands at which place, and what its sum was made of.
#[derive(Debug, Default)]
pub(super) struct Functions {
    places: HashMap<FunctionId, usize>,
    /// The functions of each replica.
    replicas: Vec<Numbers>,
    sums: Vec<Option<Sum>>,
}

/// What the functions of a replica are in the union.
#[derive(Debug, Default)]
struct Numbers {
    ids: HashMap<FunctionId, FunctionId>,
    /// How many functions of a name there are: those of one name are told apart by their order.
    named: HashMap<Box<str>, usize>,
}

impl Numbers {
    /// The number in the union, which is asked for once.
    fn of(
        &mut self,
        stats: &FunctionStats,
        id_in_union: impl Fn(FunctionId, &str, usize) -> FunctionId,
    ) -> FunctionId {
        *self.ids.entry(stats.id).or_insert_with(|| {
            let nth = self.named.entry(stats.name.as_str().into()).or_default();
            *nth += 1;
            id_in_union(stats.id, &stats.name, *nth - 1)
        })
    }
}

/// A sum, and the parts that it was made of.
#[derive(Debug)]
struct Sum {
    parts: Vec<Arc<FunctionStats>>,
    sum: Arc<FunctionStats>,
}

impl Functions {
    /// The number in the union of a replica's function that was placed before. What was never
    /// placed has no name here.
    pub(super) fn in_union(&self, replica: usize, id: FunctionId) -> FunctionId {
        let numbers = self.replicas.get(replica);
        let id = numbers.and_then(|it| it.ids.get(&id)).copied();
        id.unwrap_or(FunctionId(u32::MAX))
    }

    /// The functions of a replica at their places, with their numbers in the union.
    pub(super) fn placed(
        &mut self,
        replica: usize,
        snapshot: &Snapshot,
        last: Option<&Replica>,
        id_in_union: impl Fn(FunctionId, &str, usize) -> FunctionId,
    ) -> Vec<Option<Arc<FunctionStats>>> {
        if self.replicas.len() <= replica {
            self.replicas.resize_with(replica + 1, Numbers::default);
        }
        let mut placed = last.map_or_else(Vec::new, |last| last.functions.clone());
        for stats in &snapshot.functions {
            let id = self.replicas[replica].of(stats, &id_in_union);
            let next = self.places.len();
            let place = *self.places.entry(id).or_insert(next);
            if placed.len() <= place {
                placed.resize(place + 1, None);
            }
            let known = placed[place].as_ref();
            let is_same = known.is_some_and(|known| is_same(known, stats));
            if !is_same {
                let stats = FunctionStats {
                    id,
                    ..(**stats).clone()
                };
                placed[place] = Some(Arc::new(stats));
            }
        }
        placed
    }

    /// What all replicas together measured, function by function.
    pub(super) fn merged(&mut self, replicas: &[Arc<Replica>]) -> Vec<Arc<FunctionStats>> {
        self.sums.resize_with(self.places.len(), || None);
        let sums = self.sums.iter_mut().enumerate();
        sums.filter_map(|(place, known)| {
            let parts: Vec<_> = replicas
                .iter()
                .filter_map(|replica| replica.function(place).cloned())
                .collect();
            let is_known = known.as_ref().is_some_and(|known| {
                known.parts.len() == parts.len()
                    && known
                        .parts
                        .iter()
                        .zip(&parts)
                        .all(|(a, b)| Arc::ptr_eq(a, b))
            });
            if !is_known {
                let (first, others) = parts.split_first()?;
                let mut sum = (**first).clone();
                for part in others {
                    sums::add(&mut sum, part);
                }
                let sum = Arc::new(sum);
                *known = Some(Sum { parts, sum });
            }
            known.as_ref().map(|known| Arc::clone(&known.sum))
        })
        .collect()
    }
}

/// Whether nothing but the function's number differs.
fn is_same(placed: &FunctionStats, stats: &FunctionStats) -> bool {
    placed.calls == stats.calls
        && placed.in_flight == stats.in_flight
        && *placed
            == FunctionStats {
                id: placed.id,
                ..stats.clone()
            }
}
