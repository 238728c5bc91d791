//! What the word before the caret could become: names of tables and columns, and SQL's own words.

use std::collections::BTreeSet;

use coral_model::{SqlColumn, SqlSchema, SqlTable};

/// The words of SQL that queries over a history are made of.
const WORDS: [&str; 32] = [
    "and", "as", "asc", "avg", "between", "by", "case", "count", "desc", "distinct", "else", "end",
    "from", "group", "having", "interval", "is", "join", "like", "limit", "max", "min", "not",
    "null", "on", "or", "order", "select", "sum", "then", "when", "where",
];

/// What was typed of a word, and what begins so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Completion<'a> {
    typed: String,
    /// Tables and columns before SQL's own words.
    pub(crate) candidates: Vec<&'a str>,
}

impl<'a> Completion<'a> {
    /// Completes the word at the end of `before`; the whole query tells which tables it is about.
    pub(crate) fn of(schema: &'a SqlSchema, before: &str, query: &str) -> Self {
        let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
        let start = before.trim_end_matches(is_of_word).len();
        let typed = &before[start..];
        let table = before[..start].strip_suffix('.').map(|rest| {
            let name = rest.trim_end_matches(is_of_word).len();
            &rest[name..]
        });
        let mut candidates = match table {
            Some(table) => columns(schema, |it| it.name.eq_ignore_ascii_case(table)),
            None if typed.is_empty() => Vec::new(),
            None => names(schema, query),
        };
        candidates.retain(|name| {
            let begin = name.get(..typed.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(typed))
        });
        Self {
            typed: typed.to_owned(),
            candidates,
        }
    }

    /// What all candidates have in common beyond what was typed; with a space, if there is one only.
    pub(crate) fn rest(&self) -> Option<String> {
        let (first, others) = self.candidates.split_first()?;
        let rest = &first[self.typed.len()..];
        if others.is_empty() {
            return Some(format!("{rest} "));
        }
        let common = |a: usize, other: &&str| {
            let both = first.bytes().zip(other.bytes());
            both.take(a)
                .take_while(|(x, y)| x.eq_ignore_ascii_case(y))
                .count()
        };
        let end = others.iter().fold(first.len(), common);
        let end = first.floor_char_boundary(end);
        (end > self.typed.len()).then(|| first[self.typed.len()..end].to_owned())
    }
}

/// All that a word can be: columns of the tables that the query names come first.
fn names<'a>(schema: &'a SqlSchema, query: &str) -> Vec<&'a str> {
    let lower = query.to_ascii_lowercase();
    let is_named = |table: &SqlTable| {
        let mut words = lower.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|word| word == table.name.to_ascii_lowercase())
    };
    let mut names = columns(schema, is_named);
    names.extend(schema.tables.iter().map(|table| table.name.as_str()));
    let others = columns(schema, |table| !is_named(table));
    for name in others.into_iter().chain(WORDS) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The columns of some tables, each once.
fn columns(schema: &SqlSchema, is_wanted: impl Fn(&SqlTable) -> bool) -> Vec<&str> {
    let tables = schema.tables.iter().filter(|table| is_wanted(table));
    let columns = tables.flat_map(|table| &table.columns);
    let names: BTreeSet<&str> = columns
        .map(|SqlColumn { name, .. }| name.as_str())
        .collect();
    names.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> SqlSchema {
        let table = |name: &str, columns: &[&str]| SqlTable {
            name: name.into(),
            columns: columns
                .iter()
                .map(|name| SqlColumn {
                    name: (*name).into(),
                    type_name: "VARCHAR".into(),
                })
                .collect(),
        };
        SqlSchema {
            tables: vec![
                table(
                    "debug_sessions",
                    &["session_id", "service_name", "started_at"],
                ),
                table(
                    "uprobe_events",
                    &["session_id", "duration_ns", "function_name"],
                ),
            ],
        }
    }

    #[test]
    fn words_become_names_of_what_the_query_is_about() {
        let schema = schema();
        let check = |before: &str, candidates: &[&str], rest: Option<&str>| {
            let completion = Completion::of(&schema, before, before);
            assert_eq!(completion.candidates, candidates, "{before}");
            assert_eq!(completion.rest().as_deref(), rest, "{before}");
        };
        check("sel", &["select"], Some("ect "));
        check(
            "select * from debu",
            &["debug_sessions"],
            Some("g_sessions "),
        );
        check("select * from UPR", &["uprobe_events"], Some("obe_events "));
        check("select du", &["duration_ns"], Some("ration_ns "));
        check(
            "select * from debug_sessions where s",
            &["service_name", "session_id", "started_at", "select", "sum"],
            None,
        );
        check("select se", &["service_name", "session_id", "select"], None);
        check("select ses", &["session_id"], Some("sion_id "));
        check(
            "select uprobe_events.f",
            &["function_name"],
            Some("unction_name "),
        );
        check("select debug_sessions.f", &[], None);
        check("select ", &[], None);
        check("select x", &[], None);
        check("select \u{e4}", &[], None);
    }

    #[test]
    fn what_all_have_in_common_is_filled_in() {
        let schema = SqlSchema {
            tables: vec![
                SqlTable {
                    name: "session_replicas".into(),
                    columns: Vec::new(),
                },
                SqlTable {
                    name: "session_snapshots".into(),
                    columns: Vec::new(),
                },
            ],
        };
        let completion = Completion::of(&schema, "from ses", "from ses");
        assert_eq!(completion.rest().as_deref(), Some("sion_"));
    }
}
