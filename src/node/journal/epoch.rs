//! The number of this start of the agent, which outlives it.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use jiff::Timestamp;

const FILE: &str = "epoch";
const NEW_FILE: &str = "epoch.new";

/// A number that is greater than that of any earlier start, if no clock was set back: the time, in
/// milliseconds. Folders may be new at every start, or not be there at all.
pub(super) fn of_now() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).map_or(1, |now| now.max(1))
}

/// `least`, or the number after the one before and those of `folders`; written down for good.
///
/// # Errors
/// If it cannot be written: a number that comes twice would mix two journals up.
pub(super) fn next(folder: &Path, folders: &[u64], least: u64) -> io::Result<u64> {
    let last = match fs::read_to_string(folder.join(FILE)) {
        Ok(text) => text.trim().parse().unwrap_or_default(),
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    // Where the file was lost, the folders tell.
    let last = folders.iter().fold(last, |last, &epoch| last.max(epoch));
    let epoch = least.max(last + 1);
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
        assert_eq!(next(path, &[], 1).unwrap(), 1);
        assert_eq!(next(path, &[1], 1).unwrap(), 2);
        fs::write(path.join(FILE), "").unwrap();
        assert_eq!(next(path, &[1, 7], 1).unwrap(), 8);
        fs::remove_file(path.join(FILE)).unwrap();
        assert_eq!(next(path, &[8], 1).unwrap(), 9);
        assert_eq!(next(path, &[], 20).unwrap(), 20);
        // A clock that was set back does not count.
        assert_eq!(next(path, &[], 15).unwrap(), 21);
        fs::remove_file(path.join(FILE)).unwrap();
        fs::create_dir(path.join(NEW_FILE)).unwrap();
        assert!(next(path, &[], 1).is_err());
    }
}
