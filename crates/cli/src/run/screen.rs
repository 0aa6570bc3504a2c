//! How a pipeline looks while it runs: redrawn in place on a terminal, plain lines in a pipe, or
//! one JSON event a line.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use outrider_api::pipelines::{Job, Pipeline, PipelineDetail, PipelineEvent};
use outrider_model::plan::JobType;
use outrider_model::reason::EndReason;
use outrider_model::report::{Exit, StepReport};
use outrider_model::{JobId, Outcome, Status, TaskId, Timestamp};
use outrider_service::{Clock, SystemClock};
use serde_json::json;

use crate::show::{self, say};

/// A job as it is shown.
pub struct JobLine {
    id: JobId,
    name: String,
    parallelism: u32,
    tasks_finished: u32,
    status: Status,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

impl JobLine {
    /// The line of a job; with its workflow's name where there are several workflows.
    pub fn new(job: &Job, workflow: Option<&String>) -> Self {
        Self {
            id: job.id,
            name: workflow.map_or_else(
                || job.name.clone(),
                |workflow| format!("{workflow}/{}", job.name),
            ),
            parallelism: job.parallelism,
            tasks_finished: 0,
            // What happened before the first event is in the events too.
            status: if job.requires.is_empty() && job.job_type == JobType::Build {
                Status::Queued
            } else {
                Status::Blocked
            },
            started_at: None,
            finished_at: None,
        }
    }

    fn text(&self, width: usize, now: Timestamp) -> String {
        let time = show::between(self.started_at, Some(self.finished_at.unwrap_or(now)));
        let tasks = match self.parallelism {
            1 => String::new(),
            many => format!("  {}/{many} tasks", self.tasks_finished),
        };
        let sign = show::sign(self.status);
        let name = show::shortened(&self.name, width);
        let status = show::status(self.status);
        let line = format!("{sign} {name:<width$}  {status:<9} {time:>7}{tasks}");
        line.trim_end().to_owned()
    }
}

/// Where it is shown.
enum Kind {
    Terminal {
        all: MultiProgress,
        lines: Vec<ProgressBar>,
        /// Whether a question stands where the lines are.
        asking: bool,
    },
    Plain,
    Json,
}

/// What is shown.
pub struct Screen {
    kind: Kind,
    jobs: Vec<JobLine>,
    width: usize,
    color: bool,
}

impl Screen {
    /// The screen that fits where the output goes.
    pub fn new(json: bool) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let kind = match (json, terminal) {
            (true, _) => Kind::Json,
            (false, true) => Kind::Terminal {
                all: MultiProgress::with_draw_target(ProgressDrawTarget::stdout()),
                lines: Vec::new(),
                asking: false,
            },
            (false, false) => Kind::Plain,
        };
        Self {
            kind,
            jobs: Vec::new(),
            width: 0,
            color: terminal && !json,
        }
    }

    /// A pipeline begins.
    pub fn start(&mut self, pipeline: &Pipeline, jobs: Vec<JobLine>) {
        match &self.kind {
            Kind::Json => line(&json!({
                "event": "pipeline", "id": pipeline.id, "number": pipeline.number,
                "project": pipeline.trigger.project, "jobs": jobs.len(),
            })),
            Kind::Plain | Kind::Terminal { .. } => {
                say!("pipeline {} #{}", pipeline.trigger.project, pipeline.number);
            }
        }
        self.add(jobs);
    }

    /// There are more jobs.
    pub fn add(&mut self, jobs: Vec<JobLine>) {
        if let Kind::Terminal { all, lines, .. } = &mut self.kind {
            let style = ProgressStyle::with_template("{msg}");
            for _ in &jobs {
                let bar = all.add(ProgressBar::new_spinner());
                if let Ok(style) = &style {
                    bar.set_style(style.clone());
                }
                lines.push(bar);
            }
        }
        self.jobs.extend(jobs);
        let longest = self.jobs.iter().map(|job| job.name.chars().count()).max();
        self.width = longest.unwrap_or(0).min(self.room_for_names(&self.jobs));
        self.tick();
    }

    /// Asks a question, below where the jobs stand now. Nothing is redrawn until it is answered: see
    /// [`Screen::asked`].
    pub fn ask(&mut self, question: &str) {
        if let Kind::Terminal { all, asking, .. } = &mut self.kind {
            // A line that cannot be taken away is there twice, which does no harm.
            let _ = all.clear();
            all.set_draw_target(ProgressDrawTarget::hidden());
            *asking = true;
            let now = SystemClock.now();
            for job in &self.jobs {
                say!("{}", job.text(self.width, now));
            }
        }
        let mut out = std::io::stdout().lock();
        let _ = write!(out, "{question}").and_then(|()| out.flush());
    }

    /// No question is open.
    pub fn asked(&mut self) {
        if let Kind::Terminal { all, asking, .. } = &mut self.kind
            && std::mem::take(asking)
        {
            all.set_draw_target(ProgressDrawTarget::stdout());
            self.tick();
        }
    }

    /// How many columns a name can have. A line that is redrawn must not be wider than the
    /// terminal; one that is printed may be.
    fn room_for_names(&self, jobs: &[JobLine]) -> usize {
        let Kind::Terminal { .. } = self.kind else {
            return usize::MAX;
        };
        let columns = rustix::termios::tcgetwinsize(std::io::stdout())
            .map_or(80, |size| usize::from(size.ws_col));
        let digits = jobs.iter().map(|job| job.parallelism.to_string().len());
        let tasks = match digits.max() {
            Some(digits) if jobs.iter().any(|job| job.parallelism > 1) => 2 * digits + 9,
            _ => 0,
        };
        // Sign, status, time and what stands between.
        columns.saturating_sub(2 + 2 + 9 + 1 + 7 + tasks + 1).max(8)
    }

