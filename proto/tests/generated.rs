//! The generated code is that of the `.proto` files. `CORAL_UPDATE_PROTO=1` writes it anew.
#![allow(clippy::unwrap_used)] // all of this is tests

use std::path::{Path, PathBuf};
use std::{env, fs};

use prost_build::Config;
use protox::prost::Message;

const FILES: [&str; 5] = [
    "coral/sdk/v1/runtime.proto",
    "coral/agent/v1/session.proto",
    "coral/agent/v1/agent.proto",
    "coral/colony/v1/debug.proto",
    "coral/colony/v1/link.proto",
];

/// What is sent to collectors of others: no server of ours describes it.
const FILES_OF_OTHERS: [&str; 2] = [
    "opentelemetry/proto/collector/metrics/v1/metrics_service.proto",
    "opentelemetry/proto/collector/trace/v1/trace_service.proto",
];

#[test]
fn the_generated_code_is_that_of_the_definitions() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kept = root.join("src/generated");
    let made = tempfile::tempdir().unwrap();
    generate(root, made.path());
    if env::var_os("CORAL_UPDATE_PROTO").is_some() {
        fs::create_dir_all(&kept).unwrap();
        for file in files(made.path()) {
            fs::copy(made.path().join(&file), kept.join(&file)).unwrap();
        }
    }
    assert_eq!(files(&kept), files(made.path()));
    for file in files(&kept) {
        let [kept, made] = [&kept, made.path()].map(|folder| fs::read(folder.join(&file)).unwrap());
        let help = "CORAL_UPDATE_PROTO=1 cargo test -p coral-proto --test generated";
        assert!(kept == made, "{} is out of date: {help}", file.display());
    }
}

fn generate(root: &Path, to: &Path) {
    let descriptors = protox::compile(FILES, [root]).unwrap();
    fs::write(to.join("descriptors.bin"), descriptors.encode_to_vec()).unwrap();
    let of_others = protox::compile(FILES_OF_OTHERS, [root]).unwrap();
    for (descriptors, has_server) in [(descriptors, true), (of_others, false)] {
        let mut config = Config::new();
        config.out_dir(to);
        tonic_prost_build::configure()
            .out_dir(to)
            .build_server(has_server)
            .compile_fds_with_config(descriptors, config)
            .unwrap();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().file_name().into())
        .collect();
    files.sort();
    files
}
