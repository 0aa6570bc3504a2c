//! Dealing weights to nodes so that the heaviest node is light.
//!
//! The greedy rule (the next heaviest weight goes to the lightest node) is near the best where
//! there are many weights for a node. Where there are few it may be a sixth off: 3 3 2 2 2 on two
//! nodes. So weights are then moved and exchanged as long as that helps, and where there are few
//! the best way is searched for: over all nodes, or over three at a time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Up to how many weights the best way is searched for.
const FEW: usize = 40;
/// After how many looks at a node the search over all ends.
const MAX_SEARCH: u32 = 400_000;
/// The same for one over three nodes, and for all of those together.
const MAX_TRIO: u32 = 20_000;
const MAX_TRIOS: u32 = 2_000_000;
/// After how many looks at a weight no more are exchanged.
const MAX_EXCHANGE: usize = 3_000_000;

/// The node of each weight. They come sorted, the heaviest first.
pub(super) fn balance(weights: &[u64], nodes: usize) -> Vec<usize> {
    let weights: Vec<u128> = weights.iter().map(|weight| u128::from(*weight)).collect();
    let goal = lower_bound(&weights, nodes);
    let mut dealt = Dealt::greedily(&weights, nodes);
    dealt.exchange(goal);
    dealt.deal_trios_anew(goal);
    let heaviest = dealt.load(dealt.heaviest());
    if heaviest > goal && weights.len() <= FEW {
        let mut search = Search::new(&weights, nodes, goal, heaviest, MAX_SEARCH);
        search.place(0);
        if let Some(found) = search.found {
            return found;
        }
    }
    dealt.node_of()
}

/// No way of dealing is better than this.
fn lower_bound(weights: &[u128], nodes: usize) -> u128 {
    let mean = weights.iter().sum::<u128>().div_ceil(nodes as u128);
    let heaviest = weights.first().copied().unwrap_or(0);
    // Of one more than there are nodes, two share a node.
    let pair = weights
        .get(nodes)
        .map_or(0, |last| weights[nodes - 1] + last);
    mean.max(heaviest).max(pair)
}

/// What each node has.
struct Dealt<'a> {
    weights: &'a [u128],
    nodes: Vec<Node>,
}

#[derive(Clone, Default)]
struct Node {
    load: u128,
    /// Indexes of weights, so the heaviest first.
    items: Vec<usize>,
}

/// One weight of the heaviest node goes to another node, perhaps for a lighter one of that.
struct Exchange {
    /// The heavier of the two nodes' loads after it.
    load: u128,
    to: usize,
    /// Where it stands in the heaviest node.
    gives: usize,
    /// Where the other stands in the other node.
    takes: Option<usize>,
}

impl<'a> Dealt<'a> {
    fn greedily(weights: &'a [u128], nodes: usize) -> Self {
        let mut dealt = Self {
            weights,
            nodes: vec![Node::default(); nodes],
        };
        // Of nodes with equal loads the one with fewer weights: some may weigh nothing.
        let mut lightest: BinaryHeap<_> = (0..nodes).map(|node| Reverse((0, 0, node))).collect();
        for (item, weight) in weights.iter().enumerate() {
            let Some(Reverse((load, count, node))) = lightest.pop() else {
                break;
            };
            dealt.nodes[node].items.push(item);
            dealt.nodes[node].load = load + weight;
            lightest.push(Reverse((load + weight, count + 1, node)));
        }
        dealt
    }

    fn load(&self, node: usize) -> u128 {
        self.nodes[node].load
    }

    fn heaviest(&self) -> usize {
        let loads = (0..self.nodes.len()).map(|node| (self.nodes[node].load, Reverse(node)));
        loads.max().map_or(0, |(_, Reverse(node))| node)
    }

    /// Makes the heaviest node lighter as long as that is possible with one exchange.
    fn exchange(&mut self, goal: u128) {
        let mut looked = 0;
        while looked < MAX_EXCHANGE {
            let from = self.heaviest();
            let load = self.load(from);
            if load <= goal + goal / 1_000 {
                return;
            }
            looked += self.nodes[from].items.len() * self.nodes.len();
            let others = (0..self.nodes.len()).filter(|node| *node != from);
            let best = others
                .filter_map(|to| self.best_exchange(from, to))
                .min_by_key(|it| it.load);
            let Some(exchange) = best.filter(|best| best.load < load) else {
                return;
            };
            self.apply(from, &exchange);
        }
    }

