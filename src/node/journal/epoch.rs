//! The number of this start of the agent, which outlives it.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

const FILE: &str = "epoch";
const NEW_FILE: &str = "epoch.new";

/// The number after the one before, and after those of `folders`; written down for good.
///
/// # Errors
/// If it cannot be written: a number that comes twice would mix two journals up.
pub(super) fn next(folder: &Path, folders: &[u64]) -> io::Result<u64> {
    let last = match fs::read_to_string(folder.join(FILE)) {
        Ok(text) => text.trim().parse().unwrap_or_default(),
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    // Where the file was lost, the folders tell.
    let epoch = folders.iter().fold(last, |last, &epoch| last.max(epoch)) + 1;
    let new = folder.join(NEW_FILE);
    let mut file = File::create(&new)?;
    writeln!(file, "{epoch}")?;
    file.sync_all()?;
    fs::rename(&new, folder.join(FILE))?;
    File::open(folder)?.sync_all()?;
    Ok(epoch)
}

/// Which start of the machine this is. What was written before a later one may have been lost.
pub(super) fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend_whatever_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert_eq!(next(path, &[]).unwrap(), 1);
        assert_eq!(next(path, &[1]).unwrap(), 2);
        fs::write(path.join(FILE), "").unwrap();
        assert_eq!(next(path, &[1, 7]).unwrap(), 8);
        fs::remove_file(path.join(FILE)).unwrap();
        assert_eq!(next(path, &[8]).unwrap(), 9);
        fs::remove_file(path.join(FILE)).unwrap();
        fs::create_dir(path.join(NEW_FILE)).unwrap();
        assert!(next(path, &[]).is_err());
    }
}
