//! Themes: what each meaning on the screen looks like. Read from TOML, two of them compiled in.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use crate::color::{self, Colors};

/// A theme's name, and its file.
macro_rules! builtin {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../themes/", $name, ".toml")),
        )
    };
}

/// The themes that are compiled in, by name.
pub const BUILTIN: [(&str, &str); 7] = [
    builtin!("coral-dark"),
    builtin!("coral-light"),
    builtin!("high-contrast"),
    builtin!("colour-blind"),
    builtin!("ansi16"),
    builtin!("catppuccin-mocha"),
    builtin!("gruvbox-dark"),
];

/// Lists the meanings once: the enum, its names in TOML, and how many there are.
macro_rules! meanings {
    ($($variant:ident = $name:literal, $doc:literal;)*) => {
        /// What a piece of the screen means; a theme says how it looks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Meaning { $(#[doc = $doc] $variant,)* }

        impl Meaning {
            /// All meanings.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in a theme's file.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

meanings! {
    Text = "text", "Ordinary text.";
    Dim = "dim", "Text that explains other text.";
    Title = "title", "The title of a pane.";
    Tab = "tab", "A screen that is not shown.";
    TabActive = "tab-active", "The screen that is shown.";
    Rule = "rule", "Lines between panes.";
    Selection = "selection", "The selected row.";
    Target = "target", "The process under observation.";
    Live = "live", "The state of something that measures.";
    Ended = "ended", "The state of something that is over.";
    Replay = "replay", "The state of a recording.";
    Busy = "busy", "The state of something that is on its way.";
    Warning = "warning", "Losses, and what needs a look.";
    Error = "error", "What failed or was refused.";
    Key = "key", "A key that can be pressed.";
    Hint = "hint", "What the key does.";
    Probed = "probed", "The marker of a probed function.";
    Package = "package", "The part of a name before the function.";
    Number = "number", "A measured number.";
    NotMeasured = "not-measured", "The place of a number that was not measured.";
    Match = "match", "The characters that the filter matched.";
    Bar = "bar", "Bars of a histogram.";
    Mark = "mark", "Marks of percentiles.";
    Axis = "axis", "Axes and their labels.";
    Sparkline = "sparkline", "Sparklines.";
    SeriesA = "series-a", "The first of several lines, and the lower side of a comparison.";
    SeriesB = "series-b", "The second line, and the other side.";
    SeriesC = "series-c", "The third line.";
    SeriesD = "series-d", "The fourth line.";
    Heat1 = "heat-1", "The fewest calls of a heatmap.";
    Heat2 = "heat-2", "The next of the heatmap's ramp.";
    Heat3 = "heat-3", "The next of the heatmap's ramp.";
    Heat4 = "heat-4", "The next of the heatmap's ramp.";
    Heat5 = "heat-5", "The next of the heatmap's ramp.";
    Heat6 = "heat-6", "The next of the heatmap's ramp.";
    Heat7 = "heat-7", "The next of the heatmap's ramp.";
    Heat8 = "heat-8", "The most calls of a heatmap.";
    Countdown = "countdown", "The part of a lease that is left.";
    Input = "input", "Text that is being typed.";
    Dialog = "dialog", "The frame of an overlay.";
}

/// Why a theme cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ThemeError {
    /// The file is not TOML of the right shape.
    #[error("the theme is not valid TOML: {0}")]
    Syntax(String),
    /// It inherits from a theme that does not exist, or in a circle.
    #[error("the theme inherits from `{0}`, which is none of {names}", names = names())]
    UnknownParent(String),
    /// It styles something that does not exist.
    #[error("the theme styles `{0}`, which means nothing here")]
    UnknownMeaning(String),
    /// A meaning has no style, neither here nor in what it inherits.
    #[error("the theme does not style `{0}`")]
    Missing(&'static str),
    /// A style holds a word that is neither a colour nor a modifier.
    #[error("the style of `{meaning}` holds `{word}`, which is neither a colour nor a modifier")]
    UnknownWord {
        /// Which meaning.
        meaning: &'static str,
        /// Which word.
        word: String,
    },
}

/// The names of the themes that are compiled in.
fn names() -> String {
    BUILTIN.map(|(name, _)| name).join(", ")
}

/// How every meaning looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    styles: Vec<Style>,
}

impl Theme {
    /// Reads a theme from TOML; it may inherit from the compiled-in ones.
    ///
    /// # Errors
    /// If it is malformed, or leaves a meaning without a style.
    pub fn parse(toml: &str) -> Result<Self, ThemeError> {
        let source = Source::read(toml)?;
        if let Some(unknown) = source
            .meanings
            .keys()
            .find(|name| !Meaning::ALL.iter().any(|meaning| meaning.name() == **name))
        {
            return Err(ThemeError::UnknownMeaning(unknown.clone()));
        }
        let style = |meaning: &Meaning| {
            let words = source
                .meanings
                .get(meaning.name())
                .ok_or(ThemeError::Missing(meaning.name()))?;
            parse_style(words, &source.palette).map_err(|word| ThemeError::UnknownWord {
                meaning: meaning.name(),
                word,
            })
        };
        let styles = Meaning::ALL.iter().map(style).collect::<Result<_, _>>()?;
        Ok(Self { styles })
    }

    /// The theme of that name, if it is compiled in.
    pub fn builtin(name: &str) -> Option<Self> {
        let (_, toml) = BUILTIN.iter().find(|(builtin, _)| *builtin == name)?;
        Self::parse(toml).ok()
    }

    /// The theme with the colours that a terminal has.
    pub fn adapted_to(mut self, colors: Colors) -> Self {
        for style in &mut self.styles {
            *style = color::adapt(*style, colors);
        }
        self
    }

    /// How a meaning looks.
    pub fn style(&self, meaning: Meaning) -> Style {
        self.styles[meaning as usize]
    }
}

impl Default for Theme {
    fn default() -> Self {
        Self::parse(BUILTIN[0].1).expect("a test parses every compiled-in theme")
    }
}

/// A theme's file, with what it inherits filled in.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    inherits: Option<String>,
    #[serde(default)]
    palette: BTreeMap<String, String>,
    #[serde(default)]
    meanings: BTreeMap<String, String>,
}

impl Source {
    fn read(toml: &str) -> Result<Self, ThemeError> {
        let mut source: Self =
            toml::from_str(toml).map_err(|error| ThemeError::Syntax(error.to_string()))?;
        let mut visited = Vec::new();
        while let Some(name) = source.inherits.take() {
            let parent = BUILTIN
                .iter()
                .find(|(builtin, _)| *builtin == name && !visited.contains(&name))
                .ok_or_else(|| ThemeError::UnknownParent(name.clone()))?;
            visited.push(name);
            let parent: Self =
                toml::from_str(parent.1).map_err(|error| ThemeError::Syntax(error.to_string()))?;
            source.inherits = parent.inherits;
            for (name, color) in parent.palette {
                source.palette.entry(name).or_insert(color);
            }
            for (name, style) in parent.meanings {
                source.meanings.entry(name).or_insert(style);
            }
        }
        Ok(source)
    }
}

/// Reads `sky on night bold`; fails with the word that is not understood.
fn parse_style(words: &str, palette: &BTreeMap<String, String>) -> Result<Style, String> {
    let mut style = Style::new();
    let mut words = words.split_whitespace();
    while let Some(word) = words.next() {
        if word == "on" {
            let background = words.next().unwrap_or("on");
            let color = parse_color(background, palette);
            style.bg = Some(color.ok_or_else(|| background.to_owned())?);
        } else if let Some(modifier) = parse_modifier(word) {
            style = style.add_modifier(modifier);
        } else {
            style.fg = Some(parse_color(word, palette).ok_or_else(|| word.to_owned())?);
        }
    }
    Ok(style)
}

/// The colours that a terminal is configured with.
const ANSI: [(&str, Color); 16] = [
    ("black", Color::Black),
    ("red", Color::Red),
    ("green", Color::Green),
    ("yellow", Color::Yellow),
    ("blue", Color::Blue),
    ("magenta", Color::Magenta),
    ("cyan", Color::Cyan),
    ("white", Color::Gray),
    ("bright-black", Color::DarkGray),
    ("bright-red", Color::LightRed),
    ("bright-green", Color::LightGreen),
    ("bright-yellow", Color::LightYellow),
    ("bright-blue", Color::LightBlue),
    ("bright-magenta", Color::LightMagenta),
    ("bright-cyan", Color::LightCyan),
    ("bright-white", Color::White),
];

/// The colour of a word; `default` is the terminal's own.
fn parse_color(word: &str, palette: &BTreeMap<String, String>) -> Option<Color> {
    if word == "default" {
        return Some(Color::Reset);
    }
    let color = palette.get(word).map_or(word, String::as_str);
    if let Some(name) = color.strip_prefix("ansi-") {
        return ANSI
            .iter()
            .find(|(ansi, _)| *ansi == name)
            .map(|(_, color)| *color);
    }
    let digits = color.strip_prefix('#').filter(|digits| digits.len() == 6)?;
    let rgb = u32::from_str_radix(digits, 16).ok()?;
    Some(Color::from_u32(rgb))
}

fn parse_modifier(word: &str) -> Option<Modifier> {
    Some(match word {
        "bold" => Modifier::BOLD,
        "dim" => Modifier::DIM,
        "italic" => Modifier::ITALIC,
        "underlined" => Modifier::UNDERLINED,
        "reversed" => Modifier::REVERSED,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_compiled_in_theme_styles_every_meaning() {
        for (name, toml) in BUILTIN {
            let theme = Theme::parse(toml).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(theme.styles.len(), Meaning::ALL.len());
        }
    }

    /// What is read, against the background that a theme is made for, by WCAG.
    #[test]
    fn what_is_read_stands_out() {
        const PICTURES: [&str; 5] = ["rule", "selection", "not-measured", "sparkline", "heat-"];
        for (name, toml) in BUILTIN {
            let theme = Theme::parse(toml).unwrap();
            let paper = match name {
                "coral-light" => 0xff_ffff,
                "gruvbox-dark" => 0x28_2828,
                "catppuccin-mocha" => 0x1e_1e2e,
                _ => 0,
            };
            for meaning in Meaning::ALL {
                let Some(Color::Rgb(r, g, b)) = theme.style(*meaning).fg else {
                    continue;
                };
                let is_picture = PICTURES
                    .iter()
                    .any(|begin| meaning.name().starts_with(begin));
                let least = if is_picture { 1.3 } else { 4.5 };
                let color = u32::from_be_bytes([0, r, g, b]);
                let contrast = contrast(color, paper);
                assert!(
                    contrast >= least,
                    "{name}: {} {contrast:.1}",
                    meaning.name()
                );
            }
        }
    }

    fn contrast(a: u32, b: u32) -> f64 {
        let [a, b] = [luminance(a), luminance(b)];
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn luminance(color: u32) -> f64 {
        let [_, r, g, b] = color.to_be_bytes().map(|level| {
            let level = f64::from(level) / 255.0;
            if level <= 0.04045 {
                level / 12.92
            } else {
                ((level + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    #[test]
    fn a_theme_inherits_what_it_does_not_set() {
        let theme = Theme::parse("inherits = 'coral-light'\n[meanings]\nlive = 'italic'").unwrap();
        let light = Theme::builtin("coral-light").unwrap();
        assert_eq!(theme.style(Meaning::Live), Style::new().italic());
        assert_eq!(theme.style(Meaning::Bar), light.style(Meaning::Bar));
        assert_ne!(light, Theme::default());
    }

    #[test]
    fn wrong_themes_are_refused_with_the_reason() {
        let cases = [
            (
                "inherits = 'solarized'",
                ThemeError::UnknownParent("solarized".into()),
            ),
            (
                "[meanings]\nnope = 'bold'",
                ThemeError::UnknownMeaning("nope".into()),
            ),
            ("[meanings]\ntext = 'bold'", ThemeError::Missing("dim")),
            (
                "inherits = 'coral-dark'\n[meanings]\ntext = 'blink'",
                ThemeError::UnknownWord {
                    meaning: "text",
                    word: "blink".into(),
                },
            ),
        ];
        for (toml, error) in cases {
            assert_eq!(Theme::parse(toml), Err(error));
        }
        assert!(matches!(Theme::parse("["), Err(ThemeError::Syntax(_))));
    }
}
