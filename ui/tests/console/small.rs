//! On 60x20 without colours, every place says by characters alone what one needs there.

use std::collections::HashSet;

use coral_ui::{Colors, Options};
use ratatui::style::Color;

use crate::everywhere::{self, PLACES};
use crate::harness::Console;
use crate::screens::check_at;

const SIZE: (u16, u16) = (60, 20);

fn options() -> Options {
    Options {
        colors: Colors::None,
        ..Options::default()
    }
}

/// What has to be readable in each place: what is selected, its numbers, and words for states.
const READABLE: [(&str, &[&str]); PLACES.len()] = [
    (
        "processes",
        &["▌  checkout              4242 go", "× worker", "Enter open"],
    ),
    ("processes, filtered", &["/a", "5 match", "▌  checkout"]),
    (
        "functions",
        &[
            "checkout  4242  go",
            "00:30 left",
            "▌● main.handleCheckout",
            "184 µs 45.1 ms 54.5 ms",
            "Space probe on/off",
        ],
    ),
    (
        "functions, about their code",
        &["▌● main.handleCheckout", "3 returns", "entry only"],
    ),
    (
        "functions while typing a filter",
        &["/a", "70 match", "Enter keep"],
    ),
    (
        "histogram",
        &["▲p50", "p99   45.1 ms", "n 13,653  0 lost", "1 in flight"],
    ),
    (
        "heatmap",
        &["▓", "┼", "100 ms", "116 µs to 267 µs  about 34"],
    ),
    (
        "heatmap with an area",
        &[
            "Area",
            "Esc clears",
            "14,011 of 18,001 calls",
            "311 µs to   328 µs",
        ],
    ),
    (
        "percentile lines",
        &["⠒⠒ p50 184 µs", "⠂⠂ p99 7.21 ms", "03:12:30"],
    ),
    (
        "comparison",
        &[
            "before mark 1",
            "since mark 1",
            "+612.7% real",
            "noise",
            "few n",
        ],
    ),
    (
        "comparison of sessions",
        &["A  dbg-past", "B  dbg-01JD2Q", "+525.5% real"],
    ),
    (
        "call tree",
        &[
            "▌  ▾ main.main",
            "45.0 s   100.0 %",
            "3 calls lost  17 records lost",
        ],
    ),
    (
        "call tree, searched",
        &["/a", "6 functions, 7 paths", "▌  ▾ main.main"],
    ),
    (
        "flame",
        &[
            "bars are self time",
            "▌main.handleCheckout 71.1 %",
            "total 32.0 s  share 71.1 %",
        ],
    ),
    (
        "flame, zoomed",
        &[
            "zoomed: main.handleCheckout",
            "▌main.handleCheckout 100.0 %",
        ],
    ),
    (
        "sandwich",
        &[
            "▌    ● main.…dleCheckout   32.0 s  100.0 %",
            "└ gith…nt).Charge",
        ],
    ),
    (
        "slow calls",
        &["▌! main.handleCheckout          310 ms", "slowest 13 seen"],
    ),
    (
        "a slow call",
        &["failed", "cart *main.Cart = 0xc000012340", "card declined"],
    ),
    ("a call on its time axis", &["main.handleCheckout"]),
    (
        "calls in flight",
        &["▌  main.serveForever                   18.0 s g 1"],
    ),
    (
        "a call in flight",
        &[
            "had run for 18.0 s on g 1",
            "it waits or works here, not in a probed call",
            "sync.(*Mutex).Lock",
        ],
    ),
    (
        "sessions",
        &[
            "● dbg-01JD2Q",
            "▌○ dbg-past",
            "expired",
            "121k hits, of which",
        ],
    ),
    (
        "a past session",
        &["PAST SESSION", "▌○ main.handleCheckout"],
    ),
    (
        "events",
        &[
            "warning  main.priceOf was detached",
            "▌  00:00",
            "info     mark 1 is set",
        ],
    ),
    (
        "help",
        &["╭─ Keys", "PgDn  Ctrl-F    one page down", "Esc close"],
    ),
    ("palette", &["102 of 102", "▌ down                   j"]),
    (
        "palette while typing",
        &["/a", "▌ detach-all             D"],
    ),
    (
        "function finder",
        &["70 match", "▌ github.com/acme/pay.(*Client).Charge"],
    ),
    (
        "source",
        &["/src/shop/checkout.go:57", "▌    57", "o opens it"],
    ),
    (
        "question",
        &["Attach to 67 functions", "0.25 %", "y yes  n no"],
    ),
    (
        "attach form",
        &[
            "▌ attach to",
            "for",
            "60s",
            "arguments   no",
            "only where",
            "Enter do it",
        ],
    ),
    (
        "attach form with a pattern",
        &["▌ pattern", "it means no function"],
    ),
    (
        "filter of a session",
        &[
            "Record only calls where",
            "amount > 100 and user",
            "Enter do it",
        ],
    ),
    (
        "filter of a session that is wrong",
        &["Record only calls where", "at 2:"],
    ),
    ("typed filter", &["p99 > "]),
    ("views", &["Views", "slowest"]),
    ("name of a view", &["Save this view as"]),
    (
        "replicas",
        &[
            "checkout  2 of 4",
            "▌● node-2",
            "slow 4.0x",
            "silent",
            "refused",
        ],
    ),
    ("replicas, filtered", &["/a"]),
    ("a replica alone", &["node-2 991 alone"]),
    (
        "services",
        &[
            "1 Services",
            "▌▾ checkout",
            "4 replicas, 2 builds, 1 troubled",
            "× ├ node-3",
        ],
    ),
    ("services, filtered", &["/a", "match"]),
    ("agents", &["agents", "cut off", "cannot probe"]),
    (
        "sessions of everybody",
        &[
            "expired",
            "▌◌ dbg-ann",
            "checkout on 3 replicas by ann",
            "Enter look at it",
        ],
    ),
    (
        "a session of the history",
        &["WATCHING ann: LIVE", "main.handleCheckout"],
    ),
    (
        "sql while typing",
        &["7 SQL", "▸ a d", "Tab debug_sessions"],
    ),
    (
        "sql, running",
        &["running for 0 s", "Press Ctrl-K to give it up."],
    ),
    (
        "sql, failed",
        &["error[sql-invalid]: there is no such column", "help: look"],
    ),
    (
        "sql rows",
        &[
            "20 rows",
            "as of 03:12:40 UTC",
            "▌  main.handler0",
            "7210000",
            "NULL",
        ],
    ),
];

