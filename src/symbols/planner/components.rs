//! Which nodes of a graph lead to each other: its strongly connected components.

/// The component of each of `len` nodes; those of one component have the same number. A node
/// without a component (`is_in` is false) and the edges from and to it count as not there.
///
/// Kosaraju's algorithm: in the order in which a search leaves nodes, the last first, a search
/// against the edges finds a component each.
pub(super) fn components<I: Iterator<Item = usize>>(
    len: usize,
    is_in: impl Fn(usize) -> bool,
    successors: impl Fn(usize) -> I,
) -> Vec<usize> {
    let mut left = Vec::with_capacity(len);
    let mut seen = vec![false; len];
    let mut sources: Vec<Vec<usize>> = vec![Vec::new(); len];
    for start in 0..len {
        if !is_in(start) || seen[start] {
            continue;
        }
        seen[start] = true;
        let mut path = vec![(start, successors(start))];
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            let Some(target) = next.next() else {
                left.push(node);
                path.pop();
                continue;
            };
            sources[target].push(node);
            if is_in(target) && !seen[target] {
                seen[target] = true;
                path.push((target, successors(target)));
            }
        }
    }
    let mut component = vec![usize::MAX; len];
    for &start in left.iter().rev() {
        let mut waiting = vec![start];
        while let Some(node) = waiting.pop() {
            if component[node] == usize::MAX {
                component[node] = start;
                waiting.extend(sources[node].iter().filter(|&&source| is_in(source)));
            }
        }
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_lead_to_each_other_are_one_component() {
        // 0 -> 1 -> 2 -> 1, 2 -> 3, 3 -> 3, 4 -> 0.
        let edges: [&[usize]; 5] = [&[1], &[2], &[1, 3], &[3], &[0]];
        let of = |without: Option<usize>| {
            let is_in = |node| Some(node) != without;
            components(edges.len(), is_in, |node| edges[node].iter().copied())
        };
        let all = of(None);
        assert_eq!(all[1], all[2]);
        let others = [all[0], all[1], all[3], all[4]];
        let distinct: std::collections::BTreeSet<_> = others.iter().collect();
        assert_eq!(distinct.len(), 4, "{all:?}");
        let cut = of(Some(1));
        assert_ne!(cut[0], cut[2], "{cut:?}");
    }
}
