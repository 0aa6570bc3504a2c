//! For a terminal: each job on a line of its own, under what it waits for longest.

use std::collections::HashMap;

use outrider_config::expanded::{ExpandedJob, ExpandedWorkflow};

use super::Look;
use super::facts::{condition, facts};

/// A tree for each workflow.
pub fn draw(workflows: &[ExpandedWorkflow], look: &Look) -> String {
    let trees = workflows
        .iter()
        .map(|workflow| Tree::new(workflow).draw(look));
    trees.collect::<Vec<_>>().join("\n")
}

/// The jobs of a workflow, each below one of those that it requires.
struct Tree<'a> {
    workflow: &'a ExpandedWorkflow,
    /// The jobs that stand at the top.
    roots: Vec<usize>,
    /// The jobs that stand below each job.
    below: Vec<Vec<usize>>,
    /// The job above each job.
    above: Vec<Option<usize>>,
}

impl<'a> Tree<'a> {
    fn new(workflow: &'a ExpandedWorkflow) -> Self {
        let jobs = &workflow.jobs;
        let index: HashMap<&str, usize> = jobs
            .iter()
            .enumerate()
            .map(|(at, job)| (job.plan.name.as_str(), at))
            .collect();
        let required = |job: &ExpandedJob| -> Vec<usize> {
            let names = job.plan.requires.iter().map(|it| it.job.as_str());
            names.filter_map(|name| index.get(name).copied()).collect()
        };
        let requires: Vec<_> = jobs.iter().map(required).collect();
        let layers = layers(&requires);
        let mut tree = Self {
            workflow,
            roots: vec![],
            below: vec![vec![]; jobs.len()],
            above: vec![],
        };
        for (at, requires) in requires.iter().enumerate() {
            // Of those in the last layer, the one that stands last in the config.
            let last = requires.iter().copied().max_by_key(|on| (layers[*on], *on));
            match last {
                Some(on) => tree.below[on].push(at),
                None => tree.roots.push(at),
            }
            tree.above.push(last);
        }
        tree
    }

    fn draw(&self, look: &Look) -> String {
        let schedules = self.workflow.schedules.iter();
        let schedules: Vec<_> = schedules.map(|it| format!("at {}", it.cron)).collect();
        let mut text = line(look, "", &self.workflow.name, &schedules, BOLD);
        // Depth first, without recursion: a chain of thousands of jobs is drawn too.
        let mut open: Vec<(usize, String, bool)> = vec![];
        push(&mut open, &self.roots, "");
        while let Some((at, prefix, last)) = open.pop() {
            let (branch, indent) = if last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            let job = &self.workflow.jobs[at];
            let notes = [facts(job), self.requirements(at)].concat();
            text += &line(
                look,
                &format!("{prefix}{branch}"),
                &job.plan.name,
                &notes,
                "",
            );
            push(&mut open, &self.below[at], &format!("{prefix}{indent}"));
        }
        text
    }

    /// The names of the jobs above a job, the next one first.
    fn ancestors(&self, at: usize) -> Vec<&'a str> {
        let above = std::iter::successors(self.above[at], |above| self.above[*above]);
        above
            .map(|it| self.workflow.jobs[it].plan.name.as_str())
            .collect()
    }

    /// What a job requires as far as the tree does not show it.
    fn requirements(&self, at: usize) -> Vec<String> {
        const NAMED: usize = 3;
        let requires = &self.workflow.jobs[at].plan.requires;
        let ancestors = self.ancestors(at);
        let implied = ancestors.get(1..).unwrap_or_default();
        let (shown, others): (Vec<_>, Vec<_>) = requires
            .iter()
            .filter(|it| !implied.contains(&it.job.as_str()) || condition(it).is_some())
            .partition(|it| ancestors.first() == Some(&it.job.as_str()));
        let mut notes: Vec<String> = shown.into_iter().filter_map(condition).collect();
        let names: Vec<String> = others
            .iter()
            .map(|other| match condition(other) {
                Some(how) => format!("{} {how}", other.job),
                None => other.job.clone(),
            })
            .collect();
        match names.len() {
            0 => {}
            count if count <= NAMED + 1 => notes.push(format!("also after {}", names.join(", "))),
            count => notes.push(format!(
                "also after {} and {} more",
                names[..NAMED].join(", "),
                count - NAMED
            )),
        }
        notes
    }
}

/// Adds jobs to those that are still to be drawn, the first one on top.
fn push(open: &mut Vec<(usize, String, bool)>, jobs: &[usize], prefix: &str) {
    let last = jobs.len().saturating_sub(1);
    let jobs = jobs.iter().enumerate().rev();
    open.extend(jobs.map(|(place, at)| (*at, prefix.to_owned(), place == last)));
}

/// How many jobs end before each job at least, one after the other.
fn layers(requires: &[Vec<usize>]) -> Vec<usize> {
    let mut layers = vec![0; requires.len()];
    // There is no circle, so this comes to rest after as many rounds as the longest chain has jobs.
    loop {
        let next: Vec<usize> = requires
            .iter()
            .map(|on| on.iter().map(|on| layers[*on] + 1).max().unwrap_or(0))
            .collect();
        if next == layers {
            return layers;
        }
        layers = next;
    }
}

const BOLD: &str = "1";
const DIM: &str = "2";

/// A line: what leads to the name, the name, and notes in brackets as far as there is room.
fn line(look: &Look, lead: &str, name: &str, notes: &[String], style: &str) -> String {
    let name: String = name.chars().map(printable).collect();
    let mut notes = match notes {
        [] => String::new(),
        notes => format!("  ({})", notes.join(", ")),
    };
    notes = notes.chars().map(printable).collect();
    if let Some(width) = look.width {
        let room = width.saturating_sub(lead.chars().count() + name.chars().count());
        notes = cut(&notes, room);
    }
    let (name, notes) = match look.color {
        true => (styled(&name, style), styled(&notes, DIM)),
        false => (name, notes),
    };
    format!("{lead}{name}{notes}\n")
}

fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    const LEAST: usize = 8;
    if room < LEAST {
        return String::new();
    }
    text.chars().take(room - 1).chain(['…']).collect()
}

fn styled(text: &str, style: &str) -> String {
    match text.is_empty() || style.is_empty() {
        true => text.to_owned(),
        false => format!("\u{1b}[{style}m{text}\u{1b}[0m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_in_the_layer_after_all_that_it_requires() {
        let requires = [vec![], vec![0], vec![0, 1], vec![2], vec![]];
        assert_eq!(layers(&requires), [0, 1, 2, 3, 0]);
    }

    #[test]
    fn notes_are_cut_where_there_is_no_room() {
        assert_eq!(cut("  (only tags v1)", 20), "  (only tags v1)");
        assert_eq!(cut("  (only tags v1)", 10), "  (only t…");
        assert_eq!(cut("  (only tags v1)", 4), "");
    }
}
