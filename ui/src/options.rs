//! What the console is started with.

use coral_model::{Limits, SessionSettings};

use crate::color::Colors;
use crate::glyphs::Glyphs;
use crate::keymap::Keymap;
use crate::saved_view::SavedView;
use crate::theme::Theme;

/// What the console shows first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// The process picker, or the services of a colony.
    #[default]
    Picker,
    /// The functions of this process.
    Process(
        /// Its process id.
        u32,
    ),
    /// The functions of this service of a colony.
    Service(
        /// Its name.
        String,
    ),
    /// The functions of whatever the source reports by itself: a recording, a sample service.
    Source,
}

/// The other program that everything comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An agent, which knows the processes of its node.
    Agent(
        /// Where it is.
        String,
    ),
    /// A colony, which knows the services of its agents.
    Colony(
        /// Where it is.
        String,
    ),
}

impl Peer {
    /// Where it is, as it was given.
    pub fn address(&self) -> &str {
        match self {
            Self::Agent(address) | Self::Colony(address) => address,
        }
    }

    /// What it is, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Agent(_) => "agent",
            Self::Colony(_) => "colony",
        }
    }
}

/// How the console looks and behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is shown first.
    pub start: Start,
    /// Whether the source is a recording: nothing can be probed.
    pub replay: bool,
    /// The agent or colony that everything comes from, where that is another program.
    pub peer: Option<Peer>,
    /// Whether the source remembers sessions of the past and of others.
    pub has_history: bool,
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
            peer: None,
            has_history: false,
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
