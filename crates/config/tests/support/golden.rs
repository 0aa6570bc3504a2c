//! What came out, held against the file that says what should.

use std::path::Path;

/// What is different, if something is. With `OUTRIDER_BLESS` the file is written instead.
pub fn compare(path: &Path, actual: Option<String>) -> Option<String> {
    let expected = std::fs::read_to_string(path).ok();
    if actual == expected {
        return None;
    }
    if std::env::var_os("OUTRIDER_BLESS").is_some() {
        match &actual {
            Some(actual) => std::fs::write(path, actual).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
        return None;
    }
    let none = || "(nothing)\n".to_owned();
    let (expected, actual) = (expected.unwrap_or_else(none), actual.unwrap_or_else(none));
    Some(format!(
        "--- {}, expected:\n{expected}--- actual:\n{actual}",
        path.display()
    ))
}