    /// Draws running times anew.
    pub fn tick(&mut self) {
        let Kind::Terminal { lines, .. } = &self.kind else {
            return;
        };
        let now = SystemClock.now();
        for (job, line) in self.jobs.iter().zip(lines) {
            let text = job.text(self.width, now);
            line.set_message(if self.color {
                paint(job.status, &text)
            } else {
                text
            });
            line.tick();
        }
    }

    /// A job changed its status.
    pub fn job_changed(&mut self, id: JobId, event: &PipelineEvent) {
        let width = self.width;
        let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) else {
            return;
        };
        job.status = event.status;
        match event.status {
            Status::Running => job.started_at = job.started_at.or(Some(event.at)),
            Status::Finished(_) => job.finished_at = Some(event.at),
            Status::Blocked | Status::Queued | Status::OnHold => {}
        }
        match self.kind {
            Kind::Json => line(&json!({
                "event": "job", "id": id, "job": job.name, "status": event.status, "at": event.at,
            })),
            Kind::Plain => say!("{}", job.text(width, event.at)),
            Kind::Terminal { .. } => self.tick(),
        }
    }

    /// A task of a job changed its status.
    pub fn task_changed(&mut self, id: JobId, task: TaskId, event: &PipelineEvent) {
        let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) else {
            return;
        };
        if event.status.outcome().is_some() {
            job.tasks_finished += 1;
        }
        if matches!(self.kind, Kind::Json) {
            line(&json!({
                "event": "task", "id": task, "job": job.name, "status": event.status, "at": event.at,
            }));
        }
    }

    /// A task in people's words: `test`, or `test 2/4`.
    pub fn task_name(&self, id: JobId, index: u32) -> String {
        match self.jobs.iter().find(|job| job.id == id) {
            Some(job) if job.parallelism > 1 => {
                format!("{} {}/{}", job.name, index + 1, job.parallelism)
            }
            Some(job) => job.name.clone(),
            None => id.to_string(),
        }
    }

    /// What a step wrote.
    pub fn step_output(&self, task: &str, step: &StepReport, output: &[u8]) {
        if matches!(self.kind, Kind::Json) {
            let text = String::from_utf8_lossy(output);
            return line(&json!({
                "event": "output", "task": task, "step": step.name, "index": step.index, "text": text,
            }));
        }
        let heading = format!("── {task} › {}{}", step.name, how_it_ended(step));
        self.print(|out| {
            writeln!(out, "{heading}")?;
            out.write_all(output)?;
            if output.last().is_some_and(|byte| *byte != b'\n') {
                writeln!(out)?;
            }
            Ok(())
        });
    }

    /// Why a task ended.
    pub fn ended(&self, task: &str, reason: &EndReason) {
        if matches!(self.kind, Kind::Json) {
            let text = reason.to_string();
            let advice = reason.advice();
            return line(
                &json!({ "event": "reason", "task": task, "reason": text, "advice": advice }),
            );
        }
        let why = show::hanging(reason, "   ");
        self.print(|out| writeln!(out, "── {task}: {why}\n   {}", reason.advice()));
    }

    /// The pipeline has ended.
    pub fn finish(&mut self, pipeline: &PipelineDetail, took: Duration, exit_code: u8) {
        self.asked();
        self.tick();
        let status = pipeline.pipeline.status;
        if matches!(self.kind, Kind::Json) {
            return line(&json!({
                "event": "end", "status": status, "duration_ms": took.as_millis() as u64,
                "exit_code": exit_code,
            }));
        }
        if let Kind::Terminal { lines, .. } = &self.kind {
            lines.iter().for_each(ProgressBar::abandon);
        }
        if pipeline.workflows.len() > 1 {
            for workflow in &pipeline.workflows {
                self.conclude(workflow.status, &format!("workflow {}", workflow.name), "");
            }
        }
        self.conclude(status, "pipeline", &format!(" in {}", show::time(took)));
    }

    /// How something has ended, in a line.
    fn conclude(&self, status: Status, what: &str, more: &str) {
        let (sign, word) = (show::sign(status), show::status(status));
        let text = format!("{sign} {what} {word}{more}");
        say!(
            "{}",
            if self.color {
                paint(status, &text)
            } else {
                text
            }
        );
    }

    /// Prints above the lines that are redrawn.
    fn print(&self, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) {
        let print = || {
            let mut out = std::io::stdout().lock();
            // A reader that went away is no reason to stop the pipeline.
            let _ = write(&mut out).and_then(|()| out.flush());
        };
        match &self.kind {
            Kind::Terminal { all, .. } => all.suspend(print),
            Kind::Plain | Kind::Json => print(),
        }
    }
}

fn line(value: &serde_json::Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{value}");
}

fn how_it_ended(step: &StepReport) -> String {
    let Some(end) = &step.ended else {
        return String::new();
    };
    let how = match end.exit {
        Some(Exit::Code(0)) | None => show::status(Status::Finished(end.outcome)).to_owned(),
        Some(Exit::Code(code)) => format!("exit {code}"),
        Some(Exit::Signal(signal)) => format!("signal {signal}"),
    };
    format!(" ({how}, {})", show::time(end.duration))
}

fn paint(status: Status, text: &str) -> String {
    let color = match status {
        Status::Finished(Outcome::Passed) => "32",
        Status::Finished(Outcome::NotRun) | Status::Blocked | Status::Queued => "2",
        Status::Finished(_) => "31",
        Status::Running | Status::OnHold => "33",
    };
    format!("\u{1b}[{color}m{text}\u{1b}[0m")
}
