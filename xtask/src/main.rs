//! The chores of this repository: `cargo xtask ebpf`, `test` and `old-kernel`.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a chore speaks to the person who runs it

mod ebpf;
mod old_kernel;
mod shell;
mod testing;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <chore>

  ebpf           build the kernel programs and replace ebpf/coral.bpf.o
  ebpf --check   build them and compare with ebpf/coral.bpf.o
  test           install what the tests need and run all of them
  old-kernel     boot Debian's kernel in an emulator and run a core set there";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["ebpf"] => ebpf::replace(),
        ["ebpf", "--check"] => ebpf::check(),
        ["old-kernel"] => old_kernel::run(),
        ["test", rest @ ..] => testing::run(rest),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}
