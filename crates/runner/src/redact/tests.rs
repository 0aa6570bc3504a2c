//! The redactor beside a simple one, and what other redactors let through.

use std::ops::Range;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::escape::{self, ESC, Escape};
use super::needle::{Kind, SURE, view};
use super::scan::MOST_UNSEEN;
use super::stream::{MASK, Stream};
use super::*;

/// A redactor of exactly these needles.
fn exactly(needles: &[&[u8]]) -> Pattern {
    let mut known = BTreeMap::<_, Gaps>::new();
    for needle in needles {
        let (bytes, gaps) = view(needle);
        known.entry(bytes).or_default().allow(gaps);
    }
    known.remove([].as_slice());
    Pattern::new(&known)
}

fn redactor(secrets: &[&str]) -> Redactor {
    let redactor = Redactor::default();
    let secrets: Vec<Secret> = secrets.iter().map(|it| Secret::new(*it)).collect();
    redactor.add(&secrets);
    redactor
}

/// What comes out if the text comes in these pieces.
fn streamed<'t>(pattern: &Pattern, pieces: impl IntoIterator<Item = &'t [u8]>) -> Vec<u8> {
    let mut stream = Stream::default();
    let mut out = Vec::new();
    for piece in pieces {
        out.extend(stream.next(Some(pattern), Bytes::copy_from_slice(piece)));
    }
    out.extend(stream.finish(Some(pattern)));
    out
}

/// Every place of every needle, looked for one by one.
fn masked_simply(needles: &[&[u8]], text: &[u8]) -> Vec<u8> {
    let mut known = BTreeMap::<_, Gaps>::new();
    for needle in needles {
        let (bytes, gaps) = view(needle);
        known.entry(bytes).or_default().allow(gaps);
    }
    let (seen, escapes) = without_escapes(text);
    let mut is_masked = vec![false; text.len()];
    let mut begins = vec![false; text.len()];
    let raw: Vec<usize> = (0..text.len()).collect();
    let mut found: Vec<Range<usize>> = Vec::new();
    for (needle, gaps) in &known {
        found.extend(places(text, &seen, needle, *gaps));
        if !escapes.is_empty() {
            found.extend(places(text, &raw, needle, *gaps));
        }
    }
    found.retain(|it| !it.is_empty());
    found.sort_by_key(|it| it.start);
    let mut end = 0;
    for region in found {
        begins[region.start] |= region.start >= end;
        end = end.max(region.end);
        is_masked[region].fill(true);
    }
    let mut out = Vec::new();
    for (at, byte) in text.iter().enumerate() {
        if begins[at] {
            out.extend_from_slice(MASK);
        }
        if !is_masked[at] {
            out.push(*byte);
        }
    }
    out
}

/// The places of all bytes that are not in escape sequences.
fn without_escapes(text: &[u8]) -> (Vec<usize>, Vec<Range<usize>>) {
    let (mut seen, mut escapes, mut at) = (Vec::new(), Vec::new(), 0);
    while at < text.len() {
        match (text[at], escape::read(&text[at..], true)) {
            (ESC, Escape::Whole(length)) => {
                escapes.push(at..at + length);
                at += length;
            }
            _ => {
                seen.push(at);
                at += 1;
            }
        }
    }
    (seen, escapes)
}

/// Where a needle is, if these bytes of the text are read.
fn places(text: &[u8], read: &[usize], needle: &[u8], gaps: Gaps) -> Vec<Range<usize>> {
    let begin = |from: usize| {
        let (mut rest, mut is_blank, mut last) = (needle.iter(), false, read[from]);
        let mut next = rest.next();
        let mut matched = 0;
        for &at in &read[from..] {
            match Kind::of(text[at]) {
                Kind::Nothing => continue,
                Kind::Blank => is_blank = true,
                Kind::Visible => {
                    let may =
                        !std::mem::take(&mut is_blank) || matched == 0 || gaps.allows(matched);
                    if Some(&text[at]) != next || !may || at - last > MOST_UNSEEN {
                        return None;
                    }
                    (matched, next, last) = (matched + 1, rest.next(), at);
                    if next.is_none() {
                        return Some(read[from]..at + 1);
                    }
                }
            }
        }
        None
    };
    let visible = |from: &usize| Kind::of(text[read[*from]]) == Kind::Visible;
    (0..read.len()).filter(visible).filter_map(begin).collect()
}

