//! One config, compiled again and again.

use outrider_config::{Limits, Options, SourceFile, compile};
use saphyr_parser::Parser;
use tokio::time::Instant;

use super::super::memory::{self, PEAK, RESIDENT};
use super::super::table::percentile;
use super::sample;
use crate::failure::{Failure, code};

/// What a config of some length costs.
pub struct Measured {
    pub lines: usize,
    /// Jobs of all workflows of the plan.
    pub jobs: usize,
    pub source_mb: f64,
    /// What a compilation adds to the memory of the process at most.
    pub peak_mb: f64,
    pub compile: Times,
    /// The floor: the YAML parser alone, which only tells what it sees.
    pub events: Times,
}

/// Milliseconds.
pub struct Times {
    pub p50: f64,
    pub p99: f64,
}

impl Measured {
    /// Measures so many rounds of a config of about so many lines.
    pub fn new(lines: usize, rounds: usize) -> Result<Self, Failure> {
        let source = SourceFile::new("config.yml", sample::config(lines));
        let options = options()?;
        let before = memory::kb_of_this_process(RESIDENT)?;
        memory::forget_peak()?;
        let jobs = count_jobs(&source, &options)?;
        let peak_kb = memory::kb_of_this_process(PEAK)? - before;
        Ok(Self {
            lines: source.text.lines().count(),
            jobs,
            source_mb: source.text.len() as f64 / 1e6,
            peak_mb: peak_kb / 1024.0,
            compile: times(rounds, || count_jobs(&source, &options).map(drop))?,
            events: times(rounds, || events(&source.text))?,
        })
    }

    pub fn lines_per_second(&self) -> f64 {
        self.lines as f64 / self.compile.p50 * 1e3
    }

    pub fn us_per_line(&self) -> f64 {
        self.compile.p50 * 1e3 / self.lines as f64
    }
}

/// Options for a branch on which all jobs run, and limits that let the longest config through.
fn options() -> Result<Options, Failure> {
    let mut options = Options::new(super::super::platform::class()?);
    options.values.git_branch = Some("main".to_owned());
    let limits = Limits::default();
    options.limits = Limits {
        bytes: limits.bytes * 100,
        nodes: limits.nodes * 100,
        expansion: limits.expansion * 100,
        jobs: limits.jobs * 100,
        ..limits
    };
    Ok(options)
}

/// Compiles a config; how many jobs its plan has.
fn count_jobs(source: &SourceFile, options: &Options) -> Result<usize, Failure> {
    match compile(source, options) {
        Ok(compiled) => Ok(compiled.plan.workflows.iter().map(|it| it.jobs.len()).sum()),
        Err(errors) => Err(Failure::new(code::INTERNAL, errors.render(source, false))),
    }
}

fn events(text: &str) -> Result<(), Failure> {
    for event in Parser::new_from_str(text) {
        event.map_err(|error| Failure::internal("parse YAML", error))?;
    }
    Ok(())
}

fn times(rounds: usize, work: impl Fn() -> Result<(), Failure>) -> Result<Times, Failure> {
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let started = Instant::now();
        work()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Times {
        p50: percentile(&mut times, 0.5),
        p99: percentile(&mut times, 0.99),
    })
}
