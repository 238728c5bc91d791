//! The source of a function, shown above the screen.

use crate::event::Failure;

/// What is shown of which file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceView {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) text: SourceText,
    /// How many lines it was scrolled by, down from where the line is in the middle.
    pub(crate) scroll: i32,
}

/// Its lines, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SourceText {
    Waiting,
    Failed(Failure),
    Lines { first_line: u32, lines: Vec<String> },
}

impl SourceView {
    /// Which of the lines is the first that is shown.
    pub(crate) fn first_shown(&self, first_line: u32, lines: usize, height: usize) -> usize {
        let meant = self.line.saturating_sub(first_line) as usize;
        let middle = meant.saturating_sub(height / 2);
        let shown = middle.saturating_add_signed(self.scroll as isize);
        shown.min(lines.saturating_sub(height))
    }

    /// Scrolls; no further than the lines go.
    pub(crate) fn scroll_by(&mut self, lines: i32) {
        let known = match &self.text {
            SourceText::Lines { lines, .. } => lines.len() as i32,
            _ => 0,
        };
        self.scroll = self.scroll.saturating_add(lines).clamp(-known, known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_in_the_middle_where_it_can_be() {
        let view = |line, scroll| SourceView {
            file: String::new(),
            line,
            text: SourceText::Waiting,
            scroll,
        };
        assert_eq!(view(1, 0).first_shown(1, 100, 10), 0);
        assert_eq!(view(50, 0).first_shown(1, 100, 10), 44);
        assert_eq!(view(50, -3).first_shown(1, 100, 10), 41);
        assert_eq!(view(100, 0).first_shown(1, 100, 10), 90);
        assert_eq!(view(50, 0).first_shown(1, 3, 10), 0);
    }
}