/// At every place, and byte by byte.
fn assert_masked_however_cut(pattern: &Pattern, text: &str, expected: &str) {
    let bytes = text.as_bytes();
    for at in 0..=bytes.len() {
        let (left, right) = bytes.split_at(at);
        let out = streamed(pattern, [left, right]);
        assert_eq!(
            String::from_utf8_lossy(&out),
            expected,
            "{text:?} cut at {at}"
        );
    }
    let out = streamed(pattern, bytes.chunks(1));
    assert_eq!(
        String::from_utf8_lossy(&out),
        expected,
        "{text:?} byte by byte"
    );
}

#[test]
fn what_others_let_through_is_masked_however_it_is_cut() {
    let cases: &[(&[&str], &str, &str)] = &[
        (
            &["secret-1"],
            "a secret-1, secret-2, secret-",
            "a ****, secret-2, secret-",
        ),
        (&["secret-1"], "secret-1secret-1", "********"),
        (&["ababac"], "x abababac y", "x ab**** y"),
        (&["glpat-XYZ"], "glglpat-XYZ", "gl****"),
        (&["abab"], "aababb ababab", "a****b ****"),
        (&["abcdef", "defghi"], "abcdefghi abcdefg", "**** ****g"),
        (&["bcde", "abcdefgh"], "abcdefg abcdefgh", "a****fg ****"),
        (&["line1\nline2"], "line1\r\nline2", "****"),
        (&["line1\nline2"], "+ echo line1 line2\n", "+ echo ****\n"),
        (&["line1\nline2"], "'line1\\nline2'", "'****'"),
        (&["  padded-value\n"], "[padded-value]", "[****]"),
        (
            &["first-line-1\nno\nsecond-line\n"],
            "first-line-1\nno\n",
            "****\nno\n",
        ),
        (&["pass&word-of-8"], "word-of-8", "****"),
        (
            &["colourful"],
            "col\x1b[31;1mour\x1b[0mful\x1b[0m!",
            "****\x1b[0m!",
        ),
        (
            &["colourful"],
            "col\x1b]8;;http://x\x1b\\ourful\x1b]8;;\x07",
            "****\x1b]8;;\x07",
        ),
        (&["colourful"], "\x1b]0;colourful\x07", "\x1b]0;****\x07"),
        (&["colourful"], "\x1b[colourful", "\x1b[****"),
        (&["colourful"], "col\rour\r\rful\r\n", "****\r\n"),
        (&["a-long-secret-value"], "a-long-secret-\n   value", "****"),
        (&["short-one"], "short- one", "short- one"),
        (
            &["hünter2/"],
            "h\\u00fcnter2\\/ h%C3%BCnter2%2f",
            "**** h%C3%BCnter2%2f",
        ),
        (&["h nter2/"], "h%20nter2%2f h+nter2%2F", "**** ****"),
        (
            &["<pass&'word'>"],
            "&lt;pass&amp;&#39;word&#39;&gt;",
            "****",
        ),
        (
            &["say \"it\""],
            "say \\\"it\\\" say \\\\\\\"it\\\\\\\"",
            "**** ****",
        ),
        (
            &["it's me"],
            "+ echo 'it'\\''s me' it\\'s\\ me",
            "+ echo '****' ****",
        ),
        (
            &["s3cr3t-word"],
            "7333637233742d776f7264 7333637233742D776F7264",
            "**** ****",
        ),
        (&["true", "abc", ""], "true abc", "true abc"),
    ];
    for (secrets, text, expected) in cases {
        let pattern = redactor(secrets).pattern();
        match pattern {
            Some(pattern) => assert_masked_however_cut(&pattern, text, expected),
            None => assert_eq!(text, expected),
        }
    }
}

#[test]
fn base64_is_masked_at_all_shifts_and_once_more() {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let secret = "p\u{e4}ss>>>word???~~~";
    let pattern = redactor(&[secret]).pattern().unwrap();
    for shift in 0..3 {
        let text = format!("{}{secret}, and more", &"<<"[..shift.min(2)]);
        for once in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            for encoded in [STANDARD.encode(&once), once] {
                let out = streamed(&pattern, [encoded.as_bytes()]);
                let out = String::from_utf8(out).unwrap();
                let hidden = encoded.len() + MASK.len() - out.len();
                assert!(
                    out.contains("****") && hidden + 2 > secret.len() * 8 / 6,
                    "{out}"
                );
            }
        }
    }
}

