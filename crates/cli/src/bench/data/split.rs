//! Splitting many tests by how long they took.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use outrider_test_data::{TestResult, stored};
use tokio::time::Instant;

use crate::bench::child::this_program;
use crate::bench::table::percentile;
use crate::failure::{Failure, code};

/// How many names are split.
const NAMES: usize = 100_000;

/// Over so many tasks.
const NODES: usize = 50;

/// How often it is measured.
const TURNS: usize = 5;

/// Medians in seconds.
pub struct Measured {
    /// How many names there are.
    pub names: usize,
    /// `circleci tests split`, from the start of its process to its end.
    pub seconds: f64,
    /// `sort` of the same names.
    pub sort: f64,
}

/// Measures in this folder.
pub fn measure(folder: &Path, scale: usize) -> Result<Measured, Failure> {
    let names = NAMES / scale;
    write_files(folder, names).map_err(|error| Failure::cannot_write(folder.display(), error))?;
    let mut split = Command::new(this_program()?);
    split
        .args(["helper", "tests", "split", "--split-by=timings"])
        .args(["--timings-type=testname", "--timings-file=timings"])
        .arg(format!("--total={NODES}"));
    let mut sort = Command::new("sort");
    sort.env("LC_ALL", "C");
    let (mut times, mut floors) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let index = turn * (NODES - 1) / (TURNS - 1);
        times.push(timed(
            folder,
            split.env("CIRCLE_NODE_INDEX", index.to_string()),
        )?);
        if lines(folder)? < names / NODES / 10 {
            let text = "the split gave too few names";
            return Err(Failure::new(code::FAILED, text));
        }
        floors.push(timed(folder, &mut sort)?);
    }
    Ok(Measured {
        names,
        seconds: percentile(&mut times, 0.5),
        sort: percentile(&mut floors, 0.5),
    })
}

/// Names as test frameworks have them, and the results of an earlier run.
fn write_files(folder: &Path, count: usize) -> io::Result<()> {
    let mut names = io::BufWriter::new(File::create(folder.join("names"))?);
    let mut timings = stored::Writer::new(File::create(folder.join("timings"))?)?;
    for number in 0..count {
        // An order that is neither that of the names nor that of the times.
        let number = number * 7_919 % count;
        let module = number / 25;
        let name = format!("tests.unit.module_{module}.TestCase.test_behaviour_{number:06}");
        writeln!(names, "{name}")?;
        timings.write(&TestResult {
            suite: "pytest".to_owned(),
            classname: format!("tests.unit.module_{module}.TestCase"),
            name,
            file: Some(format!("tests/unit/module_{module}.py")),
            time: Duration::from_micros(500 + (number as u64 * 104_729) % 3_000_000),
            ..TestResult::default()
        })?;
    }
    timings.finish()?.sync_all()?;
    names.flush()
}

/// Seconds of a process that gets the names and prints to a file.
fn timed(folder: &Path, command: &mut Command) -> Result<f64, Failure> {
    let failed = |error| Failure::internal("run a measured process", error);
    command
        .current_dir(folder)
        .stdin(File::open(folder.join("names")).map_err(failed)?)
        .stdout(File::create(folder.join("share")).map_err(failed)?)
        .stderr(Stdio::inherit());
    let started = Instant::now();
    let status = command.status().map_err(failed)?;
    if !status.success() {
        return Err(Failure::new(code::FAILED, "a measured process failed"));
    }
    Ok(started.elapsed().as_secs_f64())
}

fn lines(folder: &Path) -> Result<usize, Failure> {
    let share = fs::read(folder.join("share"));
    let share = share.map_err(|error| Failure::internal("read names", error))?;
    Ok(share.iter().filter(|byte| **byte == b'\n').count())
}
