//! What the console is started with.

use coral_model::{Limits, SessionSettings};

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
    /// The agent that everything comes from, where that is another program.
    pub agent: Option<String>,
    /// Why a recording is shown, or anything else to say at the start.
    pub reason: Option<String>,
    /// What a session is asked to do if nothing else is said; `extend` adds its lease once more.
    pub settings: SessionSettings,
    /// What the agent allows.
    pub limits: Limits,
    /// What was measured is kept in about so much memory at most, in bytes.
    pub record_memory_bytes: usize,
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

impl Options {
    /// The memory for what was measured, if nothing else is configured.
    pub const RECORD_MEMORY_BYTES: usize = 64 << 20;
}

impl Default for Options {
    fn default() -> Self {
        Self {
            start: Start::default(),
            replay: false,
            agent: None,
            reason: None,
            settings: SessionSettings::default(),
            limits: Limits::default(),
            record_memory_bytes: Self::RECORD_MEMORY_BYTES,
            theme: Theme::default(),
            colors: Colors::default(),
            glyphs: Glyphs::default(),
            keymap: Keymap::default(),
            views: Vec::new(),
        }
    }
}
