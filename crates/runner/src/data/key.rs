//! Keys of caches: `{{ … }}` templates filled in.
//!
//! What there is: <https://circleci.com/docs/caching/#using-keys-and-templates>.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use outrider_api::data::LONGEST_CACHE_KEY;

/// What templates can name.
pub struct Facts<'a> {
    /// `.Branch`; empty when a tag is built.
    pub branch: &'a str,
    /// `.Revision`.
    pub revision: &'a str,
    /// `.BuildNum`.
    pub job_number: u64,
    /// `.CheckoutKey`: the fingerprint of the key that opens the repository; empty without one.
    pub checkout_key: &'a str,
    /// `.Environment.X`.
    pub variables: &'a BTreeMap<String, String>,
    /// `epoch`: seconds since 1970.
    pub epoch: i64,
    /// `arch`, for example `linux-amd64-6_62`.
    pub arch: &'a str,
    /// `checksum`: the SHA-256 of the file that the config names like this.
    pub checksum: &'a dyn Fn(&str) -> Result<[u8; 32], String>,
}

/// Fills a key in. The error says what is wrong with the key as the config has it.
pub fn fill_in(template: &str, facts: &Facts<'_>) -> Result<String, String> {
    let wrong = |problem: String| format!("the cache key `{template}` {problem}");
    let mut key = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("{{") {
        key.push_str(before);
        let Some((action, after)) = behind.split_once("}}") else {
            return Err(wrong("has `{{` without `}}`".to_owned()));
        };
        key.push_str(&value(action, facts).map_err(wrong)?);
        rest = after;
    }
    key.push_str(rest);
    check(&key).map_err(wrong)?;
    Ok(key)
}

fn check(key: &str) -> Result<(), String> {
    let length = key.chars().count();
    if key.is_empty() {
        return Err("is empty once it is filled in".to_owned());
    }
    if length > LONGEST_CACHE_KEY {
        return Err(format!(
            "has {length} characters once it is filled in: a key has at most {LONGEST_CACHE_KEY}"
        ));
    }
    if let Some(odd) = key.chars().find(|c| c.is_control()) {
        return Err(format!("has the control character {odd:?} in it"));
    }
    Ok(())
}

fn value(action: &str, facts: &Facts<'_>) -> Result<String, String> {
    let action = action.trim_matches('-').trim();
    if let Some(argument) = action.strip_prefix("checksum") {
        let file = quoted(argument.trim()).ok_or_else(|| {
            format!("has `{{{{ {action} }}}}`: write `checksum \"path/of/a/file\"`")
        })?;
        return Ok(STANDARD.encode((facts.checksum)(file)?));
    }
    if let Some(name) = action.strip_prefix(".Environment.") {
        return Ok(facts.variables.get(name).cloned().unwrap_or_default());
    }
    Ok(match action {
        ".Branch" => facts.branch.to_owned(),
        ".Revision" => facts.revision.to_owned(),
        ".BuildNum" => facts.job_number.to_string(),
        ".CheckoutKey" => facts.checkout_key.to_owned(),
        "epoch" => facts.epoch.to_string(),
        "arch" => facts.arch.to_owned(),
        _ => {
            return Err(format!(
                "has `{{{{ {action} }}}}`, which is none of `.Branch`, `.Revision`, `.BuildNum`, \
                 `.CheckoutKey`, `.Environment.NAME`, `checksum \"FILE\"`, `epoch` and `arch`"
            ));
        }
    })
}

/// A text in double quotes or back quotes.
fn quoted(text: &str) -> Option<&str> {
    let inside = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    inside('"')
        .or_else(|| inside('`'))
        .filter(|file| !file.is_empty())
}

/// What kind of machine this is, as `arch` has it: system, architecture, and on x86 family and model
/// of the processor, so that what was compiled for one is not restored on another.
pub fn arch(cpuinfo: &str) -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let field = |name: &str| {
        let mut lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        lines.find_map(|(key, value)| (key.trim() == name).then(|| value.trim()))
    };
    let model = match (field("cpu family"), field("model")) {
        (Some(family), Some(model)) => format!("-{family}_{model}"),
        _ => String::new(),
    };
    format!("{}-{architecture}{model}", std::env::consts::OS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str) -> Result<String, String> {
        let variables = BTreeMap::from([("NODE".to_owned(), "20".to_owned())]);
        let facts = Facts {
            branch: "main",
            revision: "abc",
            job_number: 7,
            checkout_key: "SHA256:x",
            variables: &variables,
            epoch: 1_700_000_000,
            arch: "linux-amd64-6_62",
            checksum: &|file| match file {
                "a b.lock" => Ok([0xfb; 32]),
                other => Err(format!("needs {other}, which is not there")),
            },
        };
        fill_in(template, &facts)
    }

    #[test]
    fn every_template_has_its_value() {
        for (template, key) in [
            ("v1-deps", "v1-deps"),
            ("{{ .Branch }}-{{.Revision}}", "main-abc"),
            ("n{{ .BuildNum }}", "n7"),
            ("k{{ .CheckoutKey }}", "kSHA256:x"),
            ("{{ .Environment.NODE }}/{{ .Environment.NONE }}", "20/"),
            ("{{ epoch }}", "1700000000"),
            ("{{ arch }}", "linux-amd64-6_62"),
            ("{{- arch -}}", "linux-amd64-6_62"),
            ("a}}b", "a}}b"),
        ] {
            assert_eq!(filled(template).as_deref(), Ok(key), "{template}");
        }
        let checksum = "v1-+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s=";
        for template in [
            r#"v1-{{ checksum "a b.lock" }}"#,
            "v1-{{checksum `a b.lock`}}",
        ] {
            assert_eq!(filled(template).as_deref(), Ok(checksum));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (template, problem) in [
            ("v{{ .Branch", "without `}}`"),
            ("{{ .Nope }}", "{{ .Nope }}"),
            ("{{ checksum }}", "write `checksum"),
            ("{{ checksum \"\" }}", "write `checksum"),
            ("{{ checksum \"x\" }}", "needs x, which is not there"),
            ("", "is empty"),
            ("{{ .Environment.NONE }}", "is empty"),
            ("a\nb", "control character"),
            ("a\0b", "control character"),
        ] {
            let error = filled(template).unwrap_err();
            assert!(error.contains(problem), "{template}: {error}");
        }
        assert!(filled(&"ä".repeat(900)).is_ok());
        assert!(filled(&"ä".repeat(901)).unwrap_err().contains("901"));
    }

    #[test]
    fn the_kind_of_machine() {
        let cpuinfo =
            "processor\t: 0\nvendor_id\t: X\ncpu family\t: 6\nmodel\t\t: 62\nmodel name\t: Y\n";
        assert!(arch(cpuinfo).ends_with("-6_62"));
        assert!(!arch("").contains('_'));
    }
}
