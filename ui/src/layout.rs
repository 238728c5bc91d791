//! Where everything is: a pure function of the terminal's size and the state, so that drawing, the
//! mouse and page keys agree.

use ratatui::layout::Rect;

use crate::calls::View;
use crate::canvas::inset;
use crate::draw::sql;
use crate::filter_input::FilterInput;
use crate::state::{Screen, State};
use crate::table::MARGIN;

/// Below this size there is a message instead of a screen.
pub(crate) const SMALLEST: (u16, u16) = (40, 10);

/// From this width on, the header needs two lines, below it three.
const WIDE_HEADER: u16 = 136;

/// From this width on, panes stand side by side; from the lower one on, below each other.
const SIDE_BY_SIDE: u16 = 120;
const STACKED: u16 = 80;

/// The parts of the whole screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) header: Rect,
    pub(crate) body: Rect,
    pub(crate) notice: Rect,
    pub(crate) footer: Rect,
}

impl Frame {
    /// Splits the screen; the notice gets as many lines as it needs and the body can spare.
    pub(crate) fn of(area: Rect, notice_lines: u16) -> Self {
        let header_lines = if area.width >= WIDE_HEADER { 2 } else { 3 };
        let (header, rest) = split_top(area, header_lines);
        let (rest, footer) = split_bottom(rest, 1);
        let (body, notice) = split_bottom(rest, notice_lines.min(rest.height / 2));
        Self {
            header,
            body,
            notice,
            footer,
        }
    }
}

/// The panes of the functions screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FunctionPanes {
    pub(crate) list: Rect,
    pub(crate) latency: Option<Rect>,
    pub(crate) calls: Option<Rect>,
}

impl FunctionPanes {
    pub(crate) fn of(body: Rect) -> Self {
        if body.width >= SIDE_BY_SIDE {
            let (list, right) = split_left(body, body.width * 3 / 5);
            let right = Rect {
                x: right.x.saturating_add(2),
                width: right.width.saturating_sub(2),
                ..right
            };
            let (latency, calls) = if right.height >= 34 {
                let (latency, calls) = split_bottom(right, right.height / 3);
                (latency, Some(calls))
            } else {
                (right, None)
            };
            Self {
                list,
                latency: Some(latency),
                calls,
            }
        } else if body.width >= STACKED && body.height >= 16 {
            let (list, latency) = split_bottom(body, (body.height * 11 / 20).max(9));
            Self {
                list,
                latency: Some(latency),
                calls: None,
            }
        } else {
            Self {
                list: body,
                latency: None,
                calls: None,
            }
        }
    }
}

/// The panes of the calls screen: the rows of a view, and what else there is to say about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallPanes {
    pub(crate) list: ListPane,
    pub(crate) detail: Option<Rect>,
}

impl CallPanes {
    pub(crate) fn of(state: &State, body: Rect) -> Self {
        let calls = &state.calls;
        let (list, detail) = if !calls.view.has_detail() {
            (body, None)
        } else if body.width >= SIDE_BY_SIDE {
            let (list, detail) = split_left(body, body.width * 3 / 5);
            (list, Some(inset(detail, 2)))
        } else if body.width >= STACKED && body.height >= 16 {
            let (list, detail) = split_bottom(body, body.height * 2 / 5);
            (list, Some(detail))
        } else if calls.detail_is_open {
            // The title stays: it says what was lost.
            let (title, detail) = split_top(body, 1);
            (title, Some(detail))
        } else {
            (body, None)
        };
        let search = &calls.search;
        let detail_lines = match calls.view {
            View::Flame => 1,
            View::Trace => 5,
            _ => 0,
        };
        let list = ListPane::of(list, filter_lines(search), detail_lines);
        Self { list, detail }
    }
}

/// The parts of a pane with a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListPane {
    pub(crate) title: Rect,
    pub(crate) filter: Rect,
    pub(crate) head: Rect,
    pub(crate) rows: Rect,
    /// What else is to be said about the selected row.
    pub(crate) detail: Rect,
}

impl ListPane {
    fn of(area: Rect, filter_lines: u16, detail_lines: u16) -> Self {
        let (title, rest) = split_top(area, 1);
        let (filter, rest) = split_top(rest, filter_lines);
        let (head, rest) = split_top(rest, 1);
        let (rows, detail) = split_bottom(rest, detail_lines.min(rest.height / 3));
        Self {
            title,
            filter,
            head,
            rows,
            detail,
        }
    }

    pub(crate) fn processes(state: &State, body: Rect) -> Self {
        Self::of(body, filter_lines(&state.processes.filter), 2)
    }

    pub(crate) fn services(state: &State, body: Rect) -> Self {
        Self::of(body, filter_lines(&state.services.filter), 2)
    }

