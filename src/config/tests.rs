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
        [profiles.production]
        colony = "https://colony:9000"
        ca = "ca.pem"
        cert = "/etc/ann.pem"
        key = "/etc/ann.key"
        [profiles."node 7"]
        agent = "unix:/run/coral/agent.sock"
        token_file = "token"
    "#;
    let config = parse(text).unwrap();
    assert_eq!(config.console.theme, "/home/me/a \"theme\".toml");
    assert_eq!(config.session.lease, Duration::from_millis(1_500));
    assert_eq!(config.session.budget_percent, None);
    assert_eq!(config.keymap.key(Command::ToggleProbe), "t");
    assert_eq!(config.keymap.key(Command::Help), "");
    let redacted = |value| config.redaction().apply("id", "string", value).into_owned();
    assert_eq!(redacted("a 12"), "a <id>");
    assert_eq!(redacted("me@example.com"), "<redacted>");
    let ca = config.profiles["production"].ca.as_deref();
    assert_eq!(ca, Some(Path::new("/home/me/ca.pem")));
    assert_eq!(parse(&config.to_string()).unwrap(), config);
}

/// Files in the ways that people write them.
#[test]
fn good_files_are_understood() {
    for text in [
        "\u{feff}[console]\nmouse = true",
        "console.theme = 'coral-light'\r\nconsole.colors = 'none'\r\n",
        "console = { theme = \"themes/mine.toml\", glyphs = \"unicode\" }",
        "[console]\ncolors = 256",
        "[session]\nbudget_percent = 2",
        "[session]\nlease = '10 m'\nbudget_percent = 0.5",
        "[keys]\nopen = 'r'\nopen-service = 'r'\nrefresh = 'Enter'",
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
        let expected = format!("/home/me/config.toml:{expected}");
        assert_eq!(error.to_string(), expected, "{text}");
        assert_eq!(error.code(), "bad-config");
    }
}

const BAD: &[(&str, &str)] = &[
    ("[console", "1:9: unclosed table, expected `]`"),
    (
        "mouse = true",
        "1:1: unknown field `mouse`, expected one of `console`, `session`, `keys`, `redaction`, \
         `profiles`",
    ),
    (
        "[console]\n  mous = true",
        "2:3: unknown field `mous`, expected one of `theme`, `mouse`, `colors`, `glyphs`, \
         `record_memory_mib`",
    ),
    (
        "[console]\nmouse = 'yes'",
        "2:9: invalid type: string \"yes\", expected a boolean",
    ),
    (
        "[console]\ncolors = '88'",
        "2:10: unknown variant `88`, expected one of `auto`, `none`, `16`, `256`, `true`",
    ),
    (
        "[console]\nglyphs = true",
        "2:10: unknown variant `true`, expected one of `auto`, `unicode`, `ascii`",
    ),
    (
        "# schön\n[console]\ntheme = 'solarized'",
        "3:9: unknown theme `solarized`, expected `auto`, one of `coral-dark`, `coral-light`, \
         `high-contrast`, `colour-blind`, `ansi16`, `catppuccin-mocha`, `gruvbox-dark`, or a file \
         that ends in `.toml`",
    ),
    (
        "session = { lease = '1m', 'größe' = 1, price = 2 }",
        "1:27: unknown field `größe`, expected `lease` or `budget_percent`",
    ),
    (
        "keys = { 'größe' = [], help = 'q' }",
        "1:20: no command is named `größe`; `coral-tui --print-keys` names them all",
    ),
    (
        "[console]\nrecord_memory_mib = 0",
        "2:21: 0 is not a number from 1 to 4096",
    ),
    (
        "[console]\nmouse = true\nmouse = false",
        "3:1: `mouse`: duplicate key",
    ),
    (
        "[session]\nlease = '1h'",
        "2:9: `1h` is not a lease from 1s to 600s",
    ),
    (
        "[session]\nlease = '60'",
        "2:9: `60` is not a duration: it needs a unit: ns, us, ms, s, m, h or d, as in `60s`",
    ),
    (
        "[session]\nbudget_percent = -1",
        "2:18: invalid value: floating point `-1.0`, expected percent of a core above 0, such as \
         2.5, or \"none\"",
    ),
    (
        "[session]\nbudget_percent = 'all'",
        "2:18: invalid value: string \"all\", expected percent of a core above 0, such as 2.5, or \
         \"none\"",
    ),
    (
        "[keys]\nfly = 'f'",
        "2:7: no command is named `fly`; `coral-tui --print-keys` names them all",
    ),
    (
        "[keys]\nhelp = ['F1', 'FF']",
        "2:8: `FF` names no key; keys are written like `Space`, `Ctrl-D`, `PgUp`, `F5` or `x`",
    ),
    (
        "[keys]\nhelp = 1",
        "2:8: `1`: expected a key such as \"Space\", or a list of keys",
    ),
    ("[keys]\nhelp = 'q'", "2:8: `q` is both `help` and `quit`"),
    (
        "[keys]\nopen = 'r'\nhelp = 'F1'",
        "2:8: `r` is both `open` and `refresh`",
    ),
    (
        "[keys]\nquit-now = 'x'",
        "2:12: `quit-now` must keep Ctrl-C, which always ends the program",
    ),
    (
        "[[redaction]]\nname = 'a'\n[[redaction]]\nvalue = '('",
        "3:1: redaction rule 2: the pattern `(` cannot be used: error: unclosed group",
    ),
    (
        "[[redaction]]\nreplace = 'x'",
        "1:1: redaction rule 1 has none of `name`, `type`, `value` and `find`",
    ),
    (
        "[[redaction]]\nvalues = 'x'",
        "2:1: unknown field `values`, expected one of `name`, `type`, `value`, `find`, `replace`",
    ),
    (
        "[profiles.x]\nca = 'ca.pem'",
        "1:1: profile `x`: it names neither a `colony` nor an `agent`",
    ),
    (
        "[profiles.x]\ncolony = 'https://a:1'\nagent = 'unix:/b'",
        "1:1: profile `x`: it names both a colony and an agent",
    ),
    (
        "[profiles.x]\ncolony = 'https://a:1'\ncert = 'ann.pem'",
        "1:1: profile `x`: `cert` and `key` go together",
    ),
    (
        "[profiles.x]\ncolony = 'ftp://a'",
        "1:1: profile `x`: `ftp://a` is no server's address: it has no port",
    ),
    // An escape sequence stays text.
    (
        "[console]\ncolors = \"\\u001b[2J\"",
        "2:10: `\"\\u001b[2J\"`: unknown variant `\\u{1b}[2J`, expected one of `auto`, `none`, \
         `16`, `256`, `true`",
    ),
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
