//! The rest of a field's name.

use super::{Field, Kind};

/// What is missing behind a text that ends within the name of a field: all of it and a space if
/// only one field begins so, else as much as those have in common.
pub(crate) fn complete(text: &str) -> Option<String> {
    let is_word = |c: char| c.is_alphanumeric() || "_/".contains(c);
    let begun = &text[text.trim_end_matches(is_word).len()..];
    if begun.is_empty() {
        return None;
    }
    let fields = Field::ALL.iter();
    let mut fields = fields.filter(|(name, _)| name.starts_with(begun));
    let &(first, field) = fields.next()?;
    let mut common = first.len();
    let mut is_only = true;
    for (name, _) in fields {
        let same = first.bytes().zip(name.bytes());
        common = common.min(same.take_while(|(a, b)| a == b).count());
        is_only = false;
    }
    let mut rest = first[begun.len()..common].to_owned();
    if is_only && field.kind() != Kind::Flag {
        rest.push(' ');
    }
    (!rest.is_empty()).then_some(rest)
}