    pub(crate) fn functions(state: &State, panes: &FunctionPanes) -> Self {
        // What is wrong with the filter stands below it.
        let error_lines = u16::from(state.functions.filter_error().is_some());
        let detail_lines = if panes.latency.is_some() { 0 } else { 2 };
        Self::of(
            panes.list,
            filter_lines(&state.functions.filter) + error_lines,
            detail_lines,
        )
    }

    pub(crate) fn slow_calls(area: Rect) -> Self {
        Self::of(area, 0, 0)
    }

    /// Below the head stands what all replicas add up to.
    pub(crate) fn replicas(state: &State, area: Rect) -> Self {
        let filter_lines = filter_lines(&state.replicas.filter);
        Self::of(area, filter_lines, 2).with_sum()
    }

    /// The replicas where they are one pane of several.
    pub(crate) fn replicas_beside(area: Rect) -> Self {
        Self::of(area, 0, 0).with_sum()
    }

    /// With a second row in the head.
    fn with_sum(mut self) -> Self {
        let (sum, rows) = split_top(self.rows, 1);
        self.head.height += sum.height;
        self.rows = rows;
        self
    }

    pub(crate) fn sessions(body: Rect) -> Self {
        Self::of(body, 0, 7)
    }

    pub(crate) fn events(body: Rect) -> Self {
        Self::of(body, 0, 5)
    }
}

/// The parts of the SQL screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SqlPanes {
    pub(crate) title: Rect,
    /// The query, on as many lines as it needs and may have.
    pub(crate) input: Rect,
    /// What the word that is typed could become.
    pub(crate) hint: Rect,
    pub(crate) failure: Rect,
    pub(crate) head: Rect,
    pub(crate) rows: Rect,
    /// The selected row in full.
    pub(crate) detail: Rect,
}

impl SqlPanes {
    /// Lines that a query has at most; the ones around the caret are shown.
    const INPUT_MAX: u16 = 6;

    pub(crate) fn of(state: &State, body: Rect) -> Self {
        let columns = body.width.saturating_sub(MARGIN);
        let (lines, _) = sql::lines(
            &state.sql.input,
            usize::from(columns.max(1)),
            &state.options.glyphs,
        );
        let failure = sql::failure_lines(state, columns).len() as u16;
        let (title, rest) = split_top(body, 1);
        let input_lines = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        let (input, rest) = split_top(rest, input_lines.min(Self::INPUT_MAX).min(rest.height / 3));
        let (hint, rest) = split_top(rest, 1);
        let (failure, rest) = split_top(rest, failure.min(rest.height / 2));
        let (head, rest) = split_top(rest, 1);
        let (rows, detail) = split_bottom(rest, 3.min(rest.height / 3));
        Self {
            title,
            input,
            hint,
            failure,
            head,
            rows,
            detail,
        }
    }
}

fn filter_lines(filter: &FilterInput) -> u16 {
    u16::from(filter.editing || filter.is_active())
}

impl State {
    /// Where the screen is, on the terminal as it was last reported.
    pub(crate) fn body(&self) -> Rect {
        Frame::of(self.area, self.notice_lines(self.area.width)).body
    }

    /// The rows of the list that keys move in, on the terminal as it was last reported.
    pub(crate) fn list_rows(&self) -> Rect {
        let body = self.body();
        match self.screen {
            Screen::Processes if self.lists_services() => ListPane::services(self, body).rows,
            Screen::Processes => ListPane::processes(self, body).rows,
            Screen::Functions => ListPane::functions(self, &FunctionPanes::of(body)).rows,
            Screen::Latency if self.shows_replicas() => ListPane::replicas(self, body).rows,
            Screen::Latency => Rect { height: 1, ..body },
            Screen::Calls => CallPanes::of(self, body).list.rows,
            Screen::Sessions => ListPane::sessions(body).rows,
            Screen::Events => ListPane::events(body).rows,
            Screen::Sql => SqlPanes::of(self, body).rows,
        }
    }
}

pub(crate) fn split_top(area: Rect, height: u16) -> (Rect, Rect) {
    let height = height.min(area.height);
    let top = Rect { height, ..area };
    let rest = Rect {
        y: area.y + height,
        height: area.height - height,
        ..area
    };
    (top, rest)
}

pub(crate) fn split_bottom(area: Rect, height: u16) -> (Rect, Rect) {
    split_top(area, area.height - height.min(area.height))
}

pub(crate) fn split_left(area: Rect, width: u16) -> (Rect, Rect) {
    let width = width.min(area.width);
    let left = Rect { width, ..area };
    let rest = Rect {
        x: area.x + width,
        width: area.width - width,
        ..area
    };
    (left, rest)
}
