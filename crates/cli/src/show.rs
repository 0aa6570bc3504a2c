//! How things look on a terminal.

use std::time::Duration;

use outrider_api::pipelines::Canceled;
use outrider_model::{Outcome, Status, Timestamp};
use serde::Serialize;

/// Prints a line to stdout. A reader that went away is no reason to fail, nor to stop what runs.
macro_rules! say {
    ($($arguments:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout().lock(), $($arguments)*);
    }};
}

/// The same to stderr: what people want to know and scripts do not read.
macro_rules! hint {
    ($($arguments:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr().lock(), $($arguments)*);
    }};
}

pub(crate) use {hint, say};

/// A text of a job's, which might say more to a terminal than to a reader: control characters but
/// tabs are escaped.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => plain.push(c),
            c if c.is_control() => plain.extend(c.escape_default()),
            c => plain.push(c),
        }
    }
    plain
}

/// A text that may have several lines, as part of what is indented: all but the first begin with
/// `indent`.
pub fn hanging(text: &impl std::fmt::Display, indent: &str) -> String {
    text.to_string().replace('\n', &format!("\n{indent}"))
}

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
            say!("{empty}");
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
            say!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
    }
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => say!("{text}"),
        Err(error) => hint!("error: cannot write JSON: {error}"),
    }
}

/// A status in people's words.
pub const fn status(status: Status) -> &'static str {
    match status {
        Status::Finished(Outcome::NotRun) => "not run",
        Status::Finished(Outcome::TimedOut) => "timed out",
        Status::OnHold => "on hold",
        other => other.as_str(),
    }
}

/// A name that has at most so many columns; what is left out of its middle shows as `…`.
pub fn shortened(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width {
        return name.to_owned();
    }
    let tail = width / 3;
    let head = width.saturating_sub(tail + 1);
    let start = name.chars().take(head);
    let end = name.chars().skip(length - tail);
    start.chain(['…']).chain(end).collect()
}

/// What a cancel did, in a sentence.
pub fn canceled(canceled: &Canceled) -> String {
    let tasks = |number: u64| match number {
        1 => "1 task".to_owned(),
        many => format!("{many} tasks"),
    };
    match (u64::from(canceled.ended), u64::from(canceled.stopping)) {
        (0, 0) => "nothing to cancel: it has ended".to_owned(),
        (ended, 0) => format!("canceled {} that had not started", tasks(ended)),
        (0, stopping) => format!("stopping {}", tasks(stopping)),
        (ended, stopping) => format!(
            "canceled {} that had not started, stopping {}",
            tasks(ended),
            tasks(stopping)
        ),
    }
}

/// How many tasks something runs at once.
pub fn tasks_at_once(slots: usize) -> String {
    match slots {
        1 => "one task at a time".to_owned(),
        many => format!("{many} tasks at once"),
    }
}

/// A sign for a status that also reads without colour.
pub const fn sign(status: Status) -> &'static str {
    match status {
        Status::Blocked => "·",
        Status::Queued => "…",
        Status::OnHold => "?",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shortened_in_their_middle() {
        assert_eq!(shortened("build", 5), "build");
        assert_eq!(shortened("one/integration-tests", 12), "one/int…ests");
        assert_eq!(shortened("prüfung-größe", 8).chars().count(), 8);
    }

    #[test]
    fn all_lines_but_the_first_are_indented() {
        assert_eq!(hanging(&"why\nwhat to do", "  "), "why\n  what to do");
        assert_eq!(hanging(&"why", "  "), "why");
    }

    #[test]
    fn a_cancel_is_told_in_a_sentence() {
        let told = |ended, stopping| canceled(&Canceled { ended, stopping });
        assert_eq!(told(0, 0), "nothing to cancel: it has ended");
        assert_eq!(told(1, 0), "canceled 1 task that had not started");
        assert_eq!(told(0, 2), "stopping 2 tasks");
    }

    #[test]
    fn a_job_cannot_command_a_terminal() {
        let text = "a\tb \x1b[2Jc\r\u{9b}é";
        assert_eq!(plain(text), "a\tb \\u{1b}[2Jc\\r\\u{9b}é");
    }
}
