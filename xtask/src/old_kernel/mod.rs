//! Runs a core set of tests on Debian's own kernel, which is older than what coral likes best.
//!
//! The machine is QEMU's, emulated in software, so that it needs no right and no hardware: its
//! kernel and its shell come from Debian's packages, unpacked beside cargo's target directory, and
//! its file system is an archive that holds coral, the tests and their targets.

mod archive;
mod contents;
mod machine;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::shell::{self, Result};

/// The newest kernel of Debian 12 for virtual machines: the smallest, and the fastest to boot.
const KERNEL_PACKAGES: (&str, &str) = ("linux-image-6.1.0-", "-cloud-amd64");
const SHELL_PACKAGE: &str = "busybox-static";
/// Several times what everything takes on two busy processors.
const TIME_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Boots the machine and runs the tests in it.
///
/// Fails if one of them does, or if the machine does not end by itself.
pub(crate) fn run() -> Result<()> {
    machine::check_emulator()?;
    let directory = shell::target_directory().join("old-kernel");
    let kernel = kernel(&directory)?;
    let busybox = unpacked(&directory, SHELL_PACKAGE)?.join("bin/busybox");
    let image = directory.join("initramfs.cpio");
    let archive = contents::archive(&directory, &busybox)?;
    std::fs::write(&image, archive)
        .map_err(|error| format!("cannot write {}: {error}", image.display()))?;
    machine::run(&kernel, &image, TIME_LIMIT)
}

/// The kernel to boot, fetched once.
fn kernel(directory: &Path) -> Result<PathBuf> {
    let boot = unpacked(directory, &kernel_package()?)?.join("boot");
    shell::entries(&boot)?
        .into_iter()
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))
        })
        .ok_or_else(|| format!("{} holds no kernel", boot.display()))
}

/// The newest of the packages that apt knows.
fn kernel_package() -> Result<String> {
    let (prefix, suffix) = KERNEL_PACKAGES;
    let names = shell::output(Command::new("apt-cache").args(["pkgnames", prefix]))?;
    let build = |name: &str| -> Option<u32> {
        name.strip_prefix(prefix)?
            .strip_suffix(suffix)?
            .parse()
            .ok()
    };
    names
        .lines()
        .filter_map(|name| Some((build(name)?, name.to_owned())))
        .max()
        .map(|(_, name)| name)
        .ok_or_else(|| {
            format!(
                "apt knows no package {prefix}*{suffix}: this needs Debian 12, `apt-get update`"
            )
        })
}

/// A Debian package's files, which are not installed: fetched once.
fn unpacked(directory: &Path, package: &str) -> Result<PathBuf> {
    let unpacked = directory.join(package);
    if unpacked.exists() {
        return Ok(unpacked);
    }
    println!("fetching {package} (once)");
    let draft = directory.join(format!("{package}.draft"));
    // What an earlier run left half done.
    let _ = std::fs::remove_dir_all(&draft);
    std::fs::create_dir_all(&draft)
        .map_err(|error| format!("cannot make {}: {error}", draft.display()))?;
    shell::run(
        Command::new("apt-get")
            .current_dir(&draft)
            .args(["download", "-q"])
            .arg(package),
    )?;
    let package = shell::entries(&draft)?
        .into_iter()
        .find(|path| path.extension().is_some_and(|it| it == "deb"))
        .ok_or_else(|| format!("{} holds no package", draft.display()))?;
    shell::run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&draft))?;
    std::fs::rename(&draft, &unpacked)
        .map_err(|error| format!("cannot rename {}: {error}", draft.display()))?;
    Ok(unpacked)
}
