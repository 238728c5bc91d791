//! Where the parts of the latency screen are.

use ratatui::layout::Rect;

use super::{LatencyScreen, View};
use crate::layout::{split_bottom, split_left, split_top};

/// Columns for the labels of the axis of durations.
const GUTTER: u16 = 8;
/// From this width on, the details stand beside the picture; from the lower one on, below it.
const SIDE_BY_SIDE: u16 = 120;
const STACKED: u16 = 80;
/// Columns and rows of the details.
const DETAIL_WIDTH: u16 = 50;
const DETAIL_HEIGHT: u16 = 7;
/// The axis of time, its labels, and the legend.
const AXIS_ROWS: u16 = 3;

/// The parts of a view over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Panes {
    pub(crate) title: Rect,
    /// What is to be known about the function.
    pub(crate) facts: Rect,
    /// Everything below.
    pub(crate) content: Rect,
    pub(crate) gutter: Rect,
    pub(crate) plot: Rect,
    /// Below the plot: axis, labels, legend.
    pub(crate) axis: Rect,
    /// What is under the cursor, or in the selected area.
    pub(crate) detail: Rect,
}

impl Panes {
    pub(crate) fn of(body: Rect, latency: &LatencyScreen) -> Self {
        let (title, rest) = split_top(body, 1);
        let (facts, content) = split_top(rest, u16::from(rest.height >= 8));
        let has_brush = latency.view == View::Heatmap && latency.brush.is_some();
        let (picture, detail) = if body.width >= SIDE_BY_SIDE && latency.view == View::Heatmap {
            let (picture, detail) = split_left(content, body.width - DETAIL_WIDTH);
            (picture, crate::canvas::inset(detail, 2))
        } else if !has_brush {
            (content, Rect::default())
        } else if body.width >= STACKED && content.height >= 2 * DETAIL_HEIGHT {
            split_bottom(content, DETAIL_HEIGHT)
        } else if latency.brush.is_some_and(|brush| brush.is_accepted()) {
            // There is room for one of them, and who has accepted an area wants to read about it.
            (
                Rect {
                    height: 0,
                    ..content
                },
                content,
            )
        } else {
            (content, Rect::default())
        };
        let (upper, axis) = split_bottom(picture, AXIS_ROWS);
        let (gutter, plot) = split_left(upper, GUTTER);
        let plot = Rect {
            width: plot.width.saturating_sub(1),
            ..plot
        };
        let axis = Rect {
            x: plot.x,
            width: plot.width,
            ..axis
        };
        Self {
            title,
            facts,
            content,
            gutter,
            plot,
            axis,
            detail,
        }
    }
}
