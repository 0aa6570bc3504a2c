//! `triggers` of a workflow: when it runs by itself.

use std::ops::RangeInclusive;

use super::Reader;
use super::keys::{SCHEDULE, TRIGGER};
use crate::diagnostic::{code, error};
use crate::expanded::Schedule;
use crate::yaml::Node;

/// The fields of a line of cron: what they are called, and from where to where they go.
const FIELDS: [(&str, RangeInclusive<u32>); 5] = [
    ("minute", 0..=59),
    ("hour", 0..=23),
    ("day of the month", 1..=31),
    ("month", 1..=12),
    ("day of the week", 0..=7),
];

/// Names that may stand for numbers, by the index of their field; each from its number on.
const NAMES: [(usize, u32, &[&str]); 2] = [
    (
        3,
        1,
        &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    ),
    (4, 0, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

impl Reader<'_> {
    pub(crate) fn schedules(self, node: &Node) -> Vec<Schedule> {
        let items = self.sequence(node, "`triggers`");
        let items = items.map(|items| items.as_slice()).unwrap_or_default();
        items.iter().filter_map(|it| self.schedule(it)).collect()
    }

    fn schedule(self, node: &Node) -> Option<Schedule> {
        let trigger = self.mapping(node, "an entry of `triggers`")?;
        self.check_keys(trigger, &TRIGGER);
        let schedule = self.required_key(trigger, "schedule", node.span)?;
        let body = self.mapping(schedule, "`schedule`")?;
        self.check_keys(body, &SCHEDULE);
        let filters = self.required_key(body, "filters", schedule.span);
        let branches = filters.and_then(|filters| self.schedule_filters(filters));
        let cron = self.required_key(body, "cron", schedule.span)?;
        let cron = self.cron(cron)?;
        Some(Schedule {
            cron,
            branches: branches?,
        })
    }

    fn cron(self, node: &Node) -> Option<String> {
        let text = self.name(node, "`cron`")?;
        if let Err(reason) = check(&text) {
            let message = format!("`{text}` is no schedule: {reason}");
            self.report(error(code::BAD_CRON, node.span, message).help(
                "write minute, hour, day of the month, month and day of the week: `0 2 * * 1-5`",
            ));
            return None;
        }
        Some(text)
    }
}

/// What is wrong with the five fields of a schedule.
fn check(cron: &str) -> Result<(), String> {
    let fields: Vec<_> = cron.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(format!("it has {} fields, not 5", fields.len()));
    }
    for (index, field) in fields.into_iter().enumerate() {
        for part in field.split(',') {
            check_part(index, part)?;
        }
    }
    Ok(())
}

/// `*`, `5`, `1-5`, each with or without a step: `*/10`.
fn check_part(index: usize, part: &str) -> Result<(), String> {
    let (name, bounds) = &FIELDS[index];
    let wrong = || format!("the {name} cannot be `{part}`");
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (part, None),
    };
    if let Some(step) = step {
        let step = step.parse::<u32>().ok();
        let fits = |step: &u32| *step >= 1 && step <= bounds.end();
        step.filter(fits).ok_or_else(wrong)?;
    }
    if range == "*" {
        return Ok(());
    }
    let number = |text| number(index, text).filter(|value| bounds.contains(value));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let ends = number(first).zip(number(last));
    ends.filter(|(first, last)| first <= last)
        .map(|_| ())
        .ok_or_else(wrong)
}

fn number(index: usize, text: &str) -> Option<u32> {
    let named = NAMES.iter().filter(|(field, ..)| *field == index);
    let mut named = named.filter_map(|(_, first, names)| {
        let at = names
            .iter()
            .position(|name| text.eq_ignore_ascii_case(name))?;
        Some(first + u32::try_from(at).ok()?)
    });
    let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    named
        .next()
        .or_else(|| text.parse().ok().filter(|_| digits))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn five_fields_within_their_bounds() {
        for right in [
            "0 0 * * *",
            "*/10 1-5,22 1,15 JAN-mar 7",
            "59 23 31 12 sun",
            "0-30/5 * * * MON-FRI",
        ] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
        for wrong in [
            "",
            "0 0 * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "*/0 * * * *",
            "5-1 * * * *",
            "a * * * *",
            "+1 * * * *",
            "1, * * * *",
            "@daily",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
