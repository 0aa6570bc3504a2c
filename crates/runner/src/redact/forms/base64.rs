//! Base64: of the value alone, and of more text with the value in it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// How many characters depend on what comes before, if that is of 0, 1, 2 bytes.
const OF_OTHERS: [usize; 3] = [0, 2, 3];

/// Both alphabets; each of three positions in what is encoded; alone at its end, or not.
pub fn forms(bytes: &[u8]) -> Vec<String> {
    let standard = (0..3).flat_map(|shift| shifted(bytes, shift));
    standard.flat_map(both_alphabets).collect()
}

/// Base64 of base64.
pub fn twice(bytes: &[u8]) -> Vec<String> {
    let once = forms(bytes);
    let twice = once.iter().flat_map(|once| forms(once.as_bytes()));
    twice.collect()
}

/// Of the value alone.
pub fn alone(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// What is the same whatever stands around it; then with its end, if nothing comes after it.
fn shifted(bytes: &[u8], shift: usize) -> [String; 3] {
    let text = [&[0; 2][..shift], bytes].concat();
    let certain = text.len() * 8 / 6;
    let padded = &STANDARD.encode(&text)[OF_OTHERS[shift]..];
    let ended = &STANDARD_NO_PAD.encode(&text)[OF_OTHERS[shift]..];
    let inner = &padded[..certain - OF_OTHERS[shift]];
    [inner, ended, padded].map(str::to_owned)
}

fn both_alphabets(standard: String) -> [String; 2] {
    let url_safe = standard.replace('+', "-").replace('/', "_");
    [standard, url_safe]
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE;

    use super::*;

    #[test]
    fn a_form_is_there_wherever_the_value_stands_and_hides_all_but_the_edges() {
        let value = b"s3cr\xfft-\xfe\xff\xfe".as_slice();
        for before in 0..6 {
            for after in 0..6 {
                let text = [&vec![b'<'; before], value, &vec![b'>'; after]].concat();
                for engine in [STANDARD, URL_SAFE] {
                    let encoded = engine.encode(&text);
                    let found = forms(value).into_iter().filter(|it| encoded.contains(it));
                    let longest = found.map(|it| it.len()).max();
                    let most = value.len() * 8 / 6;
                    assert!(longest.is_some_and(|it| it + 2 >= most), "{encoded}");
                }
            }
        }
    }
}
