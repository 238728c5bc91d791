//! Files that mean something, and files that do not.

use std::path::Path;
use std::time::Duration;

use coral_model::Diagnostic;
use coral_ui::{BUILTIN, Command};

use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("/home/me/config.toml"), text)
}

#[test]
fn the_documented_file_holds_the_defaults() {
    let printed = Config::default().to_string();
    assert!(printed.starts_with(include_str!("default.toml")));
    for (name, _) in BUILTIN {
        assert!(printed.contains(name), "{name}");
    }
    assert_eq!(parse(&printed).unwrap(), Config::default());
    assert_eq!(parse("").unwrap(), Config::default());
}

/// Every value differs from the default, so that none of them can be lost.
#[test]
fn what_is_printed_reads_back_the_same() {
    let text = r#"
        [console]
        theme = "a \"theme\".toml"
        mouse = false
        colors = "256"
        glyphs = "ascii"
        record_memory_mib = 128
        [session]
        lease = "1.5s"
        budget_percent = "none"
        [keys]
        toggle-probe = ["t", "Ctrl-T"]
        palette = "F1"
        help = []
        [[redaction]]
        name = "^id$"
        value = '\d+'
        replace = "<id>"
        [[redaction]]
        find = "email"
    "#;
    let config = parse(text).unwrap();
    assert_eq!(config.console.theme, "/home/me/a \"theme\".toml");
    assert_eq!(config.session.lease, Duration::from_millis(1_500));
    assert_eq!(config.session.budget_percent, None);
    assert_eq!(config.keymap.key(Command::ToggleProbe), "t");
    assert_eq!(config.keymap.key(Command::Help), "");
    assert_eq!(
        config
            .redaction()
            .apply("id", "string", "a 12 by me@example.com"),
        "a <id> by me@example.com"
    );
    assert_eq!(parse(&config.to_string()).unwrap(), config);
}

/// Files in the ways that people write them.
#[test]
fn good_files_are_understood() {
    for text in [
        "\u{feff}[console]\nmouse = true",
        "console.theme = 'coral-light'\r\nconsole.colors = 'none'\r\n",
        "console = { theme = \"themes/mine.toml\", glyphs = \"unicode\" }",
        "[session]\nbudget_percent = 2",
        "[session]\nlease = '10 m'\nbudget_percent = 0.5",
        "[keys]\ntoggle-probe = 'Enter'\nshow-latency = 'Space'",
        "[keys]\nquit = []",
        "[[redaction]]\nfind = 'card_number'\nreplace = ''",
        "redaction = [{ type = 'Secret' }]",
        "# nothing\n",
    ] {
        let config = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(parse(&config.to_string()).unwrap(), config, "{text}");
    }
}

/// Each names the line and column, what is there, and what would be allowed.
#[test]
fn bad_files_are_refused_with_place_and_reason() {
    for (text, expected) in BAD {
        let error = parse(text).expect_err(text);
        assert_eq!(
            error.to_string(),
            format!("/home/me/config.toml:{expected}")
        );
        assert_eq!(error.code(), "bad-config");
    }
}

const BAD: &[(&str, &str)] = &[
    ("[console", "1:9: x"),
    ("mouse = true", "1:1: x"),
    ("[console]\n  mous = true", "2:3: x"),
    ("[console]\nmouse = 'yes'", "2:9: x"),
    ("[console]\ncolors = '88'", "2:10: x"),
    ("[console]\nglyphs = true", "2:10: x"),
    ("[console]\ntheme = 'solarized'", "2:9: x"),
    ("[console]\nrecord_memory_mib = 0", "2:21: x"),
    ("[console]\nmouse = true\nmouse = false", "3:1: x"),
    ("[session]\nlease = '1h'", "2:9: x"),
    ("[session]\nlease = '60'", "2:9: x"),
    ("[session]\nbudget_percent = -1", "2:18: x"),
    ("[session]\nbudget_percent = 'all'", "2:18: x"),
    ("[keys]\nfly = 'f'", "2:7: x"),
    ("[keys]\nhelp = 'FF'", "2:8: x"),
    ("[keys]\nhelp = 1", "2:8: x"),
    ("[keys]\nhelp = 'q'", "2:8: x"),
    ("[keys]\nopen = 'r'\nhelp = 'F1'", "2:8: x"),
    ("[keys]\nquit-now = 'x'", "2:12: x"),
    (
        "[[redaction]]\nname = 'a'\n[[redaction]]\nvalue = '('",
        "3:1: x",
    ),
    ("[[redaction]]\nreplace = 'x'", "1:1: x"),
    ("[[redaction]]\nvalues = 'x'", "2:1: x"),
];

#[test]
fn a_named_file_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let missing = Config::load(Some(&path)).unwrap_err().to_string();
    assert!(
        missing.contains("config.toml: the configuration cannot be read: "),
        "{missing}"
    );
    std::fs::write(&path, "[console]\ntheme = 'mine.toml'").unwrap();
    let theme = folder.path().join("mine.toml");
    assert_eq!(
        Config::load(Some(&path)).unwrap().console.theme,
        theme.display().to_string()
    );
    assert!(Config::load(Some(Path::new("/dev/zero"))).is_err());
}
