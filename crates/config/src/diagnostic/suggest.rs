//! "Did you mean …?"

/// The candidate that `word` is a plausible misspelling of, as a help line.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    closest(word, candidates).map(|found| format!("did you mean `{found}`?"))
}

/// Whether a word is so near to another one that it is probably meant.
pub(crate) fn is_near(word: &str, candidate: &str) -> bool {
    closest(word, [candidate]).is_some()
}

/// The candidate that `word` is a plausible misspelling of.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer words than any name of the language are not compared: the cost is their product.
    const LONGEST: usize = 64;
    if word.len() > LONGEST {
        return None;
    }
    let folded = fold(word);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (distance(&folded, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| distance * 3 <= candidate.len().max(word.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Case and the choice between `-` and `_` are the commonest slips, and cost nothing.
fn fold(word: &str) -> Vec<char> {
    word.chars()
        .map(|c| {
            if c == '-' {
                '_'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

/// Edit distance with transposition of neighbours (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut cells: Vec<usize> = (0..width).collect();
    for i in 1..=a.len() {
        cells.push(i);
        for j in 1..=b.len() {
            let at = |row: usize, column: usize| cells[row * width + column];
            let unequal = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (at(i - 1, j) + 1)
                .min(at(i, j - 1) + 1)
                .min(at(i - 1, j - 1) + unequal);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(at(i - 2, j - 2) + 1);
            }
            cells.push(best);
        }
    }
    cells.last().copied().unwrap_or(0)
}

/// What there is, for a help line: `` `a`, `b` and 3 more ``.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => "none".to_owned(),
        1..=SHOWN => names.join(", "),
        more => format!("{} and {} more", names[..SHOWN].join(", "), more - SHOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_what_is_near() {
        let keys = ["parallelism", "steps", "working_directory", "when"];
        assert_eq!(closest("paralelism", keys), Some("parallelism"));
        assert_eq!(
            closest("working-directory", keys),
            Some("working_directory")
        );
        assert_eq!(closest("setps", keys), Some("steps"));
        assert_eq!(closest("banana", keys), None);
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(list(["a", "b"]), "`a`, `b`");
        assert!(list(vec!["x"; 15]).ends_with("and 3 more"));
        assert_eq!(list([]), "none");
    }
}
