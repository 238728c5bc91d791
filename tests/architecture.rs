//! What ARCHITECTURE.md promises and the compiler cannot enforce: which room may use which, and
//! how large a file may grow.
#![allow(clippy::unwrap_used)] // all of this is tests

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of `src/` and their floors: a room may use rooms below it, never one above or beside.
const FLOORS: &[(&str, u32)] = &[
    ("console", 7),
    ("cli", 7),
    ("source", 5),
    ("agent", 4),
    ("demo", 4),
    ("doctor", 4),
    ("probe", 3),
    ("export", 3),
    ("recording", 3),
    ("symbols", 2),
    ("access", 2),
    ("store", 2),
    ("config", 3),
    ("outlets", 4),
    ("serving", 5),
    ("node", 6),
    ("colony", 6),
    ("simulation", 7),
];

/// Crates, and the only rooms that may know them.
const KEPT_IN: &[(&str, &[&str])] = &[
    ("aya", &["probe"]),
    ("iced_x86", &["symbols"]),
    ("gimli", &["symbols"]),
    ("object", &["symbols"]),
    (
        "tokio",
        &[
            "access", "agent", "cli", "colony", "console", "node", "outlets", "serving", "store",
        ],
    ),
    ("duckdb", &["store"]),
    ("object_store", &["outlets"]),
    ("opentelemetry", &["outlets"]),
    ("rustls", &["access"]),
    ("tokio_rustls", &["access"]),
    ("rcgen", &["access"]),
    ("x509_parser", &["access"]),
    ("ring::digest", &["access"]),
    ("crossterm", &["cli", "console"]),
    ("clap", &["cli", "console"]),
    ("turmoil", &["colony", "node", "simulation"]),
    ("toml", &["config"]),
    ("etcetera", &["config"]),
];

const LINES_MAX: usize = 700;

#[test]
fn every_room_has_a_floor_and_uses_only_rooms_below_it() {
    let floors: BTreeMap<&str, u32> = FLOORS.iter().copied().collect();
    for (room, file, text) in rooms() {
        let floor = floors
            .get(room.as_str())
            .unwrap_or_else(|| panic!("the room {room} has no floor"));
        for used in uses(&text, "crate::") {
            if used == room {
                continue;
            }
            if let Some(used_floor) = floors.get(used.as_str()) {
                assert!(
                    used_floor < floor,
                    "{}: {room} (floor {floor}) uses {used} (floor {used_floor})",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn crates_stay_in_the_rooms_that_they_are_for() {
    let of_program = rooms()
        .into_iter()
        .filter(|(_, file, _)| !file.ends_with("tests.rs"));
    for (room, file, text) in of_program {
        for (name, rooms) in KEPT_IN {
            let is_used = text.lines().any(|line| {
                let line = line.trim_start();
                !line.starts_with("//") && line.contains(&format!("{name}::"))
            });
            assert!(
                !is_used || rooms.contains(&room.as_str()),
                "{}: {room} uses {name}, which is kept in {rooms:?}",
                file.display()
            );
        }
    }
}

#[test]
fn the_screens_know_nothing_of_the_engine() {
    let manifest = read(&root().join("ui/Cargo.toml"));
    for forbidden in ["tokio", "tonic", "aya", "duckdb", "coral-tui"] {
        assert!(!manifest.contains(&format!("\n{forbidden}")), "{forbidden}");
    }
    let manifest = read(&root().join("src/model/Cargo.toml"));
    assert!(
        !manifest.contains("\ncoral-"),
        "the model uses nothing of ours"
    );
}

#[test]
fn the_sdk_brings_nothing_of_the_engine_into_applications() {
    let manifest = read(&root().join("sdk/rust/Cargo.toml"));
    let (dependencies, _) = manifest.split_once("[dev-dependencies]").unwrap();
    let ours = dependencies
        .lines()
        .filter(|line| line.starts_with("coral-"));
    assert_eq!(ours.collect::<Vec<_>>(), ["coral-proto.workspace = true"]);
}

#[test]
fn no_file_is_too_long_to_read() {
    let mut lines: Vec<usize> = Vec::new();
    for folder in [
        "src",
        "ui/src",
        "proto/src/convert",
        "proto/tests",
        "ebpf",
        "xtask/src",
        "sdk/rust",
        "examples",
        "tests",
        "benches",
        "demo",
    ] {
        for file in rust_files(&root().join(folder)) {
            let count = read(&file).lines().count();
            assert!(count <= LINES_MAX, "{}: {count} lines", file.display());
            lines.push(count);
        }
    }
    lines.sort_unstable();
    let median = lines[lines.len() / 2];
    assert!(
        median < 200,
        "half of the files are longer than {median} lines"
    );
}

/// The files of each room: its name, the path, the text.
fn rooms() -> Vec<(String, PathBuf, String)> {
    let source = root().join("src");
    rust_files(&source)
        .into_iter()
        .filter_map(|file| {
            let inside = file.strip_prefix(&source).unwrap();
            let mut parts = inside.components();
            let room = parts.next()?.as_os_str().to_str()?.to_owned();
            let is_room = parts.next().is_some() && room != "bin" && room != "model";
            is_room.then(|| (room, file.clone(), read(&file)))
        })
        .collect()
}

/// The names right behind a prefix, one for each use.
fn uses(text: &str, prefix: &str) -> Vec<String> {
    let mut used = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
    {
        for part in line.split(prefix).skip(1) {
            let name: String = part
                .chars()
                .take_while(|character| character.is_alphanumeric() || *character == '_')
                .collect();
            used.push(name);
        }
    }
    used
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
