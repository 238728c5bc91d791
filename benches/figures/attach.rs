//! How long it takes until probes are live, and until they are gone.

use std::fmt::Write;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use coral_model::FunctionId;
use coral_tui::probe::{Engine, EngineSpec, FunctionSites};
use coral_tui::symbols::{Image, Symbols};

use crate::Result;
use crate::common::compile;
use crate::table::{Table, median};
use crate::workload::Workload;

/// How many functions are attached at once; the program has as many as the last says.
const SIZES: [usize; 4] = [1, 100, 1_000, 10_000];
/// Every size has its turn in each round.
const ROUNDS: usize = 9;

/// The steps of one turn, in milliseconds.
struct Turn {
    plan: f64,
    load: f64,
    attach: f64,
    detach: f64,
    probes: u32,
}

/// A running program with many functions.
struct Crowd {
    workload: Workload,
    image: Arc<Image>,
    symbols: Symbols,
    functions: Vec<FunctionId>,
}

/// Measures and prints.
pub(crate) fn run() -> Result<()> {
    println!(
        "attach: functions of a C program, an entry and an exit each\n\
         (ms; median of {ROUNDS} interleaved rounds)\n"
    );
    let crowd = Crowd::start()?;
    let mut turns: Vec<Vec<Turn>> = SIZES.map(|_| Vec::new()).into();
    for _ in 0..ROUNDS {
        for (size, turns) in SIZES.into_iter().zip(&mut turns) {
            turns.push(crowd.turn(size)?);
        }
    }
    let columns = ["plan", "load", "attach", "detach", "plan + load + attach"];
    let mut table = Table::new(&[&["functions", "probes"], &columns[..]].concat());
    for (size, turns) in SIZES.iter().zip(&turns) {
        let middle =
            |of: fn(&Turn) -> f64| format!("{:.1}", median(turns.iter().map(of).collect()));
        table.row([
            size.to_string(),
            turns[0].probes.to_string(),
            middle(|turn| turn.plan),
            middle(|turn| turn.load),
            middle(|turn| turn.attach),
            middle(|turn| turn.detach),
            middle(|turn| turn.plan + turn.load + turn.attach),
        ]);
    }
    table.print();
    println!("\n  aim for 1000 functions: attach 50, detach 100");
    Ok(())
}

impl Crowd {
    fn start() -> Result<Self> {
        let binary = compile::c_texts(&[&source(SIZES[SIZES.len() - 1])], &["-O1"])?;
        let image = Arc::new(Image::open(File::open(&binary)?, binary.to_string_lossy())?);
        let symbols = Symbols::read(Arc::clone(&image))?;
        let functions = symbols.table().iter();
        let functions = functions.filter(|function| function.name.starts_with("step_"));
        let functions = functions.map(|function| function.id).collect();
        Ok(Self {
            workload: Workload::start(&binary)?,
            image,
            symbols,
            functions,
        })
    }

    fn turn(&self, size: usize) -> Result<Turn> {
        let begin = Instant::now();
        let sites = self.sites(size)?;
        let plan = lap_ms(begin);
        let begin = Instant::now();
        let mut engine = Engine::load(&EngineSpec {
            sample_rate: 1,
            tree: true,
            ..EngineSpec::counting(self.workload.pid(), size as u32)
        })?;
        let load = lap_ms(begin);
        let path = Path::new("/proc/self/fd").join(self.image.file().as_raw_fd().to_string());
        let begin = Instant::now();
        let attachment = engine.attach(self.workload.pid(), &path, &sites)?;
        let attach = lap_ms(begin);
        let probes = attachment.probes;
        if attachment.slots.len() != size {
            return Err(format!("of {size} functions, refused: {:?}", attachment.refused).into());
        }
        let begin = Instant::now();
        engine.detach(attachment);
        Ok(Turn {
            plan,
            load,
            attach,
            detach: lap_ms(begin),
            probes,
        })
    }

    fn sites(&self, size: usize) -> Result<Vec<FunctionSites>> {
        let sites = (0..).zip(&self.functions[..size]).map(|(slot, &id)| {
            let function = self.symbols.table().get(id)?;
            let plan = self.symbols.plan(id)?.ok()?;
            let offset = |address| self.image.file_offset(address);
            FunctionSites::new(slot, function.address, &plan, false, offset)
        });
        let sites: Option<Vec<_>> = sites.collect();
        Ok(sites.ok_or("a function has no sites")?)
    }
}

/// A program with so many functions, which waits until its input ends.
fn source(functions: usize) -> String {
    let mut text = String::from("#include <stdio.h>\n");
    text += "__attribute__((noipa)) int mix(int x) { return x * 31 + 7; }\n";
    for number in 0..functions {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "int step_{number}(int x) {{ return mix(x + {number}) + x; }}"
        );
    }
    text + "int main(void) { puts(\"ready\"); fflush(stdout); return getchar() == 'x'; }\n"
}

fn lap_ms(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e3
}
