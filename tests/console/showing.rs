//! What is on the screen: the demo under real probes, the recording of it, small and plain terminals.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::common::{need, rights};

use crate::terminal::{End, LARGE, Terminal, cell, start, start_with};

/// What an old kernel makes of the demo: its recording.
const OLD_KERNEL: (&str, &str) = ("CORAL_TEST_KERNEL", "5.4");

/// Keys, and the titles of what they bring to the front.
const SCREENS: [(&str, &str); 7] = [
    ("1", "Processes"),
    ("2", "Functions"),
    ("3", "Latency"),
    ("4", "Tree"),
    ("5", "Sessions"),
    ("6", "Events"),
    ("?", "Keys"),
];

#[test]
fn the_demo_shows_moving_histograms_and_ends_with_its_service() {
    need!(rights::probes());
    let mut terminal = start(LARGE, &["--demo"]);
    let frame = terminal.wait_for(|frame| cell(frame, "checkout::handleCheckout", "p50").is_some());
    let own = rows(&frame).nth(7).unwrap();
    assert!(
        own.starts_with("checkout::main "),
        "the application's own come next: {frame}"
    );
    terminal.press("/'handleCheckout");
    terminal.wait_for_text(" 1 match");
    terminal.press("\r3");
    let first = terminal.wait_for(|frame| durations(frame).is_some() && frame.contains('█'));
    assert!(
        first.contains("Latency  checkout::handleCheckout"),
        "{first}"
    );
    terminal.wait_for(|frame| durations(frame) > durations(&first) && bars(frame) != bars(&first));
    let pid = number_after(&first, "checkout  pid ").unwrap();
    assert_eq!(
        fs::read_to_string(format!("/proc/{pid}/comm")).unwrap(),
        "checkout\n"
    );
    terminal.press("qq");
    assert_eq!(terminal.end(), End::in_order());
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn a_storm_of_sizes_leaves_the_right_screen() {
    need!(rights::probes());
    let mut terminal = start(LARGE, &["--demo"]);
    terminal.wait_for_text("● LIVE");
    terminal.press("6");
    let calm = terminal.wait_for_text("info     Attached to 7 functions: 14 probes");
    for step in 0..200_u32 {
        // All of 1 to 300 and 1 to 100, in an order that goes up and down.
        let columns = 1 + (step * 113 % 300) as u16;
        let rows = 1 + (step * 37 % 100) as u16;
        let frames = terminal.frames();
        terminal.resize((columns, rows));
        if step % 4 == 0 {
            terminal.wait_until(|seen| (seen.frames > frames).then_some(()));
        }
    }
    terminal.resize((1, 1));
    terminal.resize(LARGE);
    terminal.wait_for(|frame| body(frame) == body(&calm) && frame.contains("● LIVE"));
    terminal.press("q");
    terminal.wait_for_text("own code first");
    terminal.press("q");
    assert_eq!(terminal.end(), End::in_order());
}

#[test]
fn without_the_rights_the_demo_is_a_recording_and_says_why() {
    let mut terminal = recording(LARGE, &[]);
    let frame = terminal.wait_for(|frame| cell(frame, "checkout::handleCheckout", "p50").is_some());
    let reason = "Linux 5.4 is too old for probes, which need 5.17; this is the shipped recording";
    assert!(frame.contains(reason), "{frame}");
    let header = frame.lines().next().unwrap();
    assert!(header.contains(" REPLAY 00:"), "{frame}");
    terminal.press("p");
    terminal.wait_for_text("REPLAY PAUSED 00:");
    terminal.press("L");
    terminal.wait_for(|frame| {
        let header = frame.lines().next().unwrap_or_default();
        let times = header
            .rsplit("PAUSED ")
            .next()
            .and_then(|times| times.trim().split_once('/'));
        times.is_some_and(|(at, end)| at == end)
    });
    terminal.press(" ");
    terminal.wait_for_text("error[replay]: This is a recording: nothing can be probed in it");
    terminal.press("q");
    assert_eq!(terminal.end(), End::in_order());
}

#[test]
fn without_colours_and_unicode_there_are_none() {
    let mut terminal = recording(LARGE, &[("NO_COLOR", "1"), ("LANG", "C")]);
    visit_screens(&mut terminal);
    let output = terminal.output();
    let beyond_ascii: Vec<char> = output.chars().filter(|c| !c.is_ascii()).collect();
    assert_eq!(beyond_ascii, []);
    let colours: Vec<&str> = styles(&output).filter(|style| is_colour(style)).collect();
    assert_eq!(colours, Vec::<&str>::new());
    terminal.press("\x03");
    assert_eq!(terminal.end(), End::in_order());
}

#[test]
fn with_colours_and_unicode_there_are_both() {
    let mut terminal = recording(LARGE, &[]);
    visit_screens(&mut terminal);
    let output = terminal.output();
    assert!(output.contains('●') && styles(&output).any(is_colour));
}

#[test]
fn a_terminal_of_40_by_12_shows_every_screen() {
    let mut terminal = recording((40, 12), &[]);
    let functions = terminal.wait_for_text("● checkout::");
    assert!(functions.contains("REPLAY"), "{functions}");
    visit_screens(&mut terminal);
    terminal.resize((39, 9));
    terminal.wait_for_text("coral needs 40 x 10 cells, here are");
    terminal.press("\x03");
    assert_eq!(terminal.end(), End::in_order());
}

#[test]
fn an_export_overwrites_nothing_and_follows_no_link() {
    let mut terminal = recording(LARGE, &[]);
    terminal.wait_for_text("● checkout::");
    let folder = terminal.folder().to_owned();
    fs::write(folder.join("coral-functions.csv"), "mine").unwrap();
    symlink(
        folder.join("elsewhere"),
        folder.join("coral-functions-2.csv"),
    )
    .unwrap();
    terminal.press("\x1b");
    terminal.wait_for(|frame| !frame.contains("dismisses"));
    terminal.press("e");
    terminal.wait_for_text("Exported to ./coral-functions-3.csv");
    let exported = fs::read_to_string(folder.join("coral-functions-3.csv")).unwrap();
    assert!(exported.contains("checkout::handleCheckout"), "{exported}");
    assert_eq!(
        fs::read_to_string(folder.join("coral-functions.csv")).unwrap(),
        "mine"
    );
    assert!(!folder.join("elsewhere").exists());
    terminal.press("q");
    assert_eq!(terminal.end(), End::in_order());
}

/// The demo's recording, as on a machine without the rights.
fn recording(size: (u16, u16), variables: &[(&str, &str)]) -> Terminal {
    start_with(size, &["--demo"], &[variables, &[OLD_KERNEL]].concat())
}

/// Shows every screen, each until it is drawn.
fn visit_screens(terminal: &mut Terminal) {
    terminal.wait_for_text("checkout::");
    for (key, title) in SCREENS {
        terminal.press(key);
        terminal.wait_for(|frame| {
            ["─", "-"]
                .iter()
                .flat_map(|rule| [format!("{rule} {title} "), format!("{rule} [{title}] ")])
                .any(|begin| frame.contains(&begin))
        });
    }
}

/// The rows of the function list.
fn rows(frame: &str) -> impl Iterator<Item = &str> {
    let lines = frame
        .lines()
        .skip_while(|line| !line.contains("   function "));
    lines
        .skip(1)
        .map(|row| row.trim_start_matches([' ', '▌', '●']))
}

/// The number of durations in the title of the latency pane.
fn durations(frame: &str) -> Option<u64> {
    number_after(frame, " n ")
}

fn number_after(frame: &str, text: &str) -> Option<u64> {
    let (_, rest) = frame.split_once(text)?;
    let number = rest.split_whitespace().next()?;
    number.replace(',', "").parse().ok()
}

/// The bars of the latency screen's histogram.
fn bars(frame: &str) -> Vec<&str> {
    let lines = frame.lines();
    lines.filter(|line| line.contains('█')).collect()
}

/// Everything below the header of a large terminal.
fn body(frame: &str) -> Vec<&str> {
    frame.lines().skip(2).map(str::trim_end).collect()
}

/// The parameters of every sequence that sets a style.
fn styles(output: &str) -> impl Iterator<Item = &str> {
    output.split("\x1b[").filter_map(|sequence| {
        let end = sequence.find(|c: char| !c.is_ascii_digit() && c != ';')?;
        sequence[end..].starts_with('m').then_some(&sequence[..end])
    })
}

/// Whether a style is a colour other than the terminal's own.
fn is_colour(style: &str) -> bool {
    let numbers = style.split(';').map(|number| number.parse().unwrap_or(0));
    numbers
        .into_iter()
        .any(|number: u16| matches!(number, 30..=38 | 40..=48 | 58 | 90..=97 | 100..=107))
}
