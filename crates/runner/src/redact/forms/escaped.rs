//! JSON, XML and URLs.

use std::fmt::Write;

/// JSON strings: as serde writes them, as PHP does (`\/`), as Python does (`\u00e9`), as Go does
/// (`\u003c`); and each within another JSON string.
pub fn json(text: &str) -> Vec<String> {
    let ascii = ascii_json(text);
    let styles = [
        serde_json_string(text),
        serde_json_string(text).replace('/', "\\/"),
        ascii.replace('/', "\\/"),
        upper_digits(&ascii),
        go_json(&serde_json_string(text)),
        ascii,
    ];
    let nested = styles.clone().map(|style| serde_json_string(&style));
    styles.into_iter().chain(nested).collect()
}

fn serde_json_string(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// All that is not ASCII as UTF-16.
fn ascii_json(text: &str) -> String {
    let mut ascii = String::new();
    for letter in serde_json_string(text).chars() {
        if (' '..='~').contains(&letter) {
            ascii.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    ascii
}

/// The same with the digits of `\u00e9` in upper case.
fn upper_digits(ascii: &str) -> String {
    let mut pieces = ascii.split("\\u");
    let mut upper = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(4).unwrap_or((piece, ""));
        upper.extend(["\\u", &digits.to_ascii_uppercase(), rest]);
    }
    upper
}

fn go_json(json: &str) -> String {
    let html = [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")];
    replace_all(json, &html)
}

/// XML and HTML: writers differ in which quotes they escape, and how.
pub fn xml(text: &str) -> Vec<String> {
    let quotes = [
        ("\"", "'"),
        ("&quot;", "'"),
        ("&quot;", "&apos;"),
        ("&quot;", "&#39;"),
        ("&quot;", "&#039;"),
        ("&quot;", "&#x27;"),
        ("&#34;", "&#39;"),
    ];
    let form = |(double, single)| {
        let marks = [
            ("&", "&amp;"),
            ("<", "&lt;"),
            (">", "&gt;"),
            ("\"", double),
            ("'", single),
        ];
        replace_all(text, &marks)
    };
    let forms = quotes.into_iter().map(form);
    forms
        .flat_map(|form| [form.replace('\n', "&#10;"), form])
        .collect()
}

/// What writers of URLs leave as it is, besides letters and digits.
const LEFT_IN_URLS: [&str; 6] = [
    "-_.~",
    "-_.~/",
    "-_.*",
    "-_.~!'()*",
    "-_.~$&+:=@",
    "-_.~;,/?:@&=+$!*'()#",
];

/// Percent-encoding, of several writers.
pub fn percent(text: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for left in LEFT_IN_URLS {
        let upper = percent_encoded(text, left, false);
        forms.push(upper.replace("%20", "+"));
        forms.push(upper);
        let lower = percent_encoded(text, left, true);
        forms.push(lower.replace("%20", "+"));
        forms.push(lower);
    }
    forms
}

fn percent_encoded(text: &str, left: &str, is_lower: bool) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        let letter = char::from(byte);
        _ = match (
            letter.is_ascii_alphanumeric() || left.contains(letter),
            is_lower,
        ) {
            (true, _) => write!(encoded, "{letter}"),
            (false, true) => write!(encoded, "%{byte:02x}"),
            (false, false) => write!(encoded, "%{byte:02X}"),
        };
    }
    encoded
}

/// Replaces each of these characters once: what came in is not looked at again.
pub fn replace_all(text: &str, with: &[(&str, &str)]) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut letter = [0; 4];
    for it in text.chars() {
        let it = &*it.encode_utf8(&mut letter);
        let new = with.iter().find(|(old, _)| *old == it);
        replaced.push_str(new.map_or(it, |(_, new)| new));
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(forms: &[String], expected: &str) {
        assert!(
            forms.iter().any(|it| it == expected),
            "{expected} of {forms:?}"
        );
    }

    #[test]
    fn json_of_several_writers() {
        let forms = json("a/\"b\"\n<é😀>");
        has(&forms, "a/\\\"b\\\"\\n<é😀>");
        has(&forms, "a\\/\\\"b\\\"\\n<\\u00e9\\ud83d\\ude00>");
        has(&forms, "a/\\\"b\\\"\\n<\\u00E9\\uD83D\\uDE00>");
        has(&forms, "a/\\\"b\\\"\\n\\u003cé😀\\u003e");
        has(&forms, "a/\\\\\\\"b\\\\\\\"\\\\n<é😀>");
    }

    #[test]
    fn xml_of_several_writers() {
        let forms = xml("<a & 'b'>\"");
        has(&forms, "&lt;a &amp; 'b'&gt;\"");
        has(&forms, "&lt;a &amp; &apos;b&apos;&gt;&quot;");
        has(&forms, "&lt;a &amp; &#39;b&#39;&gt;&#34;");
    }

    #[test]
    fn urls_of_several_writers() {
        let forms = percent("a b/é+~*");
        has(&forms, "a%20b%2F%C3%A9%2B~%2A");
        has(&forms, "a%20b%2f%c3%a9%2b~%2a");
        has(&forms, "a+b%2F%C3%A9%2B%7E*");
        has(&forms, "a%20b/%C3%A9%2B~%2A");
    }
}
