//! Environment variables in a text, as `circleci env subst` puts them in.

/// A text with the values of `$NAME` and `${NAME}`; nothing stands for a variable that is not set.
/// Any other `$` stays: a regular expression may end with one.
pub fn substitute(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        match name(after) {
            Some((name, behind)) => {
                result.push_str(&value(name).unwrap_or_default());
                rest = behind;
            }
            None => {
                result.push('$');
                rest = after;
            }
        }
    }
    result + rest
}

/// The name behind a `$`, and what follows it.
fn name(text: &str) -> Option<(&str, &str)> {
    if let Some(braced) = text.strip_prefix('{') {
        let (name, rest) = braced.split_once('}')?;
        return (!name.is_empty() && length(name) == name.len()).then_some((name, rest));
    }
    Some(text.split_at(length(text))).filter(|(name, _)| !name.is_empty())
}

/// How many bytes at the start of a text are the name of a variable.
fn length(text: &str) -> usize {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c| !part(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::substitute;

    #[test]
    fn variables_are_put_in_and_other_dollars_stay() {
        let value = |name: &str| (name == "DIR").then(|| "src/$X".to_owned());
        for (text, expected) in [
            ("$DIR/.* build true", "src/$X/.* build true"),
            ("${DIR}s", "src/$Xs"),
            ("[$NONE]${NONE}", "[]"),
            (r".*\.js$ ui $1 ${A-b} ${", r".*\.js$ ui $1 ${A-b} ${"),
            ("$", "$"),
        ] {
            assert_eq!(substitute(text, value), expected, "{text}");
        }
    }
}
