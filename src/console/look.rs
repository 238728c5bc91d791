//! How the console looks and which keys it has: themes by name or from files, and the table of keys.

use std::io::{self, Write};
use std::path::Path;

use coral_model::ExitStatus;
use coral_ui::{COMMANDS, Theme};

use crate::failure::Failure;

/// Larger files are no themes.
const THEME_BYTES_MAX: u64 = 1 << 20;

/// The theme of that name, or of that file.
pub(super) fn theme(name: &str) -> Result<Theme, Failure> {
    match Theme::builtin(name) {
        Some(theme) => Ok(theme),
        None => theme_of_file(Path::new(name)),
    }
}

/// Reads a theme from a file.
pub(super) fn theme_of_file(path: &Path) -> Result<Theme, Failure> {
    let fail = |why: String| {
        let names: Vec<&str> = coral_ui::BUILTIN.iter().map(|(name, _)| *name).collect();
        Failure::new(
            "bad-theme",
            format!("the theme {} cannot be used: {why}", path.display()),
            format!("name a theme's file, or one of {}", names.join(", ")),
            ExitStatus::Usage,
        )
    };
    let metadata = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?;
    if !metadata.is_file() || metadata.len() > THEME_BYTES_MAX {
        return Err(fail("it is no file of at most 1 MiB".into()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    Theme::parse(&text).map_err(|error| fail(error.to_string()))
}

/// Prints every command with its name, its keys, where they work, and what it does.
pub(super) fn print_keys() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for info in COMMANDS {
        let scopes: Vec<&str> = info.scopes.iter().map(|scope| scope.title()).collect();
        let (keys, scopes) = (info.keys.join(" "), scopes.join(", "));
        writeln!(out, "{:20} {keys:16} {scopes}: {}", info.name, info.help)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn themes_come_by_name_and_from_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mine.toml");
        std::fs::write(&path, "inherits = \"gruvbox-dark\"").unwrap();
        let mine = theme(path.to_str().unwrap()).unwrap();
        assert_eq!(mine, theme("gruvbox-dark").unwrap());
        std::fs::write(&path, "[meanings]\nnope = \"bold\"").unwrap();
        for name in [path.to_str().unwrap(), "no-such-theme", "/dev/zero"] {
            assert!(theme(name).is_err(), "{name}");
        }
    }
}
