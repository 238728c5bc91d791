//! How fast and in how much memory the functions of a large binary are listed and planned.
//!
//! Each run is a process of its own, whose peak is then its own, too.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use coral_tui::symbols::{Image, Symbols};

use crate::Result;
use crate::common::compile;
use crate::table::{Table, median};

/// What makes this program such a process: this, a stage, and a file.
pub(crate) const CHILD: &str = "--index";
/// With the names and bounds of all functions, and then with their source lines and plans as well.
const STAGES: [&str; 2] = ["read", "completed"];
/// Both stages of both files have their turn in each round.
const ROUNDS: usize = 5;

/// What a process says of itself.
struct Run {
    functions: u64,
    duration_ms: f64,
    peak_mib: f64,
}

/// Measures and prints.
pub(crate) fn run() -> Result<()> {
    println!(
        "index: all functions of a large binary, listed (read), and with lines and plans (completed)\n\
         (median of {ROUNDS} interleaved rounds; the peak is the whole process's)\n"
    );
    let mut files = Vec::new();
    for (name, file) in [
        ("the go tool", go_tool()),
        ("librustc_driver", rustc_driver()),
    ] {
        match file {
            Ok(file) => files.push((name, file)),
            Err(reason) => println!("  skipped: {name}: {reason}"),
        }
    }
    let turns: Vec<_> = files
        .iter()
        .flat_map(|file| STAGES.map(|stage| (file, stage)))
        .collect();
    let mut runs: Vec<Vec<Run>> = turns.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (((_, file), stage), runs) in turns.iter().zip(&mut runs) {
            runs.push(run_in_child(stage, file)?);
        }
    }
    let mut table = Table::new(&["", "functions", "ms", "functions/s", "peak MiB"]);
    for (((name, _), stage), runs) in turns.iter().zip(&runs) {
        let middle = |of: fn(&Run) -> f64| median(runs.iter().map(of).collect());
        let functions = runs[0].functions;
        let duration_ms = middle(|run| run.duration_ms);
        table.row([
            format!("{name}, {stage}"),
            functions.to_string(),
            format!("{duration_ms:.0}"),
            format!("{:.0}", functions as f64 / duration_ms * 1e3),
            format!("{:.0}", middle(|run| run.peak_mib)),
        ]);
    }
    table.print();
    Ok(())
}

/// Indexes a file in this process, and says how that went.
pub(crate) fn run_child(stage: &str, file: &str) -> Result<()> {
    let begin = Instant::now();
    let mut symbols = Symbols::read(Arc::new(Image::open(File::open(file)?, file)?))?;
    if stage == "completed" {
        symbols = symbols.completed();
    }
    let duration_ms = begin.elapsed().as_secs_f64() * 1e3;
    let functions = symbols.table().len();
    println!("{functions} {duration_ms} {}", peak_mib()?);
    Ok(())
}

fn run_in_child(stage: &str, file: &Path) -> Result<Run> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args([CHILD, stage]).arg(file).output()?;
    let text = String::from_utf8(output.stdout)?;
    let [functions, duration_ms, peak_mib] = text.split_whitespace().collect::<Vec<_>>()[..] else {
        let messages = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {messages}", file.display()).into());
    };
    Ok(Run {
        functions: functions.parse()?,
        duration_ms: duration_ms.parse()?,
        peak_mib: peak_mib.parse()?,
    })
}

fn peak_mib() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let mut lines = status.lines();
    let peak = lines.find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
    Ok(peak.ok_or("no VmHWM")?.trim().parse::<f64>()? / 1024.0)
}

fn go_tool() -> Result<PathBuf> {
    let gos = compile::gos()?;
    let go = gos.first().ok_or("CORAL_GO names no Go")?;
    // What is called `go` may be a script that starts the real one.
    Ok(directory(Command::new(go).args(["env", "GOROOT"]))?.join("bin/go"))
}

fn rustc_driver() -> Result<PathBuf> {
    let libraries = directory(Command::new("rustc").args(["--print", "sysroot"]))?.join("lib");
    let paths = fs::read_dir(&libraries)?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_driver = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("librustc_driver") && name.ends_with(".so")
    };
    let mut drivers = paths.filter(is_driver);
    Ok(drivers.next().ok_or("the toolchain has none")?)
}

/// The directory that a command prints.
fn directory(command: &mut Command) -> Result<PathBuf> {
    let output = command.output()?;
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim_end()))
}
