//! What is different on older kernels, as far as a newer one can play them: links for single
//! probes, links that every process hits, and return probes that end filtered targets.
//! `cargo xtask old-kernel` runs a real one.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::fs;
use std::path::PathBuf;

use common::coral::{Attached, Coral, attach_command};
use common::need;
use common::target::Target;
use common::{code, compile, exact, rights};

const PLAIN: [&str; 2] = ["plain_outer", "plain_step"];
/// Without links for many probes; with such links that every process hits.
const RELEASES: [&str; 2] = ["6.1", "6.8"];
/// Its return probes are a system call that filters do not know.
const FILTERED_RELEASE: &str = "6.12";
/// Becomes the program `target` beside it, with a seccomp filter that lets everything pass.
const FILTERING: &str = r#"
    #include <linux/filter.h>
    #include <linux/seccomp.h>
    #include <string.h>
    #include <sys/prctl.h>
    #include <unistd.h>

    int main(void) {
        struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        struct sock_fprog filter = {1, &allow};
        char path[4096] = "";
        if (readlink("/proc/self/exe", path, sizeof path - 1) < 0) return 1;
        strcpy(strrchr(path, '/'), "/target");
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 1;
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) return 1;
        return execl(path, path, (char *)0);
    }
"#;

#[test]
fn counts_are_exact_and_the_targets_own() {
    let file = need!(OwnFile::of_target());
    let binary = file.binary();
    for release in RELEASES {
        let (mut target, mut other) = (Target::spawn(&binary), Target::spawn(&binary));
        let (coral, attached) = attach(release, &target, &[]);
        let changed = code::changed(target.pid()).len() as u64;
        other.run("plain");
        let truth = target.run("plain");
        let report = coral.finish();
        assert_eq!(exact::differences(&truth, &report), [""; 0], "{release}");
        assert_eq!(changed, attached.probes, "{release}");
        assert_eq!(report.detached_probes(), attached.probes, "{release}");
        for target in [target, other] {
            assert_eq!(code::changed(target.pid()), [0u64; 0], "{release}");
            assert_eq!(target.quit().code(), Some(0), "{release}");
        }
    }
}

#[test]
fn fast_returns_are_counted_through_links_for_single_probes() {
    let file = need!(OwnFile::of_target());
    let mut target = Target::spawn(&file.binary());
    let (coral, attached) = attach("6.1", &target, &["--fast-returns"]);
    let truth = target.run("plain");
    let document = coral.finish().document();
    assert_eq!(attached.probes, 4);
    for function in document["functions"].as_array().unwrap() {
        let known = truth.functions[function["name"].as_str().unwrap()];
        assert_eq!(function["exit_probe"], "uretprobe", "{function}");
        assert_eq!(function["calls"], known.calls, "{function}");
        assert_eq!(function["returns"], known.returns, "{function}");
    }
}

#[test]
fn too_many_single_links_are_refused_with_the_limit() {
    let file = need!(OwnFile::of_target());
    let target = Target::spawn(&file.binary());
    let mut command = attach_command(target.pid(), &["*"], &[]);
    let report = Coral::start(command.env("CORAL_TEST_KERNEL", "6.1")).wait();
    assert_eq!(report.status.code(), Some(2), "{report:#?}");
    assert_eq!(report.error_code(), "over-limit");
    let says = "this kernel has no multi links: at most 32 probes; asked for ";
    assert!(report.says(says), "{report:#?}");
    assert_eq!(code::changed(target.pid()), [0u64; 0]);
}

#[test]
fn fast_returns_are_refused_where_they_would_end_the_target() {
    let file = need!(OwnFile::of_target());
    let plain = file.binary();
    let filtered = plain.with_file_name("filtered");
    fs::copy(need!(compile::c_texts(&[FILTERING], &[])), &filtered).unwrap();
    for (binary, release, refused) in [
        (&filtered, "6.10", false),
        (&filtered, FILTERED_RELEASE, true),
        (&filtered, "6.14", false),
        (&plain, FILTERED_RELEASE, false),
    ] {
        let target = Target::spawn(binary);
        let mut command = attach_command(target.pid(), &PLAIN, &["--fast-returns"]);
        let mut coral = Coral::start(command.env("CORAL_TEST_KERNEL", release));
        assert_eq!(coral.attached().is_none(), refused, "{binary:?} {release}");
        if refused {
            assert_eq!(coral.wait().error_code(), "not-probeable");
        } else {
            coral.finish().document();
        }
    }
}

/// A target in a file of its own: here a probe is in every process that runs its file, and so in
/// those of other tests.
struct OwnFile(tempfile::TempDir);

impl OwnFile {
    fn of_target() -> Result<Self, String> {
        rights::probes()?;
        let directory = tempfile::tempdir().unwrap();
        fs::copy(compile::c(&["-O2"])?, directory.path().join("target")).unwrap();
        Ok(Self(directory))
    }

    fn binary(&self) -> PathBuf {
        self.0.path().join("target")
    }
}

/// Attaches to the plain functions on a kernel that plays an older one.
fn attach(release: &str, target: &Target, more: &[&str]) -> (Coral, Attached) {
    let mut command = attach_command(target.pid(), &PLAIN, more);
    let mut coral = Coral::start(command.env("CORAL_TEST_KERNEL", release));
    match coral.attached() {
        Some(attached) => (coral, attached),
        None => panic!("not attached: {:#?}", coral.wait()),
    }
}
