//! coral's screens: state, keys, commands, filter, widgets, themes. Knows `coral-model` and
//! ratatui, nothing else: no I/O, no async.
//!
//! The shape is Elm's. [`State::new`] gives the state and the first [`Effect`]s; [`update`] takes
//! an [`Event`] in and returns effects; [`draw`] shows the state. Whoever runs the loop
//!
//! - turns terminal input and what the source says into events,
//! - carries effects out and reports their results as [`SourceEvent`]s,
//! - sends [`Event::Tick`] some times a second, and at once while [`State::has_work`] and no input
//!   is waiting,
//! - draws when [`State::take_redraw`] says so.

mod attach_form;
mod call_text;
mod calls;
mod canvas;
mod color;
mod command_finder;
mod command_line;
mod commands;
mod draw;
mod event;
mod export;
mod export_latency;
mod filter_input;
mod function_filter;
mod function_finder;
mod functions;
mod glyphs;
mod key;
mod keymap;
mod latency;
mod layout;
mod link;
mod log_scale;
mod measurements;
mod notices;
mod options;
mod own;
mod processes;
mod replicas;
mod saved_view;
mod scan;
mod selection;
mod services;
mod session_list;
mod sort;
mod sorter;
mod source_view;
mod sql;
mod state;
mod table;
mod text;
mod theme;
mod timeline;
mod typed_filter;
mod update;
mod view_finder;
mod visit;

pub use color::Colors;
pub use commands::{COMMANDS, Command, CommandInfo, Scope};
pub use draw::draw;
pub use event::{
    Attach, AttachTo, Effect, Event, Failure, Level, Link, Notice, OpenTarget, OpenedSession,
    SourceEvent, ViewExport,
};
pub use glyphs::Glyphs;
pub use key::{Key, KeyError};
pub use keymap::{Keymap, KeymapError};
pub use options::{Options, Peer, Start};
pub use saved_view::SavedView;
pub use state::{Screen, State};
pub use theme::{BUILTIN, Meaning, Theme, ThemeError};
pub use update::update;
