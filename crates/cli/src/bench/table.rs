//! Figures beside their floors.

use crate::show::Table;

/// One figure.
pub struct Figure {
    /// What was measured.
    pub name: &'static str,
    /// The figure with its unit.
    pub value: String,
    /// The floor's name and its figure, measured in the same run.
    pub floor: String,
    /// The figure in relation to the floor.
    pub ratio: Option<f64>,
    /// What is asked for.
    pub target: &'static str,
}

/// Prints figures as a table.
pub fn print(title: &str, figures: &[Figure]) {
    println!("{title}");
    let mut table = Table::new(["MEASURE", "HERE", "FLOOR, SAME RUN", "RATIO", "TARGET"]);
    for figure in figures {
        table.row([
            figure.name.to_owned(),
            figure.value.clone(),
            figure.floor.clone(),
            figure
                .ratio
                .map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            figure.target.to_owned(),
        ]);
    }
    table.print("Nothing was measured.");
}

/// To a sensible number of digits.
pub fn rounded(value: f64) -> f64 {
    let digits = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 1.0 {
        2
    } else {
        3
    };
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

/// The value below which this share of all lies.
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let at = (last as f64 * share).ceil() as usize;
    values.get(at).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(super::percentile(&mut values, 0.5), 51.0);
        assert_eq!(super::percentile(&mut values, 0.99), 100.0);
    }
}