#[test]
fn base64_that_is_broken_into_lines_is_masked() {
    use base64::Engine;
    let secret: String = ('a'..='z').cycle().take(200).collect();
    let pattern = redactor(&[&secret]).pattern().unwrap();
    let encoded = base64::engine::general_purpose::STANDARD.encode(&secret);
    for ends in ["\n", "\r\n", "\n    "] {
        let lines: Vec<&str> = encoded
            .as_bytes()
            .chunks(76)
            .map(|it| std::str::from_utf8(it).unwrap())
            .collect();
        let text = format!("key: {}\n", lines.join(ends));
        assert_masked_however_cut(&pattern, &text, "key: ****\n");
    }
}

#[test]
fn only_what_may_be_a_beginning_is_held_back() {
    let pattern = exactly(&[b"secret-1", b"other words"]);
    let mut stream = Stream::default();
    let mut next = |text: &'static str| {
        let out = stream.next(Some(&pattern), Bytes::from_static(text.as_bytes()));
        String::from_utf8(out.to_vec()).unwrap()
    };
    assert_eq!(next("Password: "), "Password: ");
    assert_eq!(next("yes\n"), "yes\n");
    assert_eq!(next("yes"), "ye");
    assert_eq!(next("s se"), "ss ");
    assert_eq!(next("cret-"), "");
    assert_eq!(next("2"), "secret-2");
    assert_eq!(next("secret-1"), "****");
    assert_eq!(next("\x1b["), "");
    assert_eq!(next("0m"), "\x1b[0m");
    assert_eq!(next("other \n\n"), "");
    assert_eq!(next("wor"), "");
    assert_eq!(next("ld"), "other \n\nworld");
}

#[test]
fn what_is_held_back_is_bounded() {
    let pattern = redactor(&["a-secret-that-is-begun"]).pattern().unwrap();
    let mut stream = Stream::default();
    let mut out = Vec::new();
    let mut write = |text: &[u8]| {
        out.extend(stream.next(Some(&pattern), Bytes::copy_from_slice(text)));
        out.len()
    };
    assert_eq!(write(b"a-secret-that-"), 0);
    let sizes: Vec<usize> = (0..MOST_UNSEEN).map(|_| write(b"\n")).collect();
    assert_eq!(sizes[MOST_UNSEEN - 2], 0);
    assert_eq!(sizes[MOST_UNSEEN - 1], MOST_UNSEEN + 14);

    let pattern = redactor(&["aaaa"]).pattern().unwrap();
    let mut stream = Stream::default();
    let first = stream.next(Some(&pattern), Bytes::from_static(b"aaaaa"));
    assert_eq!(&*first, MASK);
    for _ in 0..1000 {
        let more = stream.next(Some(&pattern), Bytes::from_static(b"aaa"));
        assert!(more.is_empty(), "one mask for all");
    }
    assert_eq!(stream.finish(Some(&pattern)), b"");
}

#[test]
fn a_secret_that_comes_later_is_masked_in_what_is_held_back() {
    let redactor = redactor(&["begin-1234"]);
    let mut stream = Stream::default();
    let out = stream.next(
        redactor.pattern().as_deref(),
        Bytes::from_static(b"x begin-"),
    );
    assert_eq!(&*out, b"x ");
    redactor.add(&[Secret::new("begin-abcd")]);
    let out = stream.next(
        redactor.pattern().as_deref(),
        Bytes::from_static(b"abcd begin-1234"),
    );
    assert_eq!(&*out, b"**** ****");
}

#[test]
fn short_texts_are_masked_and_nothing_prints_a_secret() {
    let redactor = redactor(&["hunter2-password"]);
    assert_eq!(
        redactor.redact_text("cannot clone https://me:hunter2-password@x"),
        "cannot clone https://me:****@x"
    );
    assert!(matches!(
        redactor.redact_text("nothing"),
        Cow::Borrowed("nothing")
    ));
    let reason = EndReason::Infrastructure {
        message: "hunter2-password".to_owned(),
    };
    let expected = EndReason::Infrastructure {
        message: "****".to_owned(),
    };
    assert_eq!(redactor.redact_reason(reason), expected);
    assert!(!format!("{redactor:?} {:?}", Secret::new("hunter2")).contains("hunter2"));
}

