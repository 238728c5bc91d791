//! A process is chosen, probed, measured and left alone again.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::{code, compile, need, rights};
use crate::terminal::{End, LARGE, Terminal, cell, spawn_target, start};

/// The C target, where probes can be placed.
pub(crate) fn target_binary() -> Result<PathBuf, String> {
    rights::probes()?;
    compile::c(&["-O2"])
}

/// Filters for a function of the opened process, and attaches to it.
pub(crate) fn probe(terminal: &mut Terminal, function: &str) {
    begin_to_probe(terminal, function);
    terminal.wait_for_text(&format!("● {function}"));
}

/// The same without waiting until the probes are live.
pub(crate) fn begin_to_probe(terminal: &mut Terminal, function: &str) {
    terminal.wait_for_text(function);
    terminal.press(&format!("/'{function}"));
    terminal.wait_for_text(" 1 match");
    terminal.press("\r ");
}

#[test]
fn a_function_is_measured_exactly_and_exported() {
    let mut target = spawn_target(&need!(target_binary()));
    let mut terminal = start(LARGE, &["--local", &target.pid().to_string()]);
    let all = terminal.wait_for(|frame| frame.contains("descend") && frame.contains("plain_step"));
    assert!(!all.contains('●'), "{all}");
    probe(&mut terminal, "plain_step");
    let filtered = terminal.wait_for_text("● LIVE");
    assert!(!filtered.contains("descend"), "{filtered}");
    assert_ne!(code::changed(target.pid()), Vec::<u64>::new());
    target.begin("run plain 321");
    let calls = target.truth().functions["plain_step"].calls;
    assert_eq!(calls, 642);
    terminal.wait_for(|frame| cell(frame, "plain_step", "calls").as_deref() == Some("642"));
    terminal.press("E");
    terminal.wait_for_text("Exported to");
    assert_exported(terminal.folder(), calls);
    terminal.press(" ");
    terminal.wait_for_text("○ plain_step");
    assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
    terminal.press("q");
    assert_eq!(terminal.end(), End::in_order());
    target.assert_answers_as_ever();
}

#[test]
fn a_process_is_picked_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("pick{}", std::process::id());
    let binary = folder.path().join(&name);
    fs::copy(need!(compile::c(&["-O2"])), &binary).unwrap();
    let target = spawn_target(&binary);
    let mut terminal = start((100, 30), &["--local"]);
    terminal.wait_for_text("sort: services first");
    terminal.press(&format!("/'{name}"));
    let list = terminal.wait_for_text(" 1 match");
    assert!(list.contains(&format!("▌  {name}")), "{list}");
    terminal.press("\r\r");
    let functions = terminal.wait_for_text("descend");
    let header = format!(" {name}  pid {}  c ", target.pid());
    assert!(functions.starts_with(&header), "{functions}");
    terminal.press("q");
    assert_eq!(terminal.end(), End::in_order());
}

/// The session's two files are there, and both hold that many calls.
pub(crate) fn assert_exported(folder: &Path, calls: u64) {
    let files = |extension: &str| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.extension().is_some_and(|it| it == extension))
            .collect()
    };
    let [json] = &files("json")[..] else {
        panic!("one JSON file")
    };
    let document: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    assert_eq!(document["functions"].as_array().unwrap().len(), 1);
    assert_eq!(document["functions"][0]["name"], "plain_step");
    assert_eq!(document["functions"][0]["calls"], calls);
    let [csv] = &files("csv")[..] else {
        panic!("one CSV file")
    };
    let csv = fs::read_to_string(csv).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let column = rows[0].iter().position(|&name| name == "calls").unwrap();
    assert_eq!(rows.len(), 2, "{csv}");
    assert_eq!(
        (rows[1][0], rows[1][column]),
        ("plain_step", calls.to_string().as_str())
    );
}
