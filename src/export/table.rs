//! Tables in plain text, aligned by how wide a terminal draws each character.

use std::borrow::Cow;
use std::io;

use ratatui::text::Span;

/// What separates two columns.
const GAP: usize = 2;
/// A column is not cut below this, even if the line then does not fit.
const COLUMN_MIN: usize = 8;
/// Stands for what was cut off.
const ELLIPSIS: &str = "…";

/// A column of a table.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) kind: Kind,
}

/// What a column holds, which decides how it is aligned and whether it may be cut.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// To the right, never cut.
    Number,
    /// To the left; its head is cut, because the last parts of a name or a path tell the most.
    Name,
    /// To the left; its tail is cut.
    Phrase,
}

/// Writes a table of `items` that fits `width` columns if it can.
///
/// `cells` is called twice for each item, so that not all cells are in memory at once.
pub(super) fn write_table<'a, T, const N: usize>(
    out: &mut impl io::Write,
    columns: [Column; N],
    width: usize,
    items: &'a [T],
    cells: impl Fn(&'a T) -> [Cow<'a, str>; N],
) -> io::Result<()> {
    let mut widths = columns.map(|column| columns_of(column.title));
    for item in items {
        for (width, cell) in widths.iter_mut().zip(cells(item)) {
            *width = columns_of(&cell).max(*width);
        }
    }
    shrink(&columns, &mut widths, width);
    let titles = columns.map(|column| Cow::Borrowed(column.title));
    write_row(out, &columns, &widths, &titles)?;
    for item in items {
        write_row(out, &columns, &widths, &cells(item))?;
    }
    Ok(())
}

/// How many columns of a terminal a text takes: the same measure that the screens use.
pub(super) fn columns_of(text: &str) -> usize {
    Span::raw(text).width()
}

/// Takes from the widest of the columns that may be cut, until the row fits.
fn shrink(columns: &[Column], widths: &mut [usize], width: usize) {
    let mut excess =
        (widths.iter().sum::<usize>() + GAP * (widths.len() - 1)).saturating_sub(width);
    while excess > 0 {
        let cuttable = (0..widths.len())
            .filter(|&index| columns[index].kind != Kind::Number && widths[index] > COLUMN_MIN);
        let Some(widest) = cuttable.max_by_key(|&index| widths[index]) else {
            return;
        };
        // Long names take many columns at once, down to what the others leave.
        let second = (0..widths.len())
            .filter(|&index| index != widest && columns[index].kind != Kind::Number)
            .map(|index| widths[index])
            .max()
            .unwrap_or(0);
        let step = (widths[widest] - second.max(COLUMN_MIN).min(widths[widest] - 1)).min(excess);
        widths[widest] -= step;
        excess -= step;
    }
}

fn write_row(
    out: &mut impl io::Write,
    columns: &[Column],
    widths: &[usize],
    cells: &[Cow<'_, str>],
) -> io::Result<()> {
    let mut line = String::new();
    for ((column, &width), cell) in columns.iter().zip(widths).zip(cells) {
        let cell = match column.kind {
            Kind::Number => Cow::Borrowed(&**cell),
            Kind::Name => cut_head(cell, width),
            Kind::Phrase => cut_tail(cell, width),
        };
        let padding = " ".repeat(width.saturating_sub(columns_of(&cell)));
        if column.kind == Kind::Number {
            line += &padding;
            line += &cell;
        } else {
            line += &cell;
            line += &padding;
        }
        line += &" ".repeat(GAP);
    }
    writeln!(out, "{}", line.trim_end())
}

/// `text` in at most `width` columns, its beginning left out.
pub(super) fn cut_head(text: &str, width: usize) -> Cow<'_, str> {
    if columns_of(text) <= width {
        return Cow::Borrowed(text);
    }
    let kept = fitting(text.char_indices().rev(), text, width);
    Cow::Owned(format!("{ELLIPSIS}{}", &text[text.len() - kept..]))
}

/// `text` in at most `width` columns, its end left out.
pub(super) fn cut_tail(text: &str, width: usize) -> Cow<'_, str> {
    if columns_of(text) <= width {
        return Cow::Borrowed(text);
    }
    let kept = fitting(text.char_indices(), text, width);
    Cow::Owned(format!("{}{ELLIPSIS}", &text[..kept]))
}

/// How many bytes of the characters, in their order, fit beside an ellipsis.
fn fitting(characters: impl Iterator<Item = (usize, char)>, text: &str, width: usize) -> usize {
    let room = width.saturating_sub(columns_of(ELLIPSIS));
    let mut used = 0;
    characters
        .map(|(at, character)| &text[at..at + character.len_utf8()])
        .take_while(|character| {
            used += columns_of(character);
            used <= room
        })
        .map(str::len)
        .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COLUMNS: [Column; 3] = [
        Column {
            title: "NAME",
            kind: Kind::Name,
        },
        Column {
            title: "N",
            kind: Kind::Number,
        },
        Column {
            title: "WHY",
            kind: Kind::Phrase,
        },
    ];

    fn table(width: usize, rows: &[[&str; 3]]) -> String {
        let mut out = Vec::new();
        write_table(&mut out, COLUMNS, width, rows, |row| row.map(Cow::Borrowed)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned_by_what_a_terminal_draws() {
        assert_eq!(
            table(80, &[["main.f", "7", "small"], ["漢字", "1234", ""]]),
            "NAME       N  WHY\n\
             main.f     7  small\n\
             漢字    1234\n"
        );
    }

    #[test]
    fn names_lose_their_head_and_phrases_their_tail() {
        assert_eq!(
            table(
                27,
                &[[
                    "some::path::to::a_function",
                    "1",
                    "because it never returns"
                ]]
            ),
            "NAME         N  WHY\n\
             …a_function  1  because it…\n"
        );
    }

    #[test]
    fn wide_characters_are_not_cut_in_half() {
        assert_eq!(cut_head("漢字漢字", 4), "…字");
        assert_eq!(cut_tail("漢字漢字", 5), "漢字…");
        assert_eq!(cut_tail("漢字", 4), "漢字");
    }

    proptest! {
        #[test]
        fn a_line_fits_whatever_the_names_are(name in "\\PC{0,200}", why in "\\PC{0,200}") {
            for line in table(60, &[[&name, "12345678", &why]]).lines() {
                prop_assert!(columns_of(line) <= 60, "{line}");
            }
        }
    }
}
