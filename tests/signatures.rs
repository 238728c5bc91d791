//! What the signatures of real functions say, against programs whose source says the same.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

#[allow(unused_imports)] use common::{compile, need};
use coral_tui::symbols::signature::{Signature, SignatureReader};
use coral_tui::symbols::{Image, Symbols};

#[test]
fn dump() {
    let path = std::env::var("VALUES").unwrap();
    let symbols = read(Path::new(&path));
    let mut reader = SignatureReader::new(&symbols);
    for name in std::env::var("NAMES").unwrap().split(' ') {
        for line in table(&symbols, &mut reader, name) { println!("{line}"); }
    }
}

fn read(path: &Path) -> Symbols {
    let image = Image::open(File::open(path).unwrap(), path.display().to_string());
    Symbols::read(Arc::new(image.unwrap())).unwrap()
}

/// A function's signature as one line for each variable.
fn table(symbols: &Symbols, reader: &mut SignatureReader<'_>, name: &str) -> Vec<String> {
    let found = symbols.table().iter().find(|found| found.name == name);
    let Some(found) = found else { return vec![format!("no {name}")]};
    let plan = symbols.plan(found.id).unwrap().unwrap();
    lines(name, &reader.read(found.id, &plan))
}

fn lines(name: &str, signature: &Signature) -> Vec<String> {
    let mut lines = vec![format!("{name} {:?} error {:?} future {:?}", signature.source, signature.error, signature.future)];
    for (what, list) in [("argument", &signature.arguments), ("result", &signature.results)] {
        for v in list { lines.push(format!("  {what} {}: {} = {:?} {:?}", v.name, v.type_name, v.shape, v.read)); }
    }
    lines
}
