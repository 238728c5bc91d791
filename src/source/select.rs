//! From what a user names to the functions that are meant.

use coral_model::{
    Diagnostic, Escaped, ExitStatus, FunctionId, FunctionTable, Pattern, PatternError,
};

/// How many matches or suggestions an error lists.
const LISTED_MAX: usize = 20;

/// A name that selects no function, or more than one.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum SelectError {
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error("no function is named `{}`", Escaped(pattern))]
    None {
        pattern: String,
        /// Names that are alike.
        similar: Vec<String>,
    },
    #[error(
        "`{}` could be any of {} functions:\n{}",
        Escaped(pattern), matches.len(), listed(matches)
    )]
    Ambiguous {
        pattern: String,
        /// Name, file and line of each.
        matches: Vec<String>,
    },
}

impl SelectError {
    /// The error for a pattern that matches nothing.
    pub fn none(table: &FunctionTable, pattern: &str) -> Self {
        Self::None {
            pattern: pattern.to_owned(),
            similar: similar(table, pattern),
        }
    }
}

impl Diagnostic for SelectError {
    fn code(&self) -> &'static str {
        match self {
            Self::Pattern(_) => "bad-pattern",
            Self::None { .. } => "no-such-function",
            Self::Ambiguous { .. } => "ambiguous-function",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Pattern(_) => {
                "write a name, its last parts, a glob such as `main.*`, or a regex such as \
                 `/^main\\./`"
                    .into()
            }
            Self::None { similar, .. } if similar.is_empty() => {
                "`coral functions --pid <pid>` lists every function of the process".into()
            }
            Self::None { similar, .. } => format!("did you mean {}?", similar.join(", ")),
            Self::Ambiguous { .. } => {
                "write more of the name, or a glob or regex to take all of them".into()
            }
        }
    }

    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Usage
    }
}

/// The functions that the patterns mean, each once, in the table's order.
///
/// A glob or regex may mean many; a name must mean one.
///
/// # Errors
/// If a pattern cannot be understood, means nothing, or is a name that means several functions.
pub fn select(table: &FunctionTable, patterns: &[String]) -> Result<Vec<FunctionId>, SelectError> {
    let mut selected = Vec::new();
    for text in patterns {
        let pattern = Pattern::parse(text)?;
        let matches = matches(table, &pattern);
        match matches.as_slice() {
            [] => {
                return Err(SelectError::none(table, text));
            }
            [_, _, ..] if !pattern.selects_many() => {
                return Err(SelectError::Ambiguous {
                    pattern: text.clone(),
                    matches: matches.iter().map(|&id| described(table, id)).collect(),
                });
            }
            _ => selected.extend(matches),
        }
        // However many patterns mean everything, this stays in proportion to the table.
        if selected.len() > 2 * table.len() {
            selected.sort_unstable();
            selected.dedup();
        }
    }
    selected.sort_unstable();
    selected.dedup();
    Ok(selected)
}

/// The functions that one pattern means.
pub fn matches(table: &FunctionTable, pattern: &Pattern) -> Vec<FunctionId> {
    let matching = table
        .iter()
        .filter(|function| pattern.matches(function.name))
        .map(|function| function.id);
    pattern.meant(matching.collect(), table)
}

fn described(table: &FunctionTable, id: FunctionId) -> String {
    let Some(function) = table.get(id) else {
        return String::new();
    };
    let place = match (function.file, function.line) {
        (Some(file), Some(line)) => format!("{}:{line}", Escaped(file)),
        (Some(file), None) => Escaped(file).to_string(),
        _ => format!("{:#x}", function.address),
    };
    format!("{}  {place}", Escaped(function.name))
}

fn listed(matches: &[String]) -> String {
    let mut lines: Vec<String> = matches
        .iter()
        .take(LISTED_MAX)
        .map(|line| format!("  {line}"))
        .collect();
    if matches.len() > LISTED_MAX {
        lines.push(format!("  and {} more", matches.len() - LISTED_MAX));
    }
    lines.join("\n")
}

fn similar(table: &FunctionTable, text: &str) -> Vec<String> {
    let last = |name: &str| {
        let last = name.rsplit(['.', ':']).next().unwrap_or(name);
        last.to_lowercase()
    };
    let wanted = last(text);
    if wanted.len() < 3 {
        return Vec::new();
    }
    table
        .iter()
        .filter(|function| {
            let name = last(function.name);
            name.contains(&wanted) || (name.len() >= 4 && wanted.contains(&name))
        })
        .take(3)
        .map(|function| format!("`{}`", Escaped(function.name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use coral_model::{FunctionTableBuilder, Language, NewFunction, SymbolSource};

    use super::*;

    fn table(names: &[&str]) -> FunctionTable {
        let mut builder = FunctionTableBuilder::new();
        for (line, name) in (1..).zip(names) {
            builder.push(&NewFunction {
                name,
                package: 0..0,
                file: Some("main.go"),
                line: Some(line),
                address: 0,
                size: 1,
                language: Language::Go,
                source: SymbolSource::Symtab,
                module: 0,
                plan: None,
            });
        }
        builder.build()
    }

    fn selected(names: &[&str], patterns: &[&str]) -> Result<Vec<u32>, String> {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        select(&table(names), &patterns)
            .map(|ids| ids.into_iter().map(|id| id.0).collect())
            .map_err(|error| format!("{}: {error}; {}", error.code(), error.help()))
    }

    #[test]
    fn names_select_one_function_and_patterns_all_that_match() {
        let names = ["main.add", "main.(*Cart).add", "lib.add", "add"];
        assert_eq!(
            selected(&names, &["add"]),
            Ok(vec![3]),
            "the whole name wins"
        );
        assert_eq!(selected(&names, &["main.add"]), Ok(vec![0]));
        assert_eq!(selected(&names, &["/add/", "main.*"]), Ok(vec![0, 1, 2, 3]));
    }

    #[test]
    fn an_ambiguous_name_lists_its_matches_with_file_and_line() {
        let error = selected(&["main.add", "lib.add"], &["add"]).unwrap_err();
        assert!(error.starts_with("ambiguous-function: "), "{error}");
        assert!(
            error.contains("main.add  main.go:1\n  lib.add  main.go:2"),
            "{error}"
        );
    }

    #[test]
    fn a_name_without_a_match_suggests_similar_ones() {
        let error = selected(&["main.handleCheckout"], &["handlecheckout"]).unwrap_err();
        assert!(
            error.contains("did you mean `main.handleCheckout`?"),
            "{error}"
        );
    }
}
