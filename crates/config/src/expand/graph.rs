//! Circles: jobs that require each other, commands that call each other.

use super::level::Edge;
use crate::diagnostic::{code, error};
use crate::syntax::Reader;

/// A circle in a graph of `nodes`, whose edges go to other nodes: its nodes in order, the first one
/// again at the end. The one that is reached first is returned; linear in nodes and edges.
pub(super) fn find_cycle(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; edges.len()];
    for start in 0..edges.len() {
        if marks[start] != Mark::New {
            continue;
        }
        marks[start] = Mark::Open;
        // The path from `start`, each node with how many of its edges were taken.
        let mut path = vec![(start, 0)];
        while let Some((node, taken)) = path.last_mut() {
            let Some(&next) = edges[*node].get(*taken) else {
                marks[*node] = Mark::Done;
                path.pop();
                continue;
            };
            *taken += 1;
            match marks[next] {
                Mark::New => {
                    marks[next] = Mark::Open;
                    path.push((next, 0));
                }
                Mark::Open => {
                    let nodes = path.iter().map(|(node, _)| *node);
                    let circle = nodes.skip_while(|node| *node != next);
                    return Some(circle.chain([next]).collect());
                }
                Mark::Done => {}
            }
        }
    }
    None
}

/// Reports jobs that wait for each other.
pub(super) fn check_cycles(reader: Reader<'_>, names: &[String], required: &[Vec<Edge>]) {
    let edges: Vec<Vec<usize>> = required
        .iter()
        .map(|edges| edges.iter().map(|edge| edge.to).collect())
        .collect();
    let Some(circle) = find_cycle(&edges) else {
        return;
    };
    let shown: Vec<_> = circle
        .iter()
        .map(|at| format!("`{}`", names[*at]))
        .collect();
    // Where each job of the circle names the next one.
    let mut places = circle.windows(2).filter_map(|pair| {
        let edge = required[pair[0]].iter().find(|edge| edge.to == pair[1]);
        edge.map(|edge| (pair[0], edge.span))
    });
    let Some((_, first)) = places.next() else {
        return;
    };
    let message = if shown.len() == 2 {
        format!("job {} requires itself", shown[0])
    } else {
        format!(
            "jobs require each other in a circle: {}",
            shown.join(" -> ")
        )
    };
    let draft = error(code::REQUIRES_CYCLE, first, message).help("remove one of these `requires`");
    reader.report(places.fold(draft, |draft, (job, span)| {
        draft.label(span, format!("required by `{}`", names[job]))
    }));
}

#[cfg(test)]
mod tests {
    use super::find_cycle;

    #[test]
    fn finds_a_circle_and_only_its_members() {
        assert_eq!(
            find_cycle(&[vec![1], vec![2], vec![1]]),
            Some(vec![1, 2, 1])
        );
        assert_eq!(find_cycle(&[vec![0]]), Some(vec![0, 0]));
        assert_eq!(find_cycle(&[vec![1, 2], vec![2], vec![]]), None);
        assert_eq!(find_cycle(&[]), None);
    }
}
