use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use tempfile::TempDir;

use super::*;

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn names_are_plain_and_stay_in_the_directory() {
    for (hostile, plain) in [
        ("coral-dbg-01J", "coral-dbg-01J"),
        ("../../etc/passwd", "etc_passwd"),
        ("/absolute", "absolute"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("a b\n\u{202e}c", "a_b__c"),
        ("größe", "gr__e"),
        ("..", "coral"),
        ("", "coral"),
    ] {
        assert_eq!(sanitised(hostile, 150), plain, "{hostile:?}");
    }
    assert_eq!(sanitised(&"x".repeat(9_000), 150).len(), 150);
}

#[test]
fn a_taken_name_gets_a_number_and_nothing_is_overwritten() {
    let place = directory();
    for (content, name) in [
        ("one", "s.json"),
        ("two", "s-2.json"),
        ("three", "s-3.json"),
    ] {
        let path = write_new(place.path(), "s", "json", content.as_bytes()).unwrap();
        assert_eq!(path, place.path().join(name));
    }
    assert_eq!(
        fs::read_to_string(place.path().join("s.json")).unwrap(),
        "one"
    );
    assert_eq!(
        fs::read_to_string(place.path().join("s-3.json")).unwrap(),
        "three"
    );
}

#[test]
fn a_new_file_is_for_its_owner_only() {
    let place = directory();
    let path = write_new(place.path(), "s", "json", b"{}").unwrap();
    assert_eq!(
        fs::metadata(path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_link_is_not_followed() {
    let place = directory();
    let victim = place.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, place.path().join("s.json")).unwrap();
    symlink(place.path().join("nowhere"), place.path().join("s-2.json")).unwrap();
    let path = write_new(place.path(), "s", "json", b"{}").unwrap();
    assert_eq!(path, place.path().join("s-3.json"));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(
        names_in(place.path()),
        ["s-2.json", "s-3.json", "s.json", "victim"]
    );
}

#[test]
fn a_path_that_the_user_names_is_taken_as_it_is() {
    let place = directory();
    let path = place.path().join(".my export.json");
    assert_eq!(write_to(&path, b"{}").unwrap(), path);
    assert_eq!(fs::read(&path).unwrap(), b"{}");

    let again = write_to(&path, b"other").unwrap_err();
    assert_eq!(
        (again.code(), again.exit_status()),
        ("export-exists", ExitStatus::Usage)
    );
    assert_eq!(fs::read(&path).unwrap(), b"{}");

    let link = place.path().join("link");
    symlink(place.path().join("elsewhere"), &link).unwrap();
    assert_eq!(write_to(&link, b"{}").unwrap_err().code(), "export-exists");
    assert!(!place.path().join("elsewhere").exists());
}

#[test]
fn a_directory_that_is_none_is_named() {
    let place = directory();
    let missing = place.path().join("missing");
    let error = write_new(&missing, "s", "json", b"{}").unwrap_err();
    assert_eq!(error.code(), "export-failed");
    assert!(
        error
            .to_string()
            .starts_with(&format!("{} was not", missing.display()))
    );
    assert_eq!(
        write_to(Path::new("/"), b"{}").unwrap_err().code(),
        "export-failed"
    );
}

/// A file system of one page, unmounted when the test is over.
struct TinyDisk(TempDir);

impl TinyDisk {
    fn mount() -> Result<Self, String> {
        let place = directory();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4k", "tmpfs"])
            .arg(place.path())
            .output()
            .map_err(|error| format!("mount: {error}"))?;
        if mount.status.success() {
            Ok(Self(place))
        } else {
            Err(String::from_utf8_lossy(&mount.stderr).trim().to_owned())
        }
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_named_and_leaves_no_part_of_a_file() {
    let disk = match TinyDisk::mount() {
        Ok(disk) => disk,
        Err(reason) if std::env::var_os("CORAL_REQUIRE_KERNEL").is_some_and(|v| v == "1") => {
            panic!("a small file system is required: {reason}")
        }
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    let error = write_new(disk.0.path(), "s", "json", &[b'x'; 64 << 10]).unwrap_err();
    assert_eq!(error.code(), "export-disk-full");
    assert_eq!(names_in(disk.0.path()), [""; 0]);
    assert!(write_new(disk.0.path(), "s", "json", b"small").is_ok());
}
