//! What the console is started with.

use std::time::Duration;

use coral_model::Limits;

use crate::color::Colors;
use crate::glyphs::Glyphs;
use crate::keymap::Keymap;
use crate::saved_view::SavedView;
use crate::theme::Theme;

/// What the console shows first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// The process picker.
    #[default]
    Picker,
    /// The functions of this process.
    Process(
        /// Its process id.
        u32,
    ),
    /// The functions of whatever the source reports by itself: a recording, a sample service.
    Source,
}

/// How the console looks and behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is shown first.
    pub start: Start,
    /// Whether the source is a recording: nothing can be probed.
    pub replay: bool,
    /// Why a recording is shown, or anything else to say at the start.
    pub reason: Option<String>,
    /// The lease of sessions, and how much `extend` adds.
    pub lease: Duration,
    /// What the agent allows.
    pub limits: Limits,
    /// How everything looks.
    pub theme: Theme,
    /// The colours that the terminal has.
    pub colors: Colors,
    /// The characters that the terminal has.
    pub glyphs: Glyphs,
    /// The keys.
    pub keymap: Keymap,
    /// The views of the functions that were saved.
    pub views: Vec<SavedView>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            start: Start::default(),
            replay: false,
            reason: None,
            lease: Limits::DEFAULT_DURATION,
            limits: Limits::default(),
            theme: Theme::default(),
            colors: Colors::default(),
            glyphs: Glyphs::default(),
            keymap: Keymap::default(),
            views: Vec::new(),
        }
    }
}
