//! `--inlined`: calls of functions that have no code of their own are listed, and counted exactly.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::path::PathBuf;
use std::process::Command;

use common::exact::causes;
use common::need;
use common::session::{function, list, measure, number};
use common::target::Target;
use common::{compile, rights};
use serde_json::Value;

#[test]
fn inlined_calls_are_counted_beside_others() {
    for (binary, [mix, straight, branch]) in need!(programs()) {
        let (truth, report) = measure(&binary, &[mix, straight], &["--inlined"], "inlined");
        let document = report.document();
        let inlined = function(&document, &format!("{mix} (inlined)"));
        assert_eq!(
            number(&inlined["calls"]),
            truth.functions[mix].calls,
            "{inlined:#}"
        );
        assert_eq!(inlined["exit_probe"], "none");
        assert_eq!(inlined["errors"], Value::Null);
        let reason = inlined["reason"].as_str().unwrap();
        assert!(reason.starts_with("inlined at 2 places"), "{reason}");
        let other = function(&document, straight);
        assert_eq!(number(&other["returns"]), truth.functions[straight].returns);
        let accounting = &document["accounting"];
        assert_eq!(number(&accounting["hits"]), causes(accounting));
        assert!(!report.stdout.contains(branch));
    }
}

#[test]
fn the_list_says_where_they_are() {
    for (binary, [mix, straight, branch]) in need!(programs()) {
        let target = Target::spawn(&binary);
        let output = Command::new(common::coral::PROGRAM)
            .args(["functions", mix, "--inlined", "--format", "json", "--pid"])
            .arg(target.pid().to_string())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let [inlined] = list(&document["inlined"]) else {
            panic!("{document:#}");
        };
        assert_eq!(inlined["name"], mix);
        let calls = list(&inlined["calls"]).iter();
        let mut hosts: Vec<&str> = calls.map(|call| call["into"].as_str().unwrap()).collect();
        hosts.sort_unstable();
        assert_eq!(hosts, [branch, straight]);
        assert!(
            list(&inlined["calls"])
                .iter()
                .all(|call| call["is_exact"] == true)
        );
        assert_eq!(target.quit().code(), Some(0));
    }
}

/// Programs, and what their function is called that is inlined into the two others.
fn programs() -> Result<Vec<(PathBuf, [&'static str; 3])>, String> {
    rights::probes()?;
    let mut programs = Vec::new();
    for go in compile::gos()? {
        for flags in [&[][..], &["-ldflags=-s -w"]] {
            let names = ["main.mix", "main.straight", "main.branch"];
            programs.push((compile::e2e_go(&go, flags)?, names));
        }
    }
    programs.push((compile::e2e_c(&["-O2"])?, ["mix", "straight", "branch"]));
    Ok(programs)
}