    /// Deals the heaviest node and two others anew, as long as that makes it lighter and it is not
    /// near the goal.
    fn deal_trios_anew(&mut self, goal: u128) {
        let mut looked = 0;
        while looked < MAX_TRIOS && self.load(self.heaviest()) > goal + goal / 20 {
            if !self.deal_a_trio_anew(goal, &mut looked) {
                return;
            }
            self.exchange(goal);
        }
    }

    /// Says whether it has made the heaviest node lighter.
    fn deal_a_trio_anew(&mut self, goal: u128, looked: &mut u32) -> bool {
        let from = self.heaviest();
        let mut others: Vec<usize> = (0..self.nodes.len()).filter(|node| *node != from).collect();
        others.sort_by_key(|node| self.load(*node));
        for second in 1..others.len() {
            for first in 0..second {
                let trio = [from, others[first], others[second]];
                let mut items = trio.map(|node| self.nodes[node].items.as_slice()).concat();
                if items.len() > FEW || *looked > MAX_TRIOS {
                    continue;
                }
                items.sort_unstable();
                let weights: Vec<u128> = items.iter().map(|item| self.weights[*item]).collect();
                let goal = goal.max(lower_bound(&weights, trio.len()));
                let mut search = Search::new(&weights, trio.len(), goal, self.load(from), MAX_TRIO);
                search.place(0);
                *looked += search.looked;
                if let Some(found) = search.found {
                    self.deal(&trio, &items, &found);
                    return true;
                }
            }
        }
        false
    }

    /// Gives these nodes these weights, each its own.
    fn deal(&mut self, nodes: &[usize], items: &[usize], node_of: &[usize]) {
        for (index, node) in nodes.iter().enumerate() {
            let its = items.iter().zip(node_of).filter(|(_, of)| **of == index);
            let items: Vec<usize> = its.map(|(item, _)| *item).collect();
            let load = items.iter().map(|item| self.weights[*item]).sum();
            self.nodes[*node] = Node { load, items };
        }
    }

    /// The exchange that brings two nodes closest together.
    fn best_exchange(&self, from: usize, to: usize) -> Option<Exchange> {
        let (heavy, light) = (&self.nodes[from], &self.nodes[to]);
        let gap = heavy.load.checked_sub(light.load).filter(|gap| *gap > 1)?;
        let weight = |node: &Node, at: usize| self.weights[node.items[at]];
        let mut best: Option<Exchange> = None;
        for gives in 0..heavy.items.len() {
            let given = weight(heavy, gives);
            // What comes back would best weigh so much: the first that weighs less, and the one
            // before it, are the nearest.
            let wanted = given.saturating_sub(gap / 2);
            let at = light
                .items
                .partition_point(|item| self.weights[*item] > wanted);
            let near = [Some(at), at.checked_sub(1)].into_iter().flatten();
            let near = near.filter(|at| *at < light.items.len()).map(Some);
            for takes in near.chain([None]) {
                let taken = takes.map_or(0, |at| weight(light, at));
                let Some(moved) = given.checked_sub(taken).filter(|moved| *moved < gap) else {
                    continue;
                };
                let load = (heavy.load - moved).max(light.load + moved);
                if best.as_ref().is_none_or(|best| load < best.load) {
                    best = Some(Exchange {
                        load,
                        to,
                        gives,
                        takes,
                    });
                }
            }
        }
        best
    }

    fn apply(&mut self, from: usize, exchange: &Exchange) {
        let given = self.nodes[from].items[exchange.gives];
        let taken = exchange.takes.map(|at| self.nodes[exchange.to].items[at]);
        self.shift(given, from, exchange.to);
        if let Some(taken) = taken {
            self.shift(taken, exchange.to, from);
        }
    }

    fn shift(&mut self, item: usize, from: usize, to: usize) {
        self.nodes[from].items.retain(|other| *other != item);
        self.nodes[from].load -= self.weights[item];
        let at = self.nodes[to].items.partition_point(|other| *other < item);
        self.nodes[to].items.insert(at, item);
        self.nodes[to].load += self.weights[item];
    }

    fn node_of(&self) -> Vec<usize> {
        let mut node_of = vec![0; self.weights.len()];
        for (node, has) in self.nodes.iter().enumerate() {
            has.items.iter().for_each(|item| node_of[*item] = node);
        }
        node_of
    }
}

/// Tries all ways that may be better than the best until now, up to a limit.
struct Search<'a> {
    weights: &'a [u128],
    goal: u128,
    loads: Vec<u128>,
    node_of: Vec<usize>,
    /// The heaviest load of the best way until now.
    best: u128,
    found: Option<Vec<usize>>,
    looked: u32,
    /// After how many looks it ends.
    limit: u32,
}

