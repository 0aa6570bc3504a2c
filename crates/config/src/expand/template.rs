//! `<< … >>` in texts.
//!
//! There are two passes. The first goes over the whole config and resolves `<< pipeline.… >>`; the
//! second goes over a definition when it is used and resolves `<< parameters.… >>`. Each text sees
//! each pass once, and what was inserted is never read again: a value that holds `<<` stays a value.
//!
//! CircleCI's documentation does not say so, but there are also sections, as in Mustache:
//! `<<# parameters.x >>text<</ parameters.x >>` is `text` if the value counts as true, and with `^`
//! in place of `#` if it does not. Public configs use them.

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// As it stands.
    Text(&'a str),
    /// `\<<`, which stands for `<<`.
    Escaped,
    /// `<< inside >>`.
    Reference { whole: &'a str, inside: &'a str },
    /// `<<# name >>`: what follows, up to the end of the section, counts if the value does; or
    /// `<<^ name >>`: if the value does not.
    Section {
        whole: &'a str,
        name: &'a str,
        inverted: bool,
        /// The piece that ends it, if there is one.
        end: Option<usize>,
    },
    /// `<</ name >>`.
    End { whole: &'a str, name: &'a str },
    /// `<<` that opens nothing: a here-document that should be escaped.
    Open,
}

/// Splits a text. The pieces in a row are the text again.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = split(text);
    close_sections(&mut pieces);
    pieces
}

/// Where in a text the first `<<` stands that opens nothing.
pub(super) fn first_open(text: &str) -> Option<usize> {
    let mut at = 0;
    for piece in pieces(text) {
        at += match piece {
            Piece::Open => return Some(at),
            Piece::Escaped => "\\<<".len(),
            Piece::Text(whole)
            | Piece::Reference { whole, .. }
            | Piece::Section { whole, .. }
            | Piece::End { whole, .. } => whole.len(),
        };
    }
    None
}

/// Finds the end of each section.
fn close_sections(pieces: &mut [Piece<'_>]) {
    let mut open: Vec<usize> = vec![];
    for at in 0..pieces.len() {
        match pieces[at] {
            Piece::Section { .. } => open.push(at),
            Piece::End { name: closing, .. } => {
                if let Some(opening) = open.pop()
                    && let Piece::Section { name, end, .. } = &mut pieces[opening]
                    && *name == closing
                {
                    *end = Some(at);
                }
            }
            _ => {}
        }
    }
}

fn split(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = vec![];
    let mut rest = text;
    while let Some(at) = rest.find("<<") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('\\') {
            pieces.extend([Piece::Text(before), Piece::Escaped]);
            rest = &from[2..];
            continue;
        }
        pieces.push(Piece::Text(before));
        match reference(from) {
            Some(
                piece @ (Piece::Reference { whole, .. }
                | Piece::Section { whole, .. }
                | Piece::End { whole, .. }),
            ) => {
                rest = &from[whole.len()..];
                pieces.push(piece);
            }
            _ => {
                pieces.push(Piece::Open);
                rest = &from[2..];
            }
        }
    }
    pieces.push(Piece::Text(rest));
    pieces.retain(|piece| *piece != Piece::Text(""));
    pieces
}

/// The reference at the start of a text: closed on the same line, and either a plain name or
/// something about parameters and values, which then is an expression.
fn reference(from: &str) -> Option<Piece<'_>> {
    // Nothing is looked at beyond the next opening: all texts are read once.
    let rest = from.get(2..)?;
    let rest = rest.find("<<").map_or(rest, |next| &rest[..next]);
    let line = rest.find('\n').map_or(rest, |end| &rest[..end]);
    let close = 2 + line.find(">>")?;
    let whole = &from[..close + 2];
    let inside = from[2..close].trim();
    if let Some(section) = section(whole, inside) {
        return Some(section);
    }
    let name = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let plain = !inside.is_empty() && inside.chars().all(name);
    let speaks_of = |prefix| inside.contains(prefix);
    (plain
        || ["pipeline.", "parameters.", "matrix."]
            .into_iter()
            .any(speaks_of))
    .then_some(Piece::Reference { whole, inside })
}

/// `# name`, `^ name` and `/ name`.
fn section<'a>(whole: &'a str, inside: &'a str) -> Option<Piece<'a>> {
    let name = inside.get(1..)?.trim();
    let known = ["pipeline.", "parameters.", "matrix."];
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if !known.into_iter().any(|prefix| name.starts_with(prefix)) || !name.chars().all(plain) {
        return None;
    }
    let open = |inverted| Piece::Section {
        whole,
        name,
        inverted,
        end: None,
    };
    match inside.as_bytes()[0] {
        b'#' => Some(open(false)),
        b'^' => Some(open(true)),
        b'/' => Some(Piece::End { whole, name }),
        _ => None,
    }
}

/// The name in a text that is nothing but one reference: then the value keeps its type.
pub(super) fn sole_reference(text: &str) -> Option<(&str, &str)> {
    match pieces(text.trim()).as_slice() {
        [Piece::Reference { whole, inside }] => Some((whole, inside)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_texts() {
        let reference = Piece::Reference {
            whole: "<<parameters.x>>",
            inside: "parameters.x",
        };
        assert_eq!(
            pieces("a <<parameters.x>> b"),
            [Piece::Text("a "), reference, Piece::Text(" b")]
        );
        assert_eq!(
            pieces(r"cat \<< EOF"),
            [Piece::Text("cat "), Piece::Escaped, Piece::Text(" EOF")]
        );
        assert_eq!(
            pieces("cat << EOF\n>>"),
            [Piece::Text("cat "), Piece::Open, Piece::Text(" EOF\n>>")]
        );
        assert_eq!(pieces(""), []);
    }

    #[test]
    fn sections_know_their_ends() {
        let ends = |text| {
            let pieces = pieces(text).into_iter();
            pieces
                .filter_map(|piece| match piece {
                    Piece::Section { end, .. } => Some(end),
                    _ => None,
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(ends("<<#parameters.x>>a<</parameters.x>>"), [Some(2)]);
        assert_eq!(
            ends("<<^parameters.x>><<# matrix.y >>a<</ matrix.y >><</parameters.x>>"),
            [Some(4), Some(3)]
        );
        assert_eq!(ends("<<#parameters.x>>a<</parameters.y>>"), [None]);
        assert_eq!(ends("<<#parameters.x>>"), [None]);
        assert_eq!(ends("<<#x>>"), []);
    }

    #[test]
    fn what_opens_nothing_is_found_behind_references() {
        let text = r"<<pipeline.number>> \<< <<# parameters.x >><</ parameters.x >> << EOF";
        assert_eq!(first_open(text), text.rfind("<< EOF"));
        assert_eq!(first_open("<< parameters.x >>"), None);
    }

    #[test]
    fn a_sole_reference_fills_the_text() {
        assert_eq!(
            sole_reference(" << parameters.x >>\n").map(|it| it.1),
            Some("parameters.x")
        );
        assert_eq!(sole_reference("v<< parameters.x >>"), None);
    }
}
