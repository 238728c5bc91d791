//! The README says what the program does: its keys and its error codes come from the code.
#![allow(clippy::unwrap_used)] // all of this is tests

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use coral_ui::COMMANDS;

const BEGIN: &str = "<!-- keys: begin -->\n";
const END: &str = "<!-- keys: end -->";

#[test]
fn the_key_table_is_that_of_the_commands() {
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    let expected = key_table();
    if std::env::var_os("CORAL_UPDATE_README").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
    } else {
        assert_eq!(table, expected, "write it anew with CORAL_UPDATE_README=1");
    }
}

#[test]
fn every_error_code_is_documented() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let codes = codes(&root().join("src"));
    assert!(codes.len() > 30, "the search finds them: {codes:?}");
    for code in codes {
        assert!(readme.contains(&format!("`{code}`")), "{code}");
    }
}

fn key_table() -> String {
    let mut table = String::from("\n| where | key | what it does |\n| --- | --- | --- |\n");
    for command in COMMANDS {
        let keys: Vec<String> = command.keys.iter().map(|key| format!("`{key}`")).collect();
        let places: Vec<&str> = command.scopes.iter().map(|scope| scope.title()).collect();
        let place = places.join(", ");
        writeln!(table, "| {place} | {} | {} |", keys.join(" "), command.help).unwrap();
    }
    table.push('\n');
    table
}

/// The string literals that functions named `code` can return.
fn codes(folder: &Path) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes.extend(self::codes(&path));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for body in text.split("fn code(&self) -> &'static str {").skip(1) {
            let body = body.split("\n    }\n").next().unwrap();
            codes.extend(body.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
    codes
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
