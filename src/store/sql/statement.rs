//! Whether a text is one statement that reads. What keeps it from doing more is the process that
//! it runs in; this gives a better answer than a failure there.

use super::SqlError;

/// What a statement that reads can begin with.
const READING: [&str; 11] = [
    "SELECT",
    "WITH",
    "FROM",
    "VALUES",
    "TABLE",
    "DESCRIBE",
    "DESC",
    "SHOW",
    "SUMMARIZE",
    "EXPLAIN",
    "PRAGMA",
];

/// # Errors
/// If the text is no statement, several, or one that does not read.
pub(super) fn check(sql: &str) -> Result<(), SqlError> {
    let refuse = |why: String| Err(SqlError::Refused { why });
    let tokens = Tokens { rest: sql };
    let mut words = tokens.skip_while(|token| *token == "(");
    let Some(first) = words.next().filter(|token| *token != ";") else {
        return refuse("there is no statement".into());
    };
    if !READING.iter().any(|word| first.eq_ignore_ascii_case(word)) {
        let first: String = first.chars().take(30).collect();
        return refuse(format!("`{}` does not read", first.escape_debug()));
    }
    let mut behind = words.skip_while(|token| *token != ";");
    if behind.any(|token| token != ";") {
        return refuse("there is more than one statement".into());
    }
    Ok(())
}

/// Words, quoted texts and single characters, without blanks and comments.
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            self.rest = self.rest.trim_start();
            let rest = self.rest;
            let skipped = if rest.starts_with("--") {
                rest.find('\n').unwrap_or(rest.len())
            } else if let Some(comment) = rest.strip_prefix("/*") {
                comment.find("*/").map_or(rest.len(), |end| end + 4)
            } else {
                break;
            };
            self.rest = &rest[skipped..];
        }
        let length = token_bytes(self.rest)?;
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(token)
    }
}

/// How many bytes the first token of a text has.
fn token_bytes(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    let end_of = |end: &str, from: usize| {
        let found = text[from..].find(end);
        found.map_or(text.len(), |at| from + at + end.len())
    };
    if text.starts_with("E'") || text.starts_with("e'") {
        return Some(escaped_text_bytes(text));
    }
    Some(match first {
        '\'' => end_of("'", 1),
        '"' => end_of("\"", 1),
        '$' => {
            let tag = text[1..].find(|it: char| !it.is_alphanumeric() && it != '_');
            match tag {
                Some(at) if text[1 + at..].starts_with('$') => end_of(&text[..at + 2], at + 2),
                _ => 1,
            }
        }
        first if first.is_alphanumeric() || first == '_' => text
            .find(|it: char| !it.is_alphanumeric() && it != '_')
            .unwrap_or(text.len()),
        first => first.len_utf8(),
    })
}

/// The length of a text in which a backslash takes the next character's meaning.
fn escaped_text_bytes(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(2) {
        if character == '\'' && !is_escaped {
            return at + 1;
        }
        is_escaped = character == '\\' && !is_escaped;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_that_reads_is_let_through() {
        for sql in [
            "select 1",
            "  -- a comment; with a semicolon\n(SELECT ';' AS \"a;b\") ;; /* ; */",
            "with a as (select $$;$$, $x$;'$x$) from a",
            "SELECT E'it\\'s; fine' || 'it''s;'",
            "FROM debug_sessions;",
            "summarize uprobe_events",
        ] {
            assert!(check(sql).is_ok(), "{sql}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for sql in [
            "",
            " ; ",
            "-- select",
            "select 1; select 2",
            "select ''; drop table gaps",
            "COPY gaps TO '/tmp/x'",
            "SET memory_limit = '1TB'",
            "/* select */ insert into gaps values (1)",
            "select E'\\'';drop table gaps",
            "\u{1b}[2J",
        ] {
            assert!(check(sql).is_err(), "{sql}");
        }
    }
}
