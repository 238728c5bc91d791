//! Queries over the history: what can be asked for, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The tables that a query can name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlSchema {
    /// The tables, in the order in which they are told.
    pub tables: Vec<SqlTable>,
}

/// A table of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlTable {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<SqlColumn>,
}

/// A column of a table or of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlColumn {
    /// Its name.
    pub name: String,
    /// Its type as the engine writes it, such as `UBIGINT` or `DECIMAL(18,3)`.
    pub type_name: String,
}

/// The answer to a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlResult {
    /// The columns, from the left.
    pub columns: Vec<SqlColumn>,
    /// The rows, each with a value for every column; `None` is NULL. Escape values before showing
    /// them.
    pub rows: Arc<Vec<Vec<Option<String>>>>,
    /// Whether there are more rows than were asked for.
    pub is_cut: bool,
    /// When the history was as the rows show it.
    pub as_of: Timestamp,
    /// How long it took.
    pub elapsed: Duration,
}

impl SqlColumn {
    /// Whether its values are numbers, which stand at the right.
    pub fn is_number(&self) -> bool {
        const NUMBERS: [&str; 15] = [
            "TINYINT",
            "SMALLINT",
            "INTEGER",
            "BIGINT",
            "HUGEINT",
            "UTINYINT",
            "USMALLINT",
            "UINTEGER",
            "UBIGINT",
            "UHUGEINT",
            "FLOAT",
            "REAL",
            "DOUBLE",
            "DECIMAL",
            "INT",
        ];
        let bare = self.type_name.split('(').next().unwrap_or_default().trim();
        // `INTEGER[]` is a list.
        NUMBERS
            .iter()
            .any(|number| bare.eq_ignore_ascii_case(number))
            && !self.type_name.ends_with(']')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_by_their_type() {
        let is_number = |type_name: &str| {
            let column = SqlColumn {
                name: "x".into(),
                type_name: type_name.into(),
            };
            column.is_number()
        };
        for number in ["BIGINT", "ubigint", "DECIMAL(18,3)", "DOUBLE"] {
            assert!(is_number(number), "{number}");
        }
        for other in [
            "VARCHAR",
            "BIGINT[]",
            "DECIMAL(18,3)[]",
            "TIMESTAMP WITH TIME ZONE",
            "",
        ] {
            assert!(!is_number(other), "{other}");
        }
    }
}
