//! Texts of reports: references resolved, lengths bounded, nothing that a terminal would obey.

use std::borrow::Cow;

use quick_xml::escape::resolve_xml_entity;

/// How long a name may be, in bytes.
pub(super) const MAX_NAME: usize = 4 * 1024;

/// The text of an attribute. A reference that XML itself does not know stays as it is: what a
/// document type defines is never looked at.
pub(super) fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('&') {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('&') {
        text.push_str(before);
        rest = match after.split_once(';') {
            Some((name, after)) if is_reference(name) => {
                push_reference(&mut text, name);
                after
            }
            _ => {
                text.push('&');
                after
            }
        };
    }
    text.push_str(rest);
    Cow::Owned(text)
}

fn is_reference(name: &str) -> bool {
    name.len() < 32
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'#')
}

/// What `&name;` stands for.
pub(super) fn push_reference(text: &mut String, name: &str) {
    let character = name.strip_prefix('#').and_then(|number| {
        let code = match number.strip_prefix('x') {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        char::from_u32(code.ok()?)
    });
    match (character, resolve_xml_entity(name)) {
        (Some(character), _) => text.push(character),
        (None, Some(known)) => text.push_str(known),
        (None, None) => text.extend(["&", name, ";"]),
    }
}

/// One line of at most [`MAX_NAME`] bytes.
pub(super) fn name(text: &str) -> String {
    let text = beginning(text.trim(), MAX_NAME);
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    let line = text.replace(['\n', '\r', '\t'], " ");
    bounded(&line, MAX_NAME)
}

/// The beginning, without control characters but those that lay out text.
pub(super) fn bounded(text: &str, limit: usize) -> String {
    let shown = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    beginning(text, limit).chars().filter(shown).collect()
}

/// Whole characters from the beginning, of at most so many bytes.
pub(super) fn beginning(text: &str, limit: usize) -> &str {
    let ends = (0..=limit.min(text.len())).rev();
    let end = { ends }.find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_and_unknown_ones_kept() {
        let text = "&lt;a&gt; &amp;amp; &quot;&apos; &#65;&#x42; &nbsp; &#xD800; & &; &lol9; a&b";
        let expected = "<a> &amp; \"' AB &nbsp; &#xD800; & &; &lol9; a&b";
        assert_eq!(unescape(text), expected);
    }

    #[test]
    fn names_are_one_line_that_a_terminal_can_show() {
        assert_eq!(name(" a\nb\tc\u{1b}[31m\0 "), "a b c[31m");
        assert_eq!(name(&"é".repeat(MAX_NAME)).len(), MAX_NAME);
    }
}
