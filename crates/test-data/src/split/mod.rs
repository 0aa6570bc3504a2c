//! Which task runs which tests.
//!
//! All tasks of a job split the same names, each by itself, so the outcome depends on the names
//! and their weights alone: not on the order in which a task happens to find them, nor on chance.

mod balance;

use std::time::Duration;

/// Names dealt out to nodes: each to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    node_of: Vec<usize>,
    nodes: usize,
}

impl Partition {
    /// By their order in the alphabet, one after the other: neighbours are often alike, so every
    /// node gets some of each.
    pub fn by_name<N: AsRef<[u8]>>(names: &[N], nodes: usize) -> Self {
        let mut node_of = vec![0; names.len()];
        for (position, index) in in_order(names, |_| 0).into_iter().enumerate() {
            node_of[index] = position % nodes;
        }
        Self { node_of, nodes }
    }

    /// So that the heaviest node is as light as possible: within a tenth of the best.
    pub fn by_weight<N: AsRef<[u8]>>(names: &[N], weights: &[u64], nodes: usize) -> Self {
        debug_assert_eq!(names.len(), weights.len());
        let order = in_order(names, |index| weights[index]);
        let sorted: Vec<u64> = order.iter().map(|index| weights[*index]).collect();
        let mut node_of = vec![0; names.len()];
        for (index, node) in order.into_iter().zip(balance::balance(&sorted, nodes)) {
            node_of[index] = node;
        }
        Self { node_of, nodes }
    }

    /// Where in the names those of one node stand, in the order in which they were given.
    pub fn share(&self, node: usize) -> impl Iterator<Item = usize> {
        let all = self.node_of.iter().enumerate();
        all.filter_map(move |(index, of)| (*of == node).then_some(index))
    }

    /// How heavy each node is.
    pub fn loads(&self, weights: &[u64]) -> Vec<u64> {
        let mut loads = vec![0_u64; self.nodes];
        for (node, weight) in self.node_of.iter().zip(weights) {
            loads[*node] = loads[*node].saturating_add(*weight);
        }
        loads
    }
}

/// The indexes of names, the heaviest first and then by name.
fn in_order<N: AsRef<[u8]>>(names: &[N], weight: impl Fn(usize) -> u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by(|a, b| {
        let by_weight = weight(*b).cmp(&weight(*a));
        by_weight.then_with(|| names[*a].as_ref().cmp(names[*b].as_ref()))
    });
    order
}

/// Weights of which some are not known: those are like the mean of the others.
pub fn fill_with_mean(weights: &[Option<u64>]) -> Vec<u64> {
    let known = || weights.iter().flatten();
    let count = known().count().max(1) as u128;
    let sum: u128 = known().map(|weight| u128::from(*weight)).sum();
    let mean = u64::try_from(sum / count).unwrap_or(u64::MAX);
    weights
        .iter()
        .map(|weight| weight.unwrap_or(mean))
        .collect()
}

/// A duration as a weight.
pub fn weight(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_name_goes_to_one_node(
            tests in prop::collection::vec(("[a-c]{0,2}", 0_u64..50), 0..60),
            nodes in 1_usize..9,
        ) {
            let (names, weights): (Vec<String>, Vec<u64>) = tests.into_iter().unzip();
            for partition in [
                Partition::by_name(&names, nodes),
                Partition::by_weight(&names, &weights, nodes),
            ] {
                let shares: Vec<Vec<usize>> =
                    (0..nodes).map(|node| partition.share(node).collect()).collect();
                prop_assert!(shares.iter().all(|share| share.is_sorted()));
                let mut all = shares.concat();
                all.sort_unstable();
                prop_assert!(all.into_iter().eq(0..names.len()));
                prop_assert_eq!(partition.loads(&weights).iter().sum::<u64>(), weights.iter().sum::<u64>());
            }
            let sizes: Vec<usize> = (0..nodes)
                .map(|node| Partition::by_name(&names, nodes).share(node).count())
                .collect();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
        }

        #[test]
        fn the_order_in_which_names_are_found_does_not_matter(
            tests in prop::collection::vec(("[a-d]{1,3}", 0_u64..9), 0..40),
            nodes in 1_usize..6,
            turn in 0_usize..40,
        ) {
            // The weight of a name is the same wherever it stands.
            let tests: std::collections::BTreeMap<String, u64> = tests.into_iter().collect();
            let (names, weights): (Vec<String>, Vec<u64>) = tests.into_iter().unzip();
            let turned = |mut turned: Vec<usize>| {
                turned.rotate_left(turn % names.len().max(1));
                turned.reverse();
                turned
            };
            let order = turned((0..names.len()).collect());
            let other: Vec<&String> = order.iter().map(|index| &names[*index]).collect();
            let other_weights: Vec<u64> = order.iter().map(|index| weights[*index]).collect();
            for (one, two) in [
                (Partition::by_name(&names, nodes), Partition::by_name(&other, nodes)),
                (
                    Partition::by_weight(&names, &weights, nodes),
                    Partition::by_weight(&other, &other_weights, nodes),
                ),
            ] {
                for node in 0..nodes {
                    let mut one: Vec<&String> = one.share(node).map(|at| &names[at]).collect();
                    let mut two: Vec<&String> = two.share(node).map(|at| other[at]).collect();
                    one.sort();
                    two.sort();
                    prop_assert_eq!(one, two);
                }
            }
        }
    }

    #[test]
    fn unknown_weights_are_the_mean() {
        assert_eq!(fill_with_mean(&[Some(1), None, Some(5)]), [1, 3, 5]);
        assert_eq!(fill_with_mean(&[None, None]), [0, 0]);
        assert_eq!(fill_with_mean(&[]), [0; 0]);
        assert_eq!(weight(Duration::from_millis(2)), 2_000);
        assert_eq!(weight(Duration::MAX), u64::MAX);
    }

    #[test]
    fn a_hundred_thousand_names_are_balanced() {
        let names: Vec<String> = (0..100_000)
            .map(|number| format!("test_{number}"))
            .collect();
        let weights: Vec<u64> = (0..100_000_u64)
            .map(|number| number * 7_919 % 10_007 + 1)
            .collect();
        let loads = Partition::by_weight(&names, &weights, 50).loads(&weights);
        let mean = weights.iter().sum::<u64>() / 50;
        assert!(
            loads.iter().all(|load| load.abs_diff(mean) <= mean / 1_000),
            "{loads:?}"
        );
    }
}
