//! Text that came from somewhere else, made to fit: escaped, measured in columns, cut with a sign.

use std::borrow::Cow;

use coral_model::escape;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::glyphs::Glyphs;

/// Where a text that is too long loses its characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The beginning says most: messages, command lines.
    End,
    /// The end says most: function names, paths.
    Middle,
}

/// A character as it is shown, and where in the text it begins; the sign for what was cut is
/// nowhere in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) offset: Option<usize>,
    pub(crate) shown: Cow<'static, str>,
}

/// `text`, escaped and at most `width` columns wide. Reads no more of it than it shows.
pub(crate) fn fit(text: &str, width: usize, cut: Cut, glyphs: &Glyphs) -> String {
    let pieces = fit_pieces(text, width, cut, glyphs);
    pieces.iter().map(|piece| &*piece.shown).collect()
}

/// The same as [`fit`], character by character.
pub(crate) fn fit_pieces(text: &str, width: usize, cut: Cut, glyphs: &Glyphs) -> Vec<Piece> {
    let (whole, complete) = take(text.char_indices(), width, glyphs);
    if complete {
        return whole;
    }
    let Some(budget) = width.checked_sub(glyphs.ellipsis.width()) else {
        return Vec::new();
    };
    let tail_budget = match cut {
        Cut::End => 0,
        Cut::Middle => budget - budget / 3,
    };
    let (mut pieces, _) = take(text.char_indices(), budget - tail_budget, glyphs);
    pieces.push(Piece {
        offset: None,
        shown: Cow::Borrowed(glyphs.ellipsis),
    });
    let (tail, _) = take(text.char_indices().rev(), tail_budget, glyphs);
    pieces.extend(tail.into_iter().rev());
    pieces
}

/// `text` escaped and broken into at most `lines` lines of at most `width` columns, at spaces
/// where there are any.
pub(crate) fn wrap(text: &str, width: usize, lines: usize, glyphs: &Glyphs) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() && width > 0 && wrapped.len() < lines {
        let mut used = 0;
        let mut end = rest.len();
        for (index, character) in rest.char_indices() {
            used += shown(character, glyphs).width();
            if used > width {
                end = index;
                break;
            }
        }
        if end < rest.len() && wrapped.len() + 1 == lines {
            wrapped.push(fit(rest, width, Cut::End, glyphs));
            return wrapped;
        }
        if end < rest.len() && !rest[end..].starts_with(' ') {
            end = rest[..end]
                .rfind(' ')
                .filter(|&space| space > 0)
                .unwrap_or(end);
        }
        // A single escape can be wider than the line; it is cut rather than never passed.
        let end = if end == 0 {
            rest.ceil_char_boundary(1)
        } else {
            end
        };
        wrapped.push(fit(&rest[..end], width, Cut::End, glyphs));
        rest = rest[end..].trim_start_matches(' ');
    }
    wrapped
}

/// `1 path`, `2 paths`.
pub(crate) fn plural(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// How wide a text of ours is, in columns.
pub(crate) fn width(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}

/// The characters that fit, and whether these are all.
fn take(
    characters: impl Iterator<Item = (usize, char)>,
    width: usize,
    glyphs: &Glyphs,
) -> (Vec<Piece>, bool) {
    let mut taken = Vec::new();
    let mut left = width;
    for (offset, character) in characters {
        let shown = shown(character, glyphs);
        match left.checked_sub(shown.width()) {
            Some(rest) => left = rest,
            None => return (taken, false),
        }
        taken.push(Piece {
            offset: Some(offset),
            shown,
        });
    }
    (taken, true)
}

/// One character as it is shown. Combining marks are escaped too: thousands of them on one letter
/// would be one cell of the screen. So are tones of skin: terminals disagree about whether they
/// take columns of their own.
fn shown(character: char, glyphs: &Glyphs) -> Cow<'static, str> {
    let hidden = character.width().is_none_or(|width| width == 0);
    let joins = matches!(character, '\u{1f3fb}'..='\u{1f3ff}');
    if hidden || joins || (glyphs.ascii && !character.is_ascii()) {
        Cow::Owned(character.escape_unicode().to_string())
    } else {
        Cow::Owned(escape(character.encode_utf8(&mut [0; 4])).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_cut_where_it_says_least() {
        let cases = [
            ("main.handle", 20, Cut::End, "main.handle"),
            ("main.handleCheckout", 10, Cut::End, "main.hand…"),
            ("main.handleCheckout", 10, Cut::Middle, "mai…eckout"),
            ("漢字漢字", 5, Cut::End, "漢字…"),
            ("a\u{1b}[2J", 20, Cut::End, "a\\u{1b}[2J"),
            ("e\u{301}", 20, Cut::End, "e\\u{301}"),
            ("abc", 0, Cut::Middle, ""),
            ("abc", 1, Cut::Middle, "…"),
        ];
        for (text, width, cut, shown) in cases {
            assert_eq!(fit(text, width, cut, &Glyphs::UNICODE), shown);
        }
    }

    #[test]
    fn ascii_terminals_get_ascii() {
        assert_eq!(
            fit("µs…", 30, Cut::End, &Glyphs::ASCII),
            "\\u{b5}s\\u{2026}"
        );
        assert_eq!(fit("abcdef", 4, Cut::End, &Glyphs::ASCII), "abc~");
    }

    #[test]
    fn lines_break_at_spaces() {
        let wrapped = |width, lines| wrap("the target is stopped", width, lines, &Glyphs::UNICODE);
        assert_eq!(wrapped(10, 9), ["the target", "is stopped"]);
        assert_eq!(wrapped(12, 1), ["the target …"]);
        assert_eq!(wrapped(4, 9), ["the", "targ", "et", "is", "stop", "ped"]);
        assert_eq!(wrapped(0, 9), [""; 0]);
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_its_place(text in any::<String>(), width in 0usize..40) {
            for cut in [Cut::End, Cut::Middle] {
                let shown = fit(&text, width, cut, &Glyphs::UNICODE);
                prop_assert!(shown.width() <= width, "{shown:?}");
            }
            for line in wrap(&text, width, 5, &Glyphs::ASCII) {
                prop_assert!(line.is_ascii() && line.len() <= width, "{line:?}");
            }
        }
    }
}
