//! Which version a reference means. Pure.

use outrider_config::OrbVersion;

/// The numbers of a released version; they sort by age.
pub type Release = (u64, u64, u64);

/// `1.2.3`, and nothing else.
pub fn release(text: &str) -> Option<Release> {
    match text.parse() {
        Ok(OrbVersion::Exact(major, minor, patch)) => Some((major, minor, patch)),
        _ => None,
    }
}

/// Whether a release is one of those that are wanted. A development version is no release.
pub const fn fits(wanted: &OrbVersion, (major, minor, patch): Release) -> bool {
    match wanted {
        OrbVersion::Exact(a, b, c) => *a == major && *b == minor && *c == patch,
        OrbVersion::Minor(a, b) => *a == major && *b == minor,
        OrbVersion::Major(a) => *a == major,
        OrbVersion::Volatile => true,
        OrbVersion::Dev(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest(wanted: &str, from: &[Release]) -> Option<Release> {
        let wanted: OrbVersion = wanted.parse().unwrap();
        from.iter()
            .copied()
            .filter(|release| fits(&wanted, *release))
            .max()
    }

    #[test]
    fn the_newest_that_fits_by_number_not_by_text() {
        let releases = [(1, 2, 9), (1, 2, 10), (1, 10, 0), (2, 0, 0), (10, 0, 0)];
        for (wanted, expected) in [
            ("1.2.9", Some((1, 2, 9))),
            ("1.2", Some((1, 2, 10))),
            ("1", Some((1, 10, 0))),
            ("volatile", Some((10, 0, 0))),
            ("3", None),
            ("1.2.11", None),
            ("dev:alpha", None),
        ] {
            assert_eq!(newest(wanted, &releases), expected, "{wanted}");
        }
    }

    #[test]
    fn a_release_has_three_numbers() {
        assert_eq!(release("1.2.3"), Some((1, 2, 3)));
        for text in [
            "1.2",
            "1",
            "volatile",
            "dev:1.2.3",
            "1.2.3-rc",
            "+1.2.3",
            "",
        ] {
            assert_eq!(release(text), None, "{text}");
        }
    }
}