impl<'a> Search<'a> {
    fn new(weights: &'a [u128], nodes: usize, goal: u128, best: u128, limit: u32) -> Self {
        Self {
            weights,
            goal,
            loads: vec![0; nodes],
            node_of: vec![0; weights.len()],
            best,
            found: None,
            looked: 0,
            limit,
        }
    }

    /// Places this weight and all after it. Says whether to go on searching.
    fn place(&mut self, item: usize) -> bool {
        let Some(&weight) = self.weights.get(item) else {
            self.best = self.loads.iter().copied().max().unwrap_or(0);
            self.found = Some(self.node_of.clone());
            return self.best > self.goal;
        };
        for node in 0..self.loads.len() {
            self.looked += 1;
            if self.looked > self.limit {
                return false;
            }
            let load = self.loads[node];
            let tried = self.loads[..node].contains(&load);
            if tried || load + weight >= self.best {
                continue;
            }
            self.loads[node] += weight;
            self.node_of[item] = node;
            let go_on = self.place(item + 1);
            self.loads[node] = load;
            if !go_on {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heaviest(weights: &[u64], nodes: usize) -> u128 {
        let mut sorted = weights.to_vec();
        sorted.sort_unstable_by_key(|weight| Reverse(*weight));
        let mut loads = vec![0; nodes];
        for (node, weight) in balance(&sorted, nodes).into_iter().zip(&sorted) {
            loads[node] += u128::from(*weight);
        }
        loads.into_iter().max().unwrap_or(0)
    }

    /// The best of all ways, tried one by one.
    fn best(weights: &[u64], loads: &mut [u128]) -> u128 {
        let Some((weight, rest)) = weights.split_first() else {
            return loads.iter().copied().max().unwrap_or(0);
        };
        let all = (0..loads.len()).map(|node| {
            loads[node] += u128::from(*weight);
            let best = best(rest, loads);
            loads[node] -= u128::from(*weight);
            best
        });
        all.min().unwrap_or(0)
    }

    #[test]
    fn what_the_greedy_rule_gets_wrong_is_mended() {
        assert_eq!(heaviest(&[3, 3, 2, 2, 2], 2), 6);
        assert_eq!(heaviest(&[5, 5, 4, 4, 3, 3, 3], 3), 9);
        assert_eq!(heaviest(&[], 3), 0);
        assert_eq!(heaviest(&[7], 3), 7);
        assert_eq!(heaviest(&[u64::MAX, u64::MAX], 1), 2 * u128::from(u64::MAX));
    }

    #[test]
    fn weights_of_nothing_are_spread_too() {
        let mut counts = [0; 4];
        balance(&[0; 100], 4)
            .into_iter()
            .for_each(|node| counts[node] += 1);
        assert_eq!(counts, [25; 4]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn few_weights_are_dealt_in_the_best_way(
            weights in prop::collection::vec(prop_oneof![0_u64..10, 0_u64..1_000], 0..9),
            nodes in 2_usize..5,
        ) {
            prop_assert_eq!(heaviest(&weights, nodes), best(&weights, &mut vec![0; nodes]));
        }
    }

    /// Weights that can be dealt so that all nodes are equal: each node's load cut into parts.
    fn perfect(
        parts: impl Strategy<Value = usize>,
        nodes: usize,
    ) -> impl Strategy<Value = Vec<u64>> {
        const LOAD: u64 = 1_000_000;
        let cuts = parts.prop_flat_map(|parts| prop::collection::vec(1..LOAD, parts - 1));
        let node = cuts.prop_map(|mut cuts| {
            cuts.extend([0, LOAD]);
            cuts.sort_unstable();
            cuts.windows(2)
                .map(|pair| pair[1] - pair[0])
                .collect::<Vec<_>>()
        });
        prop::collection::vec(node, nodes).prop_map(|nodes| nodes.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn all_is_within_a_tenth_of_the_best(
            (nodes, weights) in (2_usize..40).prop_flat_map(|nodes| {
                (Just(nodes), prop_oneof![
                    perfect(2_usize..4, nodes),
                    perfect(2_usize..8, nodes),
                    perfect(10_usize..40, nodes),
                ])
            }),
        ) {
            prop_assert!(heaviest(&weights, nodes) <= 1_100_000, "{}", heaviest(&weights, nodes));
        }
    }
}
