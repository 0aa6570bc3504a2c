//! What an earlier process of this runner left behind.

use std::collections::BTreeMap;

use outrider_executor::Handle;
use outrider_model::claim::ClaimedTask;
use outrider_model::report::{Finished, LogSpan, StepReport};

use super::Journal;
use super::entry::{Entry, lines};

/// An attempt that the server does not know the end of.
#[derive(Debug)]
pub struct Leftover<J = Journal> {
    /// What was claimed.
    pub task: ClaimedTask,
    /// The name of the runner that claimed it.
    pub runner: String,
    /// Where its processes may still run.
    pub handles: Vec<Handle>,
    /// Its steps, as far as they started.
    pub steps: BTreeMap<u32, StepReport>,
    /// Whose output the log holds.
    pub spans: Vec<LogSpan>,
    /// The first bytes of the log; the rest is in its file.
    pub head: Vec<u8>,
    /// Chaining values of the log's first blocks, which were delivered and may be gone.
    pub blocks: Vec<[u8; 32]>,
    /// How it ended, if it did.
    pub finished: Option<Finished>,
    /// To go on writing.
    pub journal: J,
}

impl Leftover<()> {
    pub(super) fn with(self, journal: Journal) -> Leftover {
        let Self {
            task,
            runner,
            handles,
            steps,
            spans,
            head,
            blocks,
            finished,
            journal: (),
        } = self;
        Leftover {
            task,
            runner,
            handles,
            steps,
            spans,
            head,
            blocks,
            finished,
            journal,
        }
    }

    fn take(&mut self, entry: Entry<'static>) {
        match entry {
            Entry::Claimed { .. } => {}
            Entry::Prepared(handle) => self.handles.push(handle),
            Entry::Step(step) => {
                self.steps.insert(step.index, step.into_owned());
            }
            Entry::Span(span) => self.spans.push(span),
            Entry::Log(chunk) if chunk.offset == self.head.len() as u64 => {
                self.head.extend_from_slice(&chunk.bytes);
            }
            Entry::Log(_) => {}
            Entry::Block(value) => self.blocks.push(value),
            Entry::Finished(finished) => self.finished = Some(finished.into_owned()),
        }
    }
}

/// Reads a journal up to its last whole line, and tells where that ends. None where the file holds
/// no attempt.
pub(super) fn parse(content: &[u8]) -> Option<(Leftover<()>, u64)> {
    let mut lines = lines(content);
    let (Entry::Claimed { task, runner }, mut end) = lines.next()? else {
        return None;
    };
    let mut leftover = Leftover {
        task: task.into_owned(),
        runner: runner.into_owned(),
        handles: Vec::new(),
        steps: BTreeMap::new(),
        spans: Vec::new(),
        head: Vec::new(),
        blocks: Vec::new(),
        finished: None,
        journal: (),
    };
    for (entry, at) in lines {
        leftover.take(entry);
        end = at;
    }
    Some((leftover, end as u64))
}
