//! The views of the latency screen as tables for a file.

use coral_model::{Verdict, bucket_range_ns};

use crate::event::ViewExport;
use crate::export::{ROWS_MAX, table};
use crate::latency::{Comparison, History, MARKED, View};
use crate::state::State;
use crate::update::measuring_command;

/// The view in front; `None` for the histogram, and where nothing was measured.
pub(crate) fn view(state: &State) -> Option<ViewExport> {
    let command = measuring_command(state);
    let history = state.latency.history.as_ref();
    let (mut view, rows) = match state.latency.view {
        View::Histogram | View::Replicas => return None,
        View::Heatmap => heatmap(history?),
        View::Lines => lines(history?),
        View::Compare => comparison(state.latency.comparison.as_ref()?),
    };
    view.rows_left_out = rows.len().saturating_sub(ROWS_MAX);
    view.rows = rows.into_iter().take(ROWS_MAX).collect();
    view.command = command;
    Some(view)
}

fn heatmap(history: &History) -> (ViewExport, Vec<Vec<String>>) {
    let rows = history.slices.iter().flat_map(|slice| {
        slice.latency.buckets.iter().map(|bucket| {
            let range = bucket_range_ns(bucket.index);
            let numbers = [range.start, range.end, bucket.count];
            let times = [slice.from_ms, slice.until_ms];
            let times = times.iter().map(i64::to_string);
            times.chain(numbers.iter().map(u64::to_string)).collect()
        })
    });
    let columns = ["from_ms", "until_ms", "low_ns", "high_ns", "count"];
    (
        table("latency-heatmap", None, &columns, Vec::new()),
        rows.collect(),
    )
}

fn lines(history: &History) -> (ViewExport, Vec<Vec<String>>) {
    let rows = history.slices.iter().map(|slice| {
        let percentiles = MARKED.map(|(percent, _)| slice.latency.percentile_ns(percent));
        let mut row = vec![
            slice.from_ms.to_string(),
            slice.until_ms.to_string(),
            slice.latency.count().to_string(),
        ];
        let written = |ns: Option<u64>| ns.map_or_else(String::new, |ns| ns.to_string());
        row.extend(percentiles.map(written));
        row
    });
    let columns = [
        "from_ms", "until_ms", "count", "p50_ns", "p90_ns", "p99_ns", "max_ns",
    ];
    (
        table("latency-percentiles", None, &columns, Vec::new()),
        rows.collect(),
    )
}

fn comparison(comparison: &Comparison) -> (ViewExport, Vec<Vec<String>>) {
    let number = |value: Option<f64>, digits: usize| {
        value.map_or_else(String::new, |value| format!("{value:.digits$}"))
    };
    let rows = comparison.rows.iter().map(|row| {
        let digits = if row.is_duration { 0 } else { 3 };
        let verdict = match row.verdict {
            Some(Verdict::Real) => "more than noise",
            Some(Verdict::Noise) => "within noise",
            Some(Verdict::TooFew) => "n too small",
            None => "",
        };
        vec![
            row.name.to_owned(),
            if row.is_duration { "ns" } else { "1/s" }.to_owned(),
            comparison.a.name.clone(),
            number(row.a, digits),
            comparison.b.name.clone(),
            number(row.b, digits),
            number(row.difference_percent(), 2),
            verdict.to_owned(),
        ]
    });
    let columns = [
        "statistic",
        "unit",
        "a",
        "a_value",
        "b",
        "b_value",
        "difference_percent",
        "verdict",
    ];
    (
        table("latency-comparison", None, &columns, Vec::new()),
        rows.collect(),
    )
}
