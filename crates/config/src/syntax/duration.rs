//! Durations: `10m`, `1.5h`, `1h30m`, `500ms`.

use std::time::Duration;

use super::Reader;
use crate::diagnostic::{code, error, warning};
use crate::yaml::Node;

/// The longest duration that makes sense here; it keeps arithmetic far from overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

impl Reader<'_> {
    pub(crate) fn duration(self, node: &Node, what: &str) -> Option<Duration> {
        let text = self.text(node, what)?;
        if self.unknown(node) {
            return None;
        }
        if let Some(seconds) = parse(&format!("{text}s")).filter(|_| is_number(&text)) {
            let message = format!("{what} has no unit: it is taken for seconds");
            let help = format!("say the unit: `{text}s`, `{text}m` or `{text}h`");
            self.report(warning(code::BAD_DURATION, node.span, message).help(help));
            return Some(seconds);
        }
        let duration = parse(&text);
        if duration.is_none() {
            let message = format!("{what} cannot be `{text}`");
            self.report(
                error(code::BAD_DURATION, node.span, message)
                    .help("write a number and a unit: `30s`, `20m`, `1.5h`, `1h30m`"),
            );
        }
        duration
    }
}

fn is_number(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// Go's format, without signs; also with spaces around the numbers.
fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        total += number.parse::<f64>().ok()? * seconds(unit)?;
        rest = after.trim_start();
    }
    let valid = !text.trim().is_empty() && (0.0..=LONGEST.as_secs_f64()).contains(&total);
    // Whole milliseconds: what a plan keeps.
    valid.then(|| Duration::from_millis((total * 1000.0).round() as u64))
}

fn seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" => 0.001,
        "us" | "µs" | "μs" => 1e-6,
        "ns" => 1e-9,
        "s" | "sec" | "second" | "seconds" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_writes() {
        let millis = |text| parse(text).map(|duration| duration.as_millis());
        assert_eq!(millis("10m"), Some(600_000));
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis("1.5h"), Some(5_400_000));
        assert_eq!(millis("500ms"), Some(500));
        assert_eq!(millis("20 minutes"), Some(1_200_000));
        assert_eq!(millis("0s"), Some(0));
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "10",
            "m",
            "-1m",
            "1.2.3s",
            "5 parsecs",
            "99999999h",
            "1m x",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
