//! How long tests that make up configs look.

/// So many cases, or as many as `OUTRIDER_CASES` says.
pub fn cases(usually: u32) -> u32 {
    let given = std::env::var_os("OUTRIDER_CASES");
    let given = given.map(|count| count.to_str().and_then(|count| count.parse().ok()));
    given.map_or(usually, |count| count.expect("OUTRIDER_CASES is a number"))
}
