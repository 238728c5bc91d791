//! The characters that screens are drawn with, and numbers written with them.

use coral_model::format_duration_ns;

/// Characters for one kind of terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glyphs {
    /// Whether text from targets must be ASCII as well.
    pub(crate) ascii: bool,
    /// From nothing to a full cell, in eighths.
    pub(crate) bars: [&'static str; 9],
    /// From few to many calls, for a heatmap without colours.
    pub(crate) density: [&'static str; 8],
    /// Marks what is selected along an axis.
    pub(crate) selected: &'static str,
    /// Where the cursor of a picture is.
    pub(crate) cross: &'static str,
    /// Lines that are told apart by what they are drawn with.
    pub(crate) lines: [&'static str; 4],
    pub(crate) cursor: &'static str,
    pub(crate) probed: &'static str,
    pub(crate) attaching: &'static str,
    pub(crate) ended: &'static str,
    pub(crate) unprobeable: &'static str,
    pub(crate) not_measured: &'static str,
    pub(crate) ellipsis: &'static str,
    pub(crate) horizontal: &'static str,
    pub(crate) vertical: &'static str,
    pub(crate) tick: &'static str,
    pub(crate) mark: &'static str,
    pub(crate) descending: &'static str,
    pub(crate) ascending: &'static str,
    pub(crate) left: &'static str,
    /// What is called: one more follows, the last one.
    pub(crate) branch: &'static str,
    pub(crate) last_branch: &'static str,
    pub(crate) open: &'static str,
    pub(crate) folded: &'static str,
    pub(crate) failed: &'static str,
    /// What turns while somebody waits.
    pub(crate) spinner: [&'static str; 4],
    /// The corners of an overlay: top left, top right, bottom left, bottom right.
    pub(crate) corners: [&'static str; 4],
}

impl Glyphs {
    /// For locales in UTF-8.
    pub const UNICODE: Self = Self {
        ascii: false,
        bars: [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
        density: ["░", "░", "▒", "▒", "▒", "▓", "▓", "█"],
        selected: "━",
        cross: "┼",
        lines: ["⠒⠒", "⠒⠂", "⠂⠂", "⠂⠀"],
        cursor: "▌",
        probed: "●",
        attaching: "◌",
        ended: "○",
        unprobeable: "×",
        not_measured: "·",
        ellipsis: "…",
        horizontal: "─",
        vertical: "│",
        tick: "┬",
        mark: "▲",
        descending: "▾",
        ascending: "▴",
        left: "░",
        branch: "├",
        last_branch: "└",
        open: "▾",
        folded: "▸",
        failed: "!",
        spinner: ["◐", "◓", "◑", "◒"],
        corners: ["╭", "╮", "╰", "╯"],
    };

    /// For every other locale.
    pub const ASCII: Self = Self {
        ascii: true,
        bars: [" ", "_", ".", ".", "-", "=", "=", "#", "#"],
        density: [":", "-", "=", "+", "*", "%", "#", "@"],
        selected: "=",
        cross: "+",
        lines: ["--", "==", "**", "##"],
        cursor: ">",
        probed: "*",
        attaching: "~",
        ended: "o",
        unprobeable: "x",
        not_measured: ".",
        ellipsis: "~",
        horizontal: "-",
        vertical: "|",
        tick: "+",
        mark: "^",
        descending: "v",
        ascending: "^",
        left: ".",
        branch: "|",
        last_branch: "`",
        open: "-",
        folded: "+",
        failed: "!",
        spinner: ["|", "/", "-", "\\"],
        corners: ["+", "+", "+", "+"],
    };

    /// A duration such as `1.24 ms`.
    pub(crate) fn duration_ns(&self, duration_ns: u64) -> String {
        let text = format_duration_ns(duration_ns);
        if self.ascii {
            text.replace('µ', "u")
        } else {
            text
        }
    }

    /// A measured duration, or the sign that there is none.
    pub(crate) fn measured_ns(&self, duration_ns: Option<u64>) -> String {
        duration_ns.map_or_else(
            || self.not_measured.to_owned(),
            |duration_ns| self.duration_ns(duration_ns),
        )
    }
}

impl Default for Glyphs {
    fn default() -> Self {
        Self::UNICODE
    }
}
