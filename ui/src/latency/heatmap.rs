//! Calls by time and duration: a picture of half cells.

use super::area::Point;
use super::history::{History, TimeAxis};
use crate::log_scale::LogScale;

/// A cell of the picture, from its lower left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) column: u16,
    pub(crate) row: u16,
}

/// The calls of each half cell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Heatmap {
    /// Of half cells, the shortest durations first.
    pub(crate) scale: LogScale,
    /// The rows of whole cells.
    pub(crate) rows: u16,
    /// For each column the calls of its half cells; `None` where nothing was measured.
    pub(crate) columns: Vec<Option<Vec<f32>>>,
    /// The most calls of a half cell.
    pub(crate) highest: f32,
    newest: Cell,
}

impl Heatmap {
    pub(crate) fn of(history: &History, rows: u16) -> Self {
        let scale = LogScale::of(&history.all, rows.max(1).saturating_mul(2));
        let mut columns: Vec<Option<Vec<f32>>> = vec![None; usize::from(history.axis.columns)];
        for slice in history.placed() {
            let spread = scale.spread(&slice.latency);
            // When in a slice its calls were is not known: each column gets the part that its time
            // has in the slice, so that a steady rate has a steady colour.
            for number in history.axis.column(slice.from_ms)..=slice.last {
                let share = slice.share_in(&history.axis.range_ms(number));
                let column = &mut columns[usize::from(number)];
                let column = column.get_or_insert_with(|| vec![0.0; spread.len()]);
                for (sum, count) in column.iter_mut().zip(&spread) {
                    *sum += (count * share) as f32;
                }
            }
        }
        let counts = columns.iter().flatten().flatten();
        let highest = counts.copied().fold(0.0, f32::max);
        let median_ns = history.all.percentile_ns(50.0).unwrap_or_default();
        let newest = Cell {
            column: history.newest,
            row: scale.column(median_ns) / 2,
        };
        Self {
            scale,
            rows: rows.max(1),
            columns,
            highest,
            newest,
        }
    }

    /// Where the newest calls are.
    pub(crate) fn newest(&self) -> Cell {
        self.newest
    }

    /// The cell of a point; that at an edge for a point outside.
    pub(crate) fn cell(&self, axis: &TimeAxis, point: Point) -> Cell {
        Cell {
            column: axis.column(point.at_ms),
            row: (self.scale.column(point.duration_ns) / 2).min(self.rows - 1),
        }
    }

    /// The middle of a cell.
    pub(crate) fn point(&self, axis: &TimeAxis, cell: Cell) -> Point {
        let time = axis.range_ms(cell.column);
        Point {
            at_ms: time.start.midpoint(time.end),
            // A cell is two half cells, and its middle is where the second one begins.
            duration_ns: self.scale.start_ns(cell.row * 2 + 1),
        }
    }

    /// How strong a half cell's colour is, from 0 for no call to `levels`.
    pub(crate) fn level(&self, count: f32, linear: bool, levels: usize) -> usize {
        if count <= 0.0 || self.highest <= 0.0 {
            return 0;
        }
        let share = if linear {
            count / self.highest
        } else {
            count.ln_1p() / self.highest.ln_1p()
        };
        // A single call among millions is seen.
        ((share * levels as f32).ceil() as usize).clamp(1, levels)
    }
}
