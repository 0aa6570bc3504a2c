//! How things look on a terminal.

use std::time::Duration;

use outrider_model::{Outcome, Status, Timestamp};
use serde::Serialize;

/// A table whose columns are as wide as they must be.
pub struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table with these headings.
    pub fn new(headings: [&str; N]) -> Self {
        Self {
            rows: vec![headings.map(str::to_owned)],
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    /// Prints it; or a sentence if it has no rows.
    pub fn print(&self, empty: &str) {
        if self.rows.len() == 1 {
            println!("{empty}");
            return;
        }
        let width = |column: usize| {
            self.rows
                .iter()
                .map(|row| row[column].chars().count())
                .max()
        };
        let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
        for row in &self.rows {
            let cells = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:<width$}"));
            println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
    }
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => println!("{text}"),
        Err(error) => eprintln!("error: cannot write JSON: {error}"),
    }
}

/// A sign for a status that also reads without colour.
pub const fn sign(status: Status) -> &'static str {
    match status {
        Status::Blocked => "·",
        Status::Queued => "…",
        Status::Running => "▶",
        Status::Finished(Outcome::Passed) => "✓",
        Status::Finished(Outcome::NotRun) => "-",
        Status::Finished(_) => "✗",
    }
}

/// A time span as people read it: `0.3s`, `12s`, `4m10s`.
pub fn time(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{:.1}s", duration.as_secs_f64())
    } else if duration < Duration::from_secs(60) {
        format!("{}s", duration.as_secs())
    } else if duration < Duration::from_secs(3_600) {
        format!(
            "{}m{:02}s",
            duration.as_secs() / 60,
            duration.as_secs() % 60
        )
    } else {
        format!(
            "{}h{:02}m",
            duration.as_secs() / 3_600,
            duration.as_secs() / 60 % 60
        )
    }
}

/// From one time to another, if both are known.
pub fn between(start: Option<Timestamp>, end: Option<Timestamp>) -> String {
    match (start, end) {
        (Some(start), Some(end)) => time(end.since(start)),
        _ => String::new(),
    }
}
