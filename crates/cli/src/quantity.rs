//! Quantities as Kubernetes writes them: `400m` processors, `650Mi` of memory.

/// Units, with what each stands for.
const UNITS: [(&str, u128); 12] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
];

/// A number of bytes, more than none: `650Mi`, `1.5Gi`, `2G`, `128974848`; with a `B` at the end
/// too (`650MiB`).
pub fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size: write for example 650Mi, 1.5Gi or 2G");
    let quantity = text.strip_suffix('B').unwrap_or(text);
    let unit = UNITS.iter().find(|(name, _)| quantity.ends_with(name));
    let (name, factor) = unit.copied().unwrap_or(("", 1));
    let number = &quantity[..quantity.len() - name.len()];
    times(number, factor).ok_or_else(wrong)
}

/// Memory of a container: engines refuse less than 6 MiB.
pub fn memory(text: &str) -> Result<u64, String> {
    let bytes = bytes(text)?;
    if bytes < 6 << 20 {
        let advice = "give it 6Mi or more";
        return Err(format!("`{text}` is too little for a container: {advice}"));
    }
    Ok(bytes)
}

/// Thousandths of a processor: `400m`, `2`, `0.5`. Engines refuse less than ten.
pub fn cpu_millis(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no number of processors: write for example 400m, 0.5 or 2");
    let (number, factor) = match text.strip_suffix('m') {
        Some(number) => (number, 1),
        None => (text, 1_000),
    };
    let millis = times(number, factor).ok_or_else(wrong)?;
    if millis < 10 {
        let advice = "give it 10m or more";
        return Err(format!("`{text}` is too little for a container: {advice}"));
    }
    Ok(millis)
}

/// A decimal number times a factor, rounded up.
fn times(number: &str, factor: u128) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let whole: u64 = whole.parse().ok()?;
    let parts = u128::from(whole) * scale + fraction.parse::<u128>().ok()?;
    let product = parts.checked_mul(factor)?.div_ceil(scale);
    u64::try_from(product).ok().filter(|value| *value > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_in_kubernetes() {
        let cases = [
            ("650Mi", 650 << 20),
            ("1Gi", 1 << 30),
            ("1.5Gi", 3 << 29),
            ("2G", 2_000_000_000),
            ("3k", 3_000),
            ("20GiB", 20 << 30),
            ("500MB", 500_000_000),
            ("128974848", 128_974_848),
            ("0.1Ki", 103),
        ];
        for (text, value) in cases {
            assert_eq!(bytes(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn processors_read_as_in_kubernetes() {
        for (text, millis) in [("400m", 400), ("2", 2_000), ("0.5", 500), ("1.25", 1_250)] {
            assert_eq!(cpu_millis(text), Ok(millis), "{text}");
        }
    }

    #[test]
    fn what_no_engine_gives_is_refused() {
        for (text, refused) in [("6Mi", false), ("5.9Mi", true), ("1", true)] {
            assert_eq!(memory(text).is_err(), refused, "{text}");
        }
        for (text, refused) in [("10m", false), ("0.01", false), ("9m", true)] {
            assert_eq!(cpu_millis(text).is_err(), refused, "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_examples() {
        for text in [
            "",
            "Mi",
            "B",
            "-1Gi",
            "1 Gi",
            "1gi",
            "0",
            "0Gi",
            "1.Gi",
            ".5Gi",
            "1e3",
            "99999999Ei",
            "1.2.3Gi",
            "+5",
            "١Gi",
        ] {
            let error = bytes(text).expect_err(text);
            assert!(error.contains("650Mi"), "{error}");
        }
        for text in ["", "m", "0", "0m", "-1", "two", "1.5.2", "1k"] {
            let error = cpu_millis(text).expect_err(text);
            assert!(error.contains("400m"), "{error}");
        }
    }
}
