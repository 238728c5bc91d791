//! Whether the terminal's background is dark or light: the environment says it, or the terminal.
//!
//! The terminal's answer comes between the keys that are typed, at any time or never. So it is
//! taken out of the input where that is read, and no key is lost or waited for.

use std::future;
use std::io::{self, Write};

use crossterm::event::{Event, KeyCode, KeyModifiers};
use tokio::sync::oneshot;

/// "What is your background?"; the answer is `ESC ] 11;rgb:ffff/ffff/ffff BEL`.
const QUESTION: &[u8] = b"\x1b]11;?\x07";
/// Longer answers are none.
const ANSWER_CHARACTERS_MAX: usize = 40;

/// What is behind the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Background {
    Dark,
    Light,
}

/// Asks the terminal, if it is one that may be asked.
pub(super) fn ask(variable: impl Fn(&str) -> Option<String>) -> io::Result<()> {
    if !may_be_asked(variable) {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    out.write_all(QUESTION)?;
    out.flush()
}

/// Waits for the answer, once and perhaps for ever.
pub(super) async fn answered(answer: &mut Option<oneshot::Receiver<Background>>) -> Background {
    if let Some(receiver) = answer {
        let background = receiver.await;
        *answer = None;
        if let Ok(background) = background {
            return background;
        }
    }
    future::pending().await
}

/// Some terminals show the question instead of answering it, and screen mixes up the answers.
fn may_be_asked(variable: impl Fn(&str) -> Option<String>) -> bool {
    let term = variable("TERM").unwrap_or_default();
    let is_screen = term.starts_with("screen") && variable("TMUX").is_none();
    !is_screen && !["", "dumb", "linux", "Eterm"].contains(&term.as_str())
}

/// `COLORFGBG`, which some terminals set, ends with the number of the background's colour.
pub(super) fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Background {
    let colors = variable("COLORFGBG").unwrap_or_default();
    match colors.rsplit(';').next() {
        Some("7" | "9" | "10" | "11" | "12" | "13" | "14" | "15") => Background::Light,
        _ => Background::Dark,
    }
}

/// Takes the terminal's answer out of what is typed.
pub(super) struct AnswerFilter {
    /// Where the answer goes; `None` once it is there.
    answer: Option<oneshot::Sender<Background>>,
    /// What may be the beginning of the answer, and its text.
    held: Vec<Event>,
    text: String,
}

impl AnswerFilter {
    /// A filter, and where the answer comes out.
    pub(super) fn new() -> (Self, oneshot::Receiver<Background>) {
        let (sender, receiver) = oneshot::channel();
        let filter = Self {
            answer: Some(sender),
            held: Vec::new(),
            text: String::new(),
        };
        (filter, receiver)
    }

    /// What of the input is for the screens.
    pub(super) fn take(&mut self, event: Event) -> Vec<Event> {
        let Some(character) = character(&event).filter(|_| self.answer.is_some()) else {
            return self.release(event);
        };
        match character {
            (']', KeyModifiers::ALT) => {
                let released = self.give_up();
                self.hold(event, ']');
                released
            }
            // BEL and ESC \ end it.
            ('g', KeyModifiers::CONTROL) | ('\\', KeyModifiers::ALT) => {
                let Some(background) = parse(&self.text) else {
                    return self.release(event);
                };
                self.held.clear();
                // Nobody may wait for it any more.
                let _ = self.answer.take().map(|answer| answer.send(background));
                Vec::new()
            }
            (character, KeyModifiers::NONE) if self.goes_on(character) => {
                self.hold(event, character);
                Vec::new()
            }
            _ => self.release(event),
        }
    }

    fn hold(&mut self, event: Event, character: char) {
        self.held.push(event);
        self.text.push(character);
    }

    /// What was held goes to the screens: an answer comes in one piece.
    pub(super) fn give_up(&mut self) -> Vec<Event> {
        self.text.clear();
        std::mem::take(&mut self.held)
    }

    /// It was no answer: nothing of it is kept from the screens.
    fn release(&mut self, event: Event) -> Vec<Event> {
        let mut events = self.give_up();
        events.push(event);
        events
    }

    /// Whether the answer may go on with a character.
    fn goes_on(&self, character: char) -> bool {
        const BEGIN: &str = "]11;rgb";
        match BEGIN.chars().nth(self.text.len()) {
            Some(expected) => !self.held.is_empty() && character == expected,
            None => {
                self.text.len() < ANSWER_CHARACTERS_MAX
                    && (character.is_ascii_hexdigit() || ":/".contains(character))
            }
        }
    }
}

/// The character of a key that was pressed; Shift is part of it.
fn character(event: &Event) -> Option<(char, KeyModifiers)> {
    let key = event.as_key_press_event()?;
    match key.code {
        KeyCode::Char(character) => Some((character, key.modifiers - KeyModifiers::SHIFT)),
        _ => None,
    }
}

/// Reads `]11;rgb:ffff/ffff/ffff`, and `rgba:` with a fourth part.
fn parse(answer: &str) -> Option<Background> {
    let (kind, color) = answer.strip_prefix("]11;")?.split_once(':')?;
    let levels: Vec<f64> = color.split('/').map(level).collect::<Option<_>>()?;
    let (red, green, blue) = match (kind, levels.as_slice()) {
        ("rgb", &[red, green, blue]) | ("rgba", &[red, green, blue, _]) => (red, green, blue),
        _ => return None,
    };
    // How bright the eye takes each of them to be, by Rec. 709.
    let brightness = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    Some(if brightness > 0.5 {
        Background::Light
    } else {
        Background::Dark
    })
}

/// From one to four hexadecimal digits to a part of the most that they can say.
fn level(digits: &str) -> Option<f64> {
    let max = match digits.len() {
        len @ 1..=4 => (1_u32 << (4 * len)) - 1,
        _ => return None,
    };
    let level = u32::from_str_radix(digits, 16).ok()?;
    Some(f64::from(level) / f64::from(max))
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyEvent;
    use proptest::prelude::*;

    use super::*;

    /// Keys as crossterm reads them from a terminal's bytes.
    fn typed(text: &str) -> Vec<Event> {
        let mut keys = Vec::new();
        let mut modifiers = KeyModifiers::NONE;
        for character in text.chars() {
            let (code, modifiers) = match character {
                '\x1b' => {
                    modifiers = KeyModifiers::ALT;
                    continue;
                }
                '\x07' => ('g', KeyModifiers::CONTROL),
                _ => (
                    character,
                    std::mem::replace(&mut modifiers, KeyModifiers::NONE),
                ),
            };
            keys.push(Event::Key(KeyEvent::new(KeyCode::Char(code), modifiers)));
        }
        keys
    }

    /// What is for the screens, and the answer if there is one.
    fn filtered(input: Vec<Event>) -> (Vec<Event>, Option<Background>) {
        let (mut filter, mut answer) = AnswerFilter::new();
        let events = input.into_iter().flat_map(|event| filter.take(event));
        (events.collect(), answer.try_recv().ok())
    }

    #[test]
    fn an_answer_says_what_the_background_is() {
        for (answer, expected) in [
            ("\x1b]11;rgb:ffff/ffff/ffff\x07", Background::Light),
            ("\x1b]11;rgb:fdf6/e3e3/c8c8\x1b\\", Background::Light),
            ("\x1b]11;rgb:1e/1e/2e\x07", Background::Dark),
            ("\x1b]11;rgba:0000/0000/0000/ffff\x07", Background::Dark),
            ("\x1b]11;rgb:0/0/f\x07", Background::Dark),
        ] {
            assert_eq!(filtered(typed(answer)), (Vec::new(), Some(expected)));
        }
    }

    #[test]
    fn what_is_no_answer_is_typed() {
        for text in [
            "\x1b]",
            "\x1b]x",
            "\x1b]11;rgb:zz",
            "\x1b]11;rgb:1/2\x07",
            "11;rgb:1/2/3\x07",
        ] {
            // What follows shows that nothing is still held.
            let mut input = typed(text);
            input.push(Event::Key(KeyCode::Enter.into()));
            assert_eq!(filtered(input.clone()), (input, None), "{text:?}");
        }
    }

    proptest! {
        /// Whatever is typed before and after an answer arrives, in its order.
        #[test]
        fn no_key_is_lost(before in "[a-z0-9;:/]{0,12}", after in "[a-z0-9;:/\x1b\x07]{0,12}x") {
            let answer = "\x1b]11;rgb:ffff/ffff/ffff\x07";
            let (events, answer) = filtered(typed(&format!("{before}{answer}{after}")));
            prop_assert_eq!(events, typed(&format!("{before}{after}")));
            prop_assert_eq!(answer, Some(Background::Light));
        }
    }

    #[test]
    fn the_environment_is_asked_where_the_terminal_is_not() {
        let light = |variables: &[(&str, &str)]| {
            of_environment(|name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            }) == Background::Light
        };
        assert!(light(&[("COLORFGBG", "0;15")]));
        assert!(light(&[("COLORFGBG", "0;default;7")]));
        assert!(!light(&[("COLORFGBG", "15;0")]));
        assert!(!light(&[("COLORFGBG", "0;8")]));
        assert!(!light(&[]));
    }
}
