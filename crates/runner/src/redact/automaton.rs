//! Looks for all needles at once, byte by byte (Aho and Corasick, 1975), and knows about blanks.
//!
//! A state is the longest end of what was read that some needle begins with. Secrets have many long
//! forms, so the transitions are lists and failure links, not tables: [`super::filter`] makes up for
//! the speed.

use std::collections::BTreeMap;

use super::needle::Gaps;

/// A state. Nothing is begun in the [`ROOT`].
pub type State = u32;

/// Where everything begins.
pub const ROOT: State = 0;

/// No state.
const NONE: State = State::MAX;

#[derive(Debug)]
struct Node {
    byte: u8,
    /// A needle goes on after a blank here.
    is_gap: bool,
    /// If a needle ends here: where it allows blanks.
    ends: Option<Gaps>,
    depth: u32,
    child: State,
    sibling: State,
    /// The next shorter end of what was read.
    shorter: State,
    /// The longest end, this one included, that can still become a needle.
    alive: State,
    /// The same, if a blank comes now.
    after_blank: State,
    /// The longest end, this one included, that is a needle. Root: there is none.
    matched: State,
}

impl Node {
    const fn new(byte: u8, depth: u32) -> Self {
        Self {
            byte,
            is_gap: false,
            ends: None,
            depth,
            child: NONE,
            sibling: NONE,
            shorter: ROOT,
            alive: ROOT,
            after_blank: ROOT,
            matched: ROOT,
        }
    }
}

/// All needles.
pub struct Automaton {
    nodes: Vec<Node>,
    /// Transitions of the root.
    first: [State; 256],
}

impl Automaton {
    /// Looks for these. None is empty.
    pub fn new(needles: &BTreeMap<Vec<u8>, Gaps>) -> Self {
        let mut automaton = Self {
            nodes: vec![Node::new(0, 0)],
            first: [ROOT; 256],
        };
        for (bytes, gaps) in needles {
            automaton.insert(bytes, *gaps);
        }
        automaton.link();
        automaton
    }

    /// The state after this byte.
    pub fn step(&self, mut state: State, byte: u8) -> State {
        while state != ROOT {
            let next = self.child(state, byte);
            if next != NONE {
                return next;
            }
            state = self.nodes[state as usize].shorter;
        }
        self.first[usize::from(byte)]
    }

    /// How many bytes of a needle this state has read.
    pub fn depth(&self, state: State) -> usize {
        self.nodes[state as usize].depth as usize
    }

    /// The longest end of what was read that can still become a needle.
    pub fn alive(&self, state: State) -> State {
        self.nodes[state as usize].alive
    }

    /// The state after a blank.
    pub fn after_blank(&self, state: State) -> State {
        self.nodes[state as usize].after_blank
    }

    /// The needles that end here, the longest first: how long they are, and where they allow blanks.
    pub fn matches(&self, state: State) -> impl Iterator<Item = (usize, Gaps)> {
        let first = self.nodes[state as usize].matched;
        let next = |state: &State| {
            let shorter = self.nodes[*state as usize].shorter;
            Some(self.nodes[shorter as usize].matched)
        };
        std::iter::successors(Some(first), next)
            .take_while(|state| *state != ROOT)
            .filter_map(|state| Some((self.depth(state), self.nodes[state as usize].ends?)))
    }

    fn child(&self, state: State, byte: u8) -> State {
        let mut child = self.nodes[state as usize].child;
        while child != NONE && self.nodes[child as usize].byte != byte {
            child = self.nodes[child as usize].sibling;
        }
        child
    }

    fn insert(&mut self, bytes: &[u8], gaps: Gaps) {
        let mut state = ROOT;
        for (depth, &byte) in bytes.iter().enumerate() {
            self.nodes[state as usize].is_gap |= depth > 0 && gaps.allows(depth);
            state = match self.child(state, byte) {
                NONE => self.grow(state, byte),
                child => child,
            };
        }
        self.nodes[state as usize].ends = Some(gaps);
    }

    fn grow(&mut self, parent: State, byte: u8) -> State {
        let child = State::try_from(self.nodes.len()).expect("secrets are of less than 4 GB");
        let depth = self.nodes[parent as usize].depth + 1;
        let mut node = Node::new(byte, depth);
        node.sibling = std::mem::replace(&mut self.nodes[parent as usize].child, child);
        self.nodes.push(node);
        if parent == ROOT {
            self.first[usize::from(byte)] = child;
        }
        child
    }

    /// Links each state with shorter ones, which are linked before.
    fn link(&mut self) {
        let mut order = vec![ROOT];
        let mut done = 0;
        while let Some(&parent) = order.get(done) {
            done += 1;
            let mut child = self.nodes[parent as usize].child;
            while child != NONE {
                self.link_child(parent, child);
                order.push(child);
                child = self.nodes[child as usize].sibling;
            }
        }
    }

    fn link_child(&mut self, parent: State, child: State) {
        let byte = self.nodes[child as usize].byte;
        let shorter = match parent {
            ROOT => ROOT,
            _ => self.step(self.nodes[parent as usize].shorter, byte),
        };
        let (alive, after_blank, matched) = {
            let node = &self.nodes[shorter as usize];
            (node.alive, node.after_blank, node.matched)
        };
        let node = &mut self.nodes[child as usize];
        node.shorter = shorter;
        node.alive = if node.child == NONE { alive } else { child };
        node.after_blank = if node.is_gap { child } else { after_blank };
        node.matched = if node.ends.is_some() { child } else { matched };
    }
}
