//! Text from a target is data: nothing in it may move a cursor, change a colour, turn the reading
//! direction or hide.

use std::borrow::Cow;
use std::fmt;

/// `text` with every character that could act or hide written as an escape such as `\u{202e}`.
pub fn escape(text: &str) -> Cow<'_, str> {
    if text.chars().any(must_escape) {
        Cow::Owned(Escaped(text).to_string())
    } else {
        Cow::Borrowed(text)
    }
}

/// Displays a text escaped, without building a string.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if must_escape(character) {
                write!(formatter, "{}", character.escape_unicode())?;
            } else {
                fmt::Write::write_char(formatter, character)?;
            }
        }
        Ok(())
    }
}

/// Whether a character could act or hide.
pub(crate) fn must_escape(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // soft hyphen, Arabic letter mark, Mongolian vowel separator
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            // zero-width characters, direction marks, separators, embeddings and overrides
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            // invisible operators, isolates, deprecated format characters
            | '\u{2060}'..='\u{206f}'
            // Hangul fillers, variation selectors, byte order mark, interlinear annotation
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            // musical format controls, tags and the supplementary variation selectors
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_is_borrowed() {
        let name = "core::ops::FnOnce<Größe, 漢字>::call_once";
        assert!(matches!(escape(name), Cow::Borrowed(same) if same == name));
    }

    #[test]
    fn what_acts_or_hides_is_written_out() {
        let cases = [
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("new\nline", "new\\u{a}line"),
            ("\u{202e}evil", "\\u{202e}evil"),
            ("ze\u{200b}ro", "ze\\u{200b}ro"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\0", "\\u{0}"),
        ];
        for (hostile, shown) in cases {
            assert_eq!(escape(hostile), shown);
        }
    }
}
