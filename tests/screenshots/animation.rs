//! Screens one after the other, as one SVG that plays by itself: no script, only CSS. A row of
//! cells that several screens in turn show alike is in the file once.

use std::collections::BTreeMap;
use std::fmt::Write;

use ratatui::buffer::Buffer;

use crate::svg::{self, Paper};

/// A screen, and how long it is shown.
pub(crate) struct Scene {
    pub(crate) screen: Buffer,
    pub(crate) ms: u32,
}

/// Draws scenes of one size, round and round. What cannot play it shows the last one.
pub(crate) fn render(scenes: &[Scene], paper: &Paper) -> String {
    let area = scenes[0].screen.area;
    let mut parts: BTreeMap<Span, String> = BTreeMap::new();
    for row in 0..area.height {
        let draw = |scene: &Scene| svg::row(&scene.screen, row, paper);
        let drawn: Vec<String> = scenes.iter().map(draw).collect();
        let places: Vec<usize> = (0..scenes.len()).collect();
        for alike in places.chunk_by(|&one, &next| drawn[one] == drawn[next]) {
            let first = alike[0];
            let span = (first, first + alike.len());
            parts.entry(span).or_default().push_str(&drawn[first]);
        }
    }
    let mut svg = svg::head(area, paper);
    svg.push_str(&style(scenes, parts.keys()));
    for (span, elements) in &parts {
        let (first, end) = span;
        let still = if *end == scenes.len() {
            ""
        } else {
            " visibility=\"hidden\""
        };
        let _ = writeln!(svg, "<g class=\"s{first}-{end}\"{still}>\n{elements}</g>");
    }
    svg.push_str("</svg>\n");
    svg
}

/// The first scene that shows something, and the first one after it that does not.
type Span = (usize, usize);

/// When each span is seen.
fn style<'a>(scenes: &[Scene], spans: impl Iterator<Item = &'a Span>) -> String {
    let until_ms = |scene: usize| scenes[..scene].iter().map(|scene| scene.ms).sum::<u32>();
    let whole_ms = until_ms(scenes.len());
    let percent = |scene: usize| f64::from(until_ms(scene)) * 100.0 / f64::from(whole_ms);
    let mut style = String::from("<style>\n");
    for &(first, end) in spans.filter(|span| **span != (0, scenes.len())) {
        let _ = write!(
            style,
            ".s{first}-{end}{{animation:s{first}-{end} {whole_ms}ms step-end infinite}}\
             @keyframes s{first}-{end}{{0%{{visibility:hidden}}{:.3}%{{visibility:visible}}",
            percent(first)
        );
        if end < scenes.len() {
            let _ = write!(style, "{:.3}%{{visibility:hidden}}", percent(end));
        }
        style.push_str("}\n");
    }
    style
        .push_str("@media(prefers-reduced-motion:reduce){g{animation:none!important}}\n</style>\n");
    style
}

#[test]
fn what_is_seen_at_each_time_is_the_scene_of_that_time() {
    let paper = &crate::DARK;
    let scenes = ["one\ntwo", "one\nzwei", "uno\nzwei", "one\nzwei"].map(|text| Scene {
        screen: Buffer::with_lines(text.lines()),
        ms: 100,
    });
    let svg = render(&scenes, paper);
    for (number, scene) in scenes.iter().enumerate() {
        let mut seen: Vec<&str> = Vec::new();
        for group in svg.split("<g class=\"s").skip(1) {
            let (span, rest) = group.split_once('"').unwrap();
            let (first, end) = span.split_once('-').unwrap();
            if (first.parse().unwrap()..end.parse().unwrap()).contains(&number) {
                let (elements, _) = rest.split_once("</g>").unwrap();
                seen.extend(elements.lines().skip(1));
            }
        }
        let rows: String = (0..2)
            .map(|row| svg::row(&scene.screen, row, paper))
            .collect();
        let mut expected: Vec<&str> = rows.lines().collect();
        seen.sort_unstable();
        expected.sort_unstable();
        assert_eq!(seen, expected, "scene {number}");
    }
    assert!(
        svg.contains("@keyframes s2-3{0%{visibility:hidden}50.000%{visibility:visible}75.000%")
    );
}
