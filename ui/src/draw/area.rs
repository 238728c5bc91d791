//! What is in the heatmap's selected area, or under its cursor.

use coral_model::{CallRecord, bucket_range_ns};
use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::commands::Command;
use crate::draw::functions::group_digits;
use crate::draw::time_axis::time_of_day;
use crate::latency::{Panes, Selected};
use crate::layout::{split_left, split_top};
use crate::state::State;
use crate::text::{Cut, wrap};
use crate::theme::Meaning;

/// Columns of a bucket's range and count.
const BUCKETS_WIDTH: u16 = 34;

/// From this width on, buckets and calls stand side by side.
const SIDE_BY_SIDE: u16 = 70;

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, panes: &Panes) {
    let area = panes.detail;
    if area.is_empty() {
        return;
    }
    let (head, rest) = split_top(area, 3);
    match &state.latency.selected {
        Some(selected) => {
            draw_head(canvas, state, head, selected);
            if rest.width >= SIDE_BY_SIDE {
                let (buckets, calls) = split_left(rest, BUCKETS_WIDTH);
                draw_buckets(canvas, selected, buckets);
                draw_calls(canvas, selected, inset(calls, 2));
            } else {
                let (buckets, calls) = split_top(rest, rest.height / 2);
                draw_buckets(canvas, selected, buckets);
                draw_calls(canvas, selected, calls);
            }
        }
        None => draw_help(canvas, state, area),
    }
}

fn draw_head(canvas: &mut Canvas<'_>, state: &State, area: Rect, selected: &Selected) {
    let is_accepted = state.latency.brush.is_some_and(|brush| brush.is_accepted());
    let key = |command| state.key(command);
    let next = if is_accepted {
        format!("{} clears", key(Command::Back))
    } else {
        format!("{} accepts", key(Command::AcceptArea))
    };
    canvas.title(area, &[("Area", Meaning::Title)], &[(next, Meaning::Hint)]);
    let share = selected.calls as f64 / selected.calls_of_all.max(1) as f64 * 100.0;
    let counted = format!(
        "{} of {} calls, {share:.2} %",
        group_digits(selected.calls),
        group_digits(selected.calls_of_all)
    );
    canvas.text(row(area, 1), &counted, Meaning::Number);
    let where_it_is = if selected.calls == 0 {
        "No call returned here.".to_owned()
    } else {
        let duration = |duration_ns| canvas.glyphs.duration_ns(duration_ns);
        format!(
            "{} to {} UTC, {} to {}",
            time_of_day(selected.bounds.from_ms),
            time_of_day(selected.bounds.until_ms),
            duration(selected.duration_ns.start),
            duration(selected.duration_ns.end),
        )
    };
    canvas.text(row(area, 2), &where_it_is, Meaning::Dim);
}

/// The buckets with their exact counts; the last row says how many more there are.
fn draw_buckets(canvas: &mut Canvas<'_>, selected: &Selected, area: Rect) {
    let buckets = &selected.buckets;
    let shown = rows_shown(buckets.len(), area.height);
    for (number, bucket) in buckets.iter().take(shown).enumerate() {
        let place = Rect {
            width: area.width.min(BUCKETS_WIDTH),
            ..row(area, number)
        };
        let range = bucket_range_ns(bucket.index);
        let (low, high) = (
            canvas.glyphs.duration_ns(range.start),
            canvas.glyphs.duration_ns(range.end),
        );
        canvas.text(place, &format!("{low:>8} to {high:>8}"), Meaning::Dim);
        canvas.right(place, &group_digits(bucket.count), Meaning::Number);
    }
    let rest: u64 = buckets.iter().skip(shown).map(|bucket| bucket.count).sum();
    if shown < buckets.len() {
        let more = format!(
            "{} shorter ranges: {}",
            buckets.len() - shown,
            group_digits(rest)
        );
        canvas.text(row(area, shown), &more, Meaning::Dim);
    }
}

fn draw_calls(canvas: &mut Canvas<'_>, selected: &Selected, area: Rect) {
    let calls = &selected.slow_calls;
    let (head, rows) = split_top(area, 1);
    let title = if calls.is_empty() {
        "None of them was recorded singly.".to_owned()
    } else {
        format!("{} recorded, the slowest first", calls.len())
    };
    canvas.text(head, &title, Meaning::Dim);
    let shown = rows_shown(calls.len(), rows.height);
    for (number, call) in calls.iter().take(shown).enumerate() {
        draw_call(canvas, call, row(rows, number));
    }
    if shown < calls.len() {
        let more = format!("{} more", calls.len() - shown);
        canvas.text(row(rows, shown), &more, Meaning::Dim);
    }
}

fn draw_call(canvas: &mut Canvas<'_>, call: &CallRecord, place: Rect) {
    let duration = canvas.glyphs.duration_ns(call.duration_ns);
    let rest = canvas.text(place, &format!("{duration:>8}  "), Meaning::Number);
    let began = call.started_at.strftime("%H:%M:%S%.3f");
    let thread = match call.goroutine {
        Some(goroutine) => format!("goroutine {goroutine}"),
        None => format!("thread {}", call.tid),
    };
    let mut rest = canvas.text(rest, &format!("{began}  {thread}  "), Meaning::Dim);
    for argument in &call.arguments {
        let text = format!("{}={} ", argument.name, argument.value);
        rest = canvas.foreign(rest, &text, Cut::End, Meaning::Text);
    }
}

/// As many as fit, and one less where a row has to say how many more there are.
fn rows_shown(len: usize, height: u16) -> usize {
    let height = usize::from(height);
    if len <= height {
        len
    } else {
        height.saturating_sub(1)
    }
}

fn draw_help(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    canvas.title(area, &[("Area", Meaning::Title)], &[]);
    let help = format!(
        "Press {} to select an area: the calls in it are counted and listed here. {} {} {} {} move the cursor.",
        state.key(Command::SelectArea),
        state.key(Command::Left),
        state.key(Command::Down),
        state.key(Command::Up),
        state.key(Command::Right),
    );
    for (number, line) in wrap(&help, usize::from(area.width), 6, canvas.glyphs)
        .iter()
        .enumerate()
    {
        canvas.text(row(area, number + 1), line, Meaning::Dim);
    }
}