/// Texts of few letters, of what is not seen, and of needles: they meet often.
fn text(needles: &[Vec<u8>]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let needles = needles.to_vec();
    let noise = [
        "a",
        "b",
        "c",
        " ",
        "\n",
        "\r",
        "\r\n",
        "\x1b",
        "[",
        "m",
        "\x1b[a",
        "\x1b[0m",
        "\x1b]b\x07",
        "a a",
        "  ",
    ];
    let noise = proptest::sample::select(noise.map(|it| it.as_bytes().to_vec()).to_vec());
    let piece = (
        proptest::sample::select(needles),
        0..40_usize,
        0..40_usize,
        noise.clone(),
    );
    let broken = piece.prop_map(|(mut needle, at, length, noise)| {
        needle.truncate(length.max(needle.len().saturating_sub(length)));
        needle.splice(at.min(needle.len())..at.min(needle.len()), noise);
        needle
    });
    vec(prop_oneof![noise, broken], 0..30).prop_map(|it| it.concat())
}

fn needle() -> impl Strategy<Value = Vec<u8>> {
    let letter = prop_oneof![8 => Just(b'a'), 4 => Just(b'b'), 2 => Just(b'm'), 1 => Just(b'['), 1 => Just(b' ')];
    let any = prop_oneof![3 => vec(letter.clone(), 1..9), 1 => vec(letter, 9..30)];
    any.prop_filter("is seen", |it| it.iter().any(|byte| *byte != b' '))
}

fn case() -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<u8>, Vec<usize>)> {
    let needles = (1..20_usize).prop_flat_map(|least| {
        let long = needle().prop_map(move |it| it.repeat(1 + least / it.len()));
        vec(long, 1..5)
    });
    needles.prop_flat_map(|needles| {
        let text = text(&needles);
        (Just(needles), text, vec(0..20_usize, 1..10))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 500, ..ProptestConfig::default() })]

    /// Whatever the secrets, the text, and the pieces in which it comes.
    #[test]
    fn it_masks_what_a_simple_one_masks((needles, text, sizes) in case()) {
        let needles: Vec<&[u8]> = needles.iter().map(Vec::as_slice).collect();
        let pattern = exactly(&needles);
        let expected = masked_simply(&needles, &text);
        let mut rest = text.as_slice();
        let pieces = sizes.iter().cycle().map_while(|size| {
            let (piece, more) = rest.split_at((*size + 1).min(rest.len()));
            rest = more;
            (!piece.is_empty()).then_some(piece)
        });
        let out = streamed(&pattern, pieces);
        prop_assert_eq!(
            String::from_utf8_lossy(&out), String::from_utf8_lossy(&expected),
            "{:?} in {:?}", needles, String::from_utf8_lossy(&text)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 30,
        ..ProptestConfig::default()
    })]

    /// No form of a secret is ever left in what is written.
    #[test]
    fn no_form_is_left(secret in "[a-c&'\" \n]{4,40}", before in "[a-c ]{0,20}", after in "[a-c ]{0,20}") {
        let secrets = redactor(&[&secret]);
        let Some(pattern) = secrets.pattern() else { return Ok(()) };
        for form in forms::of(&secret) {
            let text = format!("{before}{form}{after}");
            let out = String::from_utf8(streamed(&pattern, text.as_bytes().chunks(7))).unwrap();
            for form in forms::of(&secret) {
                prop_assert!(!out.contains(&form), "{:?} of {:?} in {:?}", form, secret, out);
            }
        }
    }
}

#[test]
fn a_needle_is_sure_after_some_bytes() {
    let sure = "x".repeat(SURE);
    let pattern = exactly(&[format!("{sure}yz").as_bytes()]);
    assert_masked_however_cut(&pattern, &format!("{sure} yz"), "****");
    let broken_early = format!("{} xyz", &sure[1..]);
    assert_masked_however_cut(&pattern, &broken_early, &broken_early);
}
