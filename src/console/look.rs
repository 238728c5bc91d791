//! How the console looks and which keys it has: themes by name, from files or as the terminal is,
//! and what is printed of it.

use std::io;
use std::path::Path;

use coral_model::ExitStatus;
use coral_ui::{Key, Keymap, Theme};

use super::background::Background;
use crate::command_line::print;
use crate::failure::Failure;

/// Larger files are no themes.
const THEME_BYTES_MAX: u64 = 1 << 20;

/// The theme of that name, or of that file; `None` for `auto`, which only the terminal can tell.
pub(super) fn theme(name: &str) -> Result<Option<Theme>, Failure> {
    if name == "auto" {
        return Ok(None);
    }
    match Theme::builtin(name) {
        Some(theme) => Ok(Some(theme)),
        None => theme_of_file(Path::new(name)).map(Some),
    }
}

/// The theme for a background.
pub(super) fn theme_on(background: Background) -> Theme {
    let name = match background {
        Background::Dark => "coral-dark",
        Background::Light => "coral-light",
    };
    Theme::builtin(name).unwrap_or_default()
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
pub(super) fn print_keys(keymap: &Keymap) -> io::Result<()> {
    let mut lines = String::new();
    for (info, keys) in keymap.all() {
        let scopes: Vec<&str> = info.scopes.iter().map(|scope| scope.title()).collect();
        let keys: Vec<String> = keys.iter().map(Key::to_string).collect();
        let (keys, scopes) = (keys.join(" "), scopes.join(", "));
        lines += &format!("{:20} {keys:16} {scopes}: {}\n", info.name, info.help);
    }
    print(lines.as_bytes())
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
        assert_eq!(theme("auto").unwrap(), None);
        std::fs::write(&path, "[meanings]\nnope = \"bold\"").unwrap();
        for name in [path.to_str().unwrap(), "no-such-theme", "/dev/zero"] {
            assert!(theme(name).is_err(), "{name}");
        }
    }
}
