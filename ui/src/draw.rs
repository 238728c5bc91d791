//! Draws the state. Reads it, changes nothing, and builds only what is visible.

mod area;
mod attach_form;
pub(crate) mod calls;
mod comparison;
mod events;
mod filter_line;
pub(crate) mod find;
mod footer;
pub(crate) mod functions;
pub(crate) mod header;
mod heatmap;
pub(crate) mod help;
mod histogram;
mod latency;
mod notice;
mod overlay;
mod percentile_lines;
pub(crate) mod processes;
mod question;
mod replicas;
mod services;
mod sessions;
mod source;
pub(crate) mod sql;
pub(crate) mod time_axis;
mod views;

use ratatui::layout::Rect;

use crate::canvas::{Canvas, row};
use crate::layout::{Frame, FunctionPanes, SMALLEST};
use crate::state::{Overlay, Screen, State};
use crate::text::wrap;
use crate::theme::Meaning;

/// Draws everything.
pub fn draw(frame: &mut ratatui::Frame<'_>, state: &State) {
    let area = frame.area();
    let mut canvas = Canvas {
        buffer: frame.buffer_mut(),
        theme: &state.theme,
        glyphs: &state.options.glyphs,
    };
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return draw_too_small(&mut canvas, area);
    }
    let parts = Frame::of(area, state.notice_lines(area.width));
    header::draw(&mut canvas, state, parts.header);
    draw_screen(&mut canvas, state, parts.body);
    notice::draw(&mut canvas, state, parts.notice);
    footer::draw(&mut canvas, state, parts.footer);
    match &state.overlay {
        Some(Overlay::Help { scroll }) => help::draw(&mut canvas, state, parts.body, *scroll),
        Some(Overlay::Question(question)) => {
            question::draw(&mut canvas, state, parts.body, question);
        }
        Some(Overlay::Attach(form)) => attach_form::draw(&mut canvas, state, parts.body, form),
        Some(Overlay::SessionFilter(filter)) => {
            attach_form::draw_filter(&mut canvas, state, parts.body, filter);
        }
        Some(Overlay::Source(view)) => source::draw(&mut canvas, state, parts.body, view),
        Some(Overlay::Commands(finder)) => {
            find::draw_commands(&mut canvas, state, parts.body, finder);
        }
        Some(Overlay::Functions(finder)) => {
            find::draw_functions(&mut canvas, state, parts.body, finder);
        }
        Some(Overlay::Views(finder)) => views::draw_list(&mut canvas, parts.body, finder),
        Some(Overlay::SaveView(name)) => {
            views::draw_question(&mut canvas, state, parts.body, name);
        }
        None => {}
    }
}

fn draw_screen(canvas: &mut Canvas<'_>, state: &State, body: Rect) {
    match state.screen {
        Screen::Processes if state.lists_services() => services::draw(canvas, state, body),
        Screen::Processes => processes::draw(canvas, state, body),
        Screen::Functions => {
            let panes = FunctionPanes::of(body);
            functions::draw(canvas, state, &panes);
            if let Some(area) = panes.latency {
                latency::draw(canvas, state, area);
            }
            match panes.calls {
                Some(area) if state.has_replicas() => replicas::draw_beside(canvas, state, area),
                Some(area) => calls::draw_slowest(canvas, state, area),
                None => {}
            }
        }
        Screen::Latency if state.shows_replicas() => replicas::draw(canvas, state, body),
        Screen::Latency => latency::draw_view(canvas, state, body, state.latency.view),
        Screen::Calls => calls::draw(canvas, state, body),
        Screen::Sessions => sessions::draw(canvas, state, body),
        Screen::Events => events::draw(canvas, state, body),
        Screen::Sql => sql::draw(canvas, state, body),
    }
}

fn draw_too_small(canvas: &mut Canvas<'_>, area: Rect) {
    let (columns, rows) = SMALLEST;
    let message = format!(
        "coral needs {columns} x {rows} cells, here are {} x {}. Probes go on. Ctrl-C quits.",
        area.width, area.height
    );
    let lines = wrap(
        &message,
        usize::from(area.width),
        usize::from(area.height),
        canvas.glyphs,
    );
    for (number, line) in lines.iter().enumerate() {
        canvas.text(row(area, number), line, Meaning::Text);
    }
}
