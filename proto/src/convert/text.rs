//! Texts, which come from binaries and programs and may be of any length.

/// The longest name, path or other text of a function, a session or a notice that goes over the
/// wire whole, in bytes.
pub const TEXT_BYTES_MAX: usize = 64 << 10;

/// What stands at the end of a text that was cut.
pub const TRUNCATED: &str = "<truncated>";

/// The text, of which at most `bytes_max` are left before the mark that it was cut.
pub(super) fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes_max);
    format!("{}{TRUNCATED}", &text[..end])
}

/// [`cut`], to what every text may be long.
pub(super) fn text(text: &str) -> String {
    cut(text, TEXT_BYTES_MAX)
}

/// [`text`], where there is one.
pub(super) fn optional_text(text: &Option<String>) -> Option<String> {
    text.as_deref().map(self::text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("äöü", 6), "äöü");
        assert_eq!(cut("äöü", 5), "äö<truncated>");
        assert_eq!(cut("äöü", 0), TRUNCATED);
    }
}
