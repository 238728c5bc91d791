//! Saved views of the functions: a file in the user's state folder.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use coral_model::Escaped;
use coral_ui::{Level, Notice, SavedView, SourceEvent};

use super::log;
use crate::config;

/// Larger files are no views.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The views that were saved, and what is wrong with their file.
pub(super) fn load() -> (Vec<SavedView>, Option<String>) {
    match path().and_then(|path| read(&path)) {
        Ok(views) => (views, None),
        Err(error) => (
            Vec::new(),
            Some(format!("saved views are missing: {error}")),
        ),
    }
}

/// Saves a view; reports where, or why not.
pub(super) fn save(view: &SavedView) -> SourceEvent {
    let saved = path().and_then(|path| {
        add(&path, view)?;
        Ok(path)
    });
    let name = Escaped(view.name());
    SourceEvent::Notice(match saved {
        Ok(path) => Notice {
            level: Level::Info,
            code: None,
            message: format!("The view {name} is saved in {}", path.display()),
            help: String::new(),
        },
        Err(error) => Notice {
            level: Level::Error,
            code: Some("view-not-saved".into()),
            message: format!("the view {name} is kept only until you quit: {error}"),
            help: "repair or remove the file, and save the view again".into(),
        },
    })
}

fn path() -> io::Result<PathBuf> {
    let folder = config::state_folder();
    let folder = folder.ok_or_else(|| io::Error::other("there is no home folder"))?;
    Ok(folder.join("coral/views.toml"))
}

/// The views of a file; none if there is no file.
fn read(path: &Path) -> io::Result<Vec<SavedView>> {
    let fail = |why: &str| io::Error::other(format!("{}: {why}", path.display()));
    // Looked at before it is opened: a pipe would wait for a writer.
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(&error.to_string())),
        Ok(metadata) if !metadata.is_file() => return Err(fail("it is no regular file")),
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(fail("it is larger than 1 MiB"));
    }
    let toml = String::from_utf8(bytes).map_err(|_| fail("it is no text"))?;
    SavedView::read_all(&toml).map_err(|why| fail(&why))
}

/// Writes a view to the file beside the others, which must be readable: nothing is overwritten
/// that somebody may want to repair.
fn add(path: &Path, view: &SavedView) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        log::create_folder(folder)?;
    }
    // A link, as people have to files that they keep elsewhere, stays one.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut views = read(&path)?;
    view.clone().put_into(&mut views);
    let toml = SavedView::write_all(views).map_err(io::Error::other)?;
    let temporary = path.with_extension(format!("toml.{}", std::process::id()));
    let written = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(toml.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    })();
    if written.is_err() {
        // What could not be written whole is of no use; the error says more than this one would.
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(name: &str) -> SavedView {
        let toml = format!("[[view]]\nname = \"{name}\"\nfilter = \"p99 > 1ms\"");
        SavedView::read_all(&toml).unwrap().remove(0)
    }

    #[test]
    fn views_are_kept_beside_each_other_and_nothing_else_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("coral/views.toml");
        assert_eq!(read(&path).unwrap(), []);
        for name in ["a", "b", "a"] {
            add(&path, &view(name)).unwrap();
        }
        assert_eq!(read(&path).unwrap(), [view("a"), view("b")]);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_broken_file_is_an_error_and_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("views.toml");
        for broken in [&b"[[view]]\nname = 3"[..], b"\xff", &vec![b'#'; 2 << 20]] {
            fs::write(&path, broken).unwrap();
            assert!(read(&path).is_err());
            assert!(add(&path, &view("a")).is_err());
            assert_eq!(fs::read(&path).unwrap(), broken);
        }
    }

    #[test]
    fn a_link_stays_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (path, file) = (
            directory.path().join("views.toml"),
            directory.path().join("mine"),
        );
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &path).unwrap();
        add(&path, &view("a")).unwrap();
        assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
        assert_eq!(read(&file).unwrap(), [view("a")]);
    }
}
