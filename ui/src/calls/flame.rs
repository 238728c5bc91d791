//! The call tree as an icicle: callers above what they called, as wide as their time.

use super::forest::{Forest, PathId};

/// What part of the tree the flame shows.
#[derive(Debug, Default)]
pub(crate) struct Flame {
    pub(crate) zoom: Option<PathId>,
}

impl Flame {
    /// The node that takes the whole width, if the tree has it.
    pub(crate) fn root(&self, forest: &Forest) -> Option<u32> {
        self.zoom.and_then(|path| forest.find(path))
    }
}

/// Where a node is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlameFrame {
    pub(crate) node: u32,
    pub(crate) line: u16,
    pub(crate) start: u16,
    pub(crate) end: u16,
}

/// The frames that have a cell to be drawn in, line by line from the left.
///
/// Callees come longest first, so that those behind the first one without a cell are left out
/// unseen: the work is bounded by the cells, not by the tree.
pub(crate) fn layout(
    forest: &Forest,
    root: Option<u32>,
    columns: u16,
    lines: u16,
) -> Vec<FlameFrame> {
    let scale = Scale {
        whole_ns: forest.extent_ns(root),
        columns,
    };
    if scale.whole_ns == 0 || columns == 0 || lines == 0 {
        return Vec::new();
    }
    let roots = match &root {
        Some(root) => std::slice::from_ref(root),
        None => forest.callees(None),
    };
    let mut frames = Vec::new();
    let mut level = scale.place(forest, roots, 0, 0, &mut frames);
    for line in 1..lines {
        let mut next = Vec::new();
        for (node, start_ns) in level {
            let callees = forest.callees(Some(node));
            next.extend(scale.place(forest, callees, start_ns, line, &mut frames));
        }
        level = next;
    }
    frames
}

/// How wide a time is.
struct Scale {
    whole_ns: u64,
    columns: u16,
}

impl Scale {
    fn column(&self, at_ns: u64) -> u16 {
        let column = u128::from(at_ns) * u128::from(self.columns) / u128::from(self.whole_ns);
        column.min(u128::from(self.columns)) as u16
    }

    /// Places nodes behind each other; returns those that were placed, and when they begin.
    fn place(
        &self,
        forest: &Forest,
        nodes: &[u32],
        start_ns: u64,
        line: u16,
        frames: &mut Vec<FlameFrame>,
    ) -> Vec<(u32, u64)> {
        let mut placed = Vec::new();
        let mut at_ns = start_ns;
        for &node in nodes {
            let end_ns = at_ns.saturating_add(forest.extent_ns(Some(node)));
            let (start, end) = (self.column(at_ns), self.column(end_ns));
            if start == end {
                break;
            }
            frames.push(FlameFrame {
                node,
                line,
                start,
                end,
            });
            placed.push((node, at_ns));
            at_ns = end_ns;
        }
        placed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::forest::tests::forest;
    use super::*;

    fn frames(nodes: &[(Option<u32>, u32, u64)], root: Option<u32>) -> Vec<(u32, u16, u16, u16)> {
        let forest = forest(nodes);
        let frames = layout(&forest, root, 100, 10);
        let fields = |frame: &FlameFrame| (frame.node, frame.line, frame.start, frame.end);
        frames.iter().map(fields).collect()
    }

    #[test]
    fn widths_are_shares_and_a_zoom_takes_all() {
        let nodes = [
            (None, 0, 100),
            (Some(0), 1, 20),
            (Some(0), 2, 50),
            (Some(2), 1, 25),
        ];
        let all = [(0, 0, 0, 100), (2, 1, 0, 50), (1, 1, 50, 70), (3, 2, 0, 25)];
        assert_eq!(frames(&nodes, None), all);
        assert_eq!(frames(&nodes, Some(2)), [(2, 0, 0, 100), (3, 1, 0, 50)]);
    }

    #[test]
    fn what_took_no_time_has_no_frame() {
        assert_eq!(frames(&[(None, 0, 0)], None), []);
        assert_eq!(frames(&[], None), []);
    }

    proptest! {
        #[test]
        fn frames_lie_within_their_callers_and_beside_each_other(
            nodes in prop::collection::vec((0u32..40, 0u32..5, 0u64..1_000), 0..40),
            columns in 0u16..200,
        ) {
            let nodes: Vec<_> = (0u32..)
                .zip(nodes)
                .map(|(id, (parent, function, ns))| ((parent < id).then_some(parent), function, ns))
                .collect();
            let forest = forest(&nodes);
            let frames = layout(&forest, None, columns, 50);
            for pair in frames.windows(2) {
                prop_assert!(pair[0].line < pair[1].line || pair[0].end <= pair[1].start);
            }
            for frame in &frames {
                prop_assert!(frame.start < frame.end && frame.end <= columns);
                if let Some(caller) = forest.caller(frame.node) {
                    let above = frames.iter().find(|above| above.node == caller).unwrap();
                    prop_assert_eq!(above.line + 1, frame.line);
                    prop_assert!(above.start <= frame.start && frame.end <= above.end);
                }
            }
        }
    }
}
