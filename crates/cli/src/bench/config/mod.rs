//! `outrider bench config`

mod measure;
mod sample;

use serde_json::json;

use super::BenchArgs;
use super::table::{self, Figure, rounded};
use crate::failure::Failure;
use measure::Measured;

/// Measures and prints. Short and long configs show how the cost grows.
pub fn run(args: BenchArgs) -> Result<(), Failure> {
    let rounds = if args.quick { 10 } else { 100 };
    let short = Measured::new(1_000, rounds)?;
    let here = Measured::new(10_000, rounds)?;
    let long = Measured::new(100_000, rounds / 10)?;
    if args.json {
        crate::show::json(&json!({ "config": {
            "lines": here.lines,
            "jobs": here.jobs,
            "ms": { "p50": rounded(here.compile.p50), "p99": rounded(here.compile.p99) },
            "lines_per_second": rounded(here.lines_per_second()),
            "peak_mb": rounded(here.peak_mb),
            "us_per_line": {
                "at_1000": rounded(short.us_per_line()),
                "at_10000": rounded(here.us_per_line()),
                "at_100000": rounded(long.us_per_line()),
            },
            "floors": {
                "yaml_events_ms": { "p50": rounded(here.events.p50), "p99": rounded(here.events.p99) },
                "source_mb": rounded(here.source_mb),
            },
        }}));
        return Ok(());
    }
    table::print("config", &figures(&short, &here, &long));
    Ok(())
}

fn figures(short: &Measured, here: &Measured, long: &Measured) -> [Figure; 5] {
    let growth = |name, it: &Measured| Figure {
        name,
        value: format!(
            "{:.2} ms, {:.2} us a line",
            it.compile.p50,
            it.us_per_line()
        ),
        floor: format!("at 10,000 lines {:.2} us a line", here.us_per_line()),
        ratio: Some(it.us_per_line() / here.us_per_line()),
        target: "ratio 1.2",
    };
    let speed = here.lines_per_second();
    [
        Figure {
            name: "10,000 lines to a plan, p50",
            value: format!("{:.2} ms, {speed:.0} lines/s", here.compile.p50),
            floor: format!("YAML events alone {:.2} ms", here.events.p50),
            ratio: Some(here.compile.p50 / here.events.p50),
            target: "50 ms",
        },
        Figure {
            name: "10,000 lines to a plan, p99",
            value: format!("{:.2} ms", here.compile.p99),
            floor: format!("YAML events alone {:.2} ms", here.events.p99),
            ratio: Some(here.compile.p99 / here.events.p99),
            target: "50 ms",
        },
        Figure {
            name: "memory at the peak, plan included",
            value: format!("{:.1} MB for {} jobs", here.peak_mb, here.jobs),
            floor: format!("the source {:.2} MB", here.source_mb),
            ratio: Some(here.peak_mb / here.source_mb),
            target: "",
        },
        growth("1,000 lines", short),
        growth("100,000 lines", long),
    ]
}