/// On every screen: what is looked at, how it is, what it costs, and what is lost.
const HEADER: [&str; 4] = ["checkout", " left", "records LOST", "1.0 % of a core"];

#[test]
fn every_place_is_readable_without_colours() {
    let mut readable = READABLE.iter();
    everywhere::visit(options(), None, |place, console| {
        let Some((of, words)) = readable.next() else {
            panic!("nothing is said about {place}");
        };
        assert_eq!(*of, place);
        let text = console.text(SIZE.0, SIZE.1);
        for word in HEADER.iter().chain(*words) {
            assert!(text.contains(word), "{place} without {word:?}:\n{text}");
        }
        let buffer = console.buffer(SIZE.0, SIZE.1);
        let cells = buffer.content().iter();
        let colors: HashSet<Color> = cells.flat_map(|cell| [cell.fg, cell.bg]).collect();
        assert_eq!(colors, HashSet::from([Color::Reset]), "{place}");
    });
}

#[test]
fn states_are_words() {
    let mut console = Console::incident(options());
    let mut header = |keys: &str| {
        console.press(keys);
        let text = console.text(SIZE.0, SIZE.1);
        text.lines().next().unwrap_or_default().to_owned()
    };
    assert!(header("").contains("● LIVE"));
    assert!(header("[ [").contains("PAUSED -00:02"), "{}", header(""));
    assert!(header("L").contains("● LIVE"));
}

#[test]
fn what_it_looks_like() {
    let pictured = ["functions", "heatmap with an area", "call tree", "replicas"];
    everywhere::visit(options(), None, |place, console| {
        if pictured.contains(&place) {
            check_at(&format!("small_{}", place.replace(' ', "_")), console, SIZE);
        }
    });
}
