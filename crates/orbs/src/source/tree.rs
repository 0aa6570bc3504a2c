//! The source of an orb in pieces, as its authors keep it: `@orb.yml`, and a file for each command,
//! job, executor and example.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::files;

/// The folders of a tree, and the keys that they become.
const SECTIONS: [&str; 4] = ["commands", "executors", "jobs", "examples"];

/// The pieces of an orb, by name within section.
type Pieces = BTreeMap<&'static str, BTreeMap<String, String>>;

/// The orb in this folder or its `src`, as one text; nothing if there is none.
pub fn read(folder: &Path) -> Result<Option<String>, String> {
    for root in [folder.to_owned(), folder.join("src")] {
        let top = root.join("@orb.yml");
        if let Some(text) = read_file(&top)? {
            let include = |path: &str| included(&root, path);
            return pack(&text, &pieces(&root)?, &include)
                .map(Some)
                .map_err(|problem| format!("{}: {problem}", root.display()));
        }
    }
    Ok(None)
}

fn read_file(path: &Path) -> Result<Option<String>, String> {
    files::read(path).map_err(|problem| format!("{} {problem}", path.display()))
}

fn pieces(root: &Path) -> Result<Pieces, String> {
    let mut pieces = Pieces::new();
    for section in SECTIONS {
        for (name, path) in yaml_files(&root.join(section))? {
            if let Some(text) = read_file(&path)? {
                pieces.entry(section).or_default().insert(name, text);
            }
        }
    }
    Ok(pieces)
}

/// The YAML files of a folder, by what they are called without their ending.
fn yaml_files(folder: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let paths = files::list(folder).map_err(|problem| format!("{} {problem}", folder.display()))?;
    let mut found = Vec::new();
    for path in paths {
        let ending = path.extension().and_then(|ending| ending.to_str());
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if let (Some("yml" | "yaml"), Some(stem)) = (ending, stem)
            && !stem.starts_with(['.', '@'])
        {
            found.push((stem.to_owned(), path));
        }
    }
    Ok(found)
}

/// The text of a file that a piece includes. It lies in the tree, also where links lead elsewhere.
fn included(root: &Path, path: &str) -> Result<String, String> {
    let inside = || -> std::io::Result<Option<PathBuf>> {
        let whole = root.join(path).canonicalize()?;
        let root = root.canonicalize()?;
        Ok(whole.starts_with(root).then_some(whole))
    };
    match inside() {
        Ok(Some(whole)) => files::read(&whole)
            .and_then(|text| text.ok_or_else(|| "is not there".to_owned()))
            .map_err(|problem| format!("{path} {problem}")),
        Ok(None) => Err(format!("{path} lies outside of the orb")),
        Err(error) => Err(format!("{path} cannot be included: {error}")),
    }
}

/// Puts an orb together. The text stays as it is, so that its line breaks, anchors and scalars mean
/// the same as in their files.
fn pack(
    top: &str,
    pieces: &Pieces,
    include: &dyn Fn(&str) -> Result<String, String>,
) -> Result<String, String> {
    let mut whole = with_includes(top, include).map_err(|problem| format!("@orb.yml{problem}"))?;
    for (section, named) in pieces {
        if whole.lines().any(|line| is_key(line, section)) {
            return Err(format!(
                "@orb.yml has `{section}`, and there is a folder {section}: keep one of them"
            ));
        }
        end_line(&mut whole);
        whole.push_str(&format!("{section}:\n"));
        for (name, text) in named {
            let text = with_includes(text, include)
                .map_err(|problem| format!("{section}/{name}.yml{problem}"))?;
            whole.push_str(&format!("  {}:\n", serde_json::Value::from(name.as_str())));
            push_indented(&mut whole, &text);
        }
        if whole.len() as u64 > files::LARGEST {
            return Err(format!(
                "the whole orb is larger than {} bytes",
                files::LARGEST
            ));
        }
    }
    Ok(whole)
}

fn is_key(line: &str, key: &str) -> bool {
    line.strip_prefix(key)
        .is_some_and(|rest| rest.starts_with(':'))
}

fn end_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

fn push_indented(whole: &mut String, text: &str) {
    for line in text.strip_prefix('\u{feff}').unwrap_or(text).lines() {
        if line.trim_end() == "---" {
            continue;
        }
        if !line.is_empty() {
            whole.push_str("    ");
        }
        whole.push_str(line);
        whole.push('\n');
    }
}

/// Replaces `<<include(path)>>` by what that file holds. Like the official packing, it takes the
/// place of a whole value, and `<<` in the file stays text.
fn with_includes(
    text: &str,
    include: &dyn Fn(&str) -> Result<String, String>,
) -> Result<String, String> {
    let mut whole = String::with_capacity(text.len());
    let mut previous = "";
    for (number, line) in text.lines().enumerate() {
        let at = |problem: String| format!(":{}: {problem}", number + 1);
        match directive(line, previous).map_err(|problem| at(problem.to_owned()))? {
            Some((before, path)) => {
                let file = include(path).map_err(at)?.replace("<<", "\\<<");
                whole.push_str(before);
                whole.push_str(&serde_json::Value::from(file).to_string());
            }
            None => whole.push_str(line),
        }
        whole.push('\n');
        if !line.trim().is_empty() {
            previous = line;
        }
    }
    Ok(whole)
}

/// What stands before an include, and the path in it.
fn directive<'a>(
    line: &'a str,
    previous: &str,
) -> Result<Option<(&'a str, &'a str)>, &'static str> {
    const NOT_ALONE: &str = "an include is the whole value of a key: nothing stands beside it";
    let Some((start, path, end)) = find_include(line) else {
        return Ok(None);
    };
    let (mut before, mut after) = (&line[..start], line[end..].trim_end());
    if before.trim_start().starts_with('#') || before.contains(" #") {
        return Ok(None);
    }
    for quote in ['"', '\''] {
        if let (Some(outer), Some(rest)) = (before.strip_suffix(quote), after.strip_prefix(quote)) {
            (before, after) = (outer, rest);
        }
    }
    let opened = match before.trim() {
        // The value of a key on the line before; a block scalar would take quotes as text.
        "" => previous.trim_end().ends_with([':', '-']),
        before => before.ends_with([':', '-']),
    };
    let closed = after.is_empty() || after.trim_start().starts_with('#');
    if opened && closed {
        Ok(Some((before, path)))
    } else {
        Err(NOT_ALONE)
    }
}

/// The place of an include in a line, and its path.
fn find_include(line: &str) -> Option<(usize, &str, usize)> {
    line.match_indices("<<").find_map(|(start, _)| {
        let rest = line[start + 2..].trim_start().strip_prefix("include(")?;
        let (path, rest) = rest.split_once(')')?;
        let rest = rest.trim_start().strip_prefix(">>")?;
        Some((start, path.trim(), line.len() - rest.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(top: &str, pieces: &[(&'static str, &str, &str)]) -> Result<String, String> {
        let mut all = Pieces::new();
        for (section, name, text) in pieces {
            let named = all.entry(section).or_default();
            named.insert((*name).to_owned(), (*text).to_owned());
        }
        let script = |path: &str| match path {
            "scripts/x.sh" => Ok("echo \"<<x>>\"\n\techo é\n".to_owned()),
            _ => Err(format!("{path} is not there")),
        };
        pack(top, &all, &script)
    }

    #[test]
    fn pieces_become_one_orb() {
        let whole = packed(
            "version: 2.1\ndescription: d",
            &[
                ("jobs", "b", "---\nsteps: []\n"),
                (
                    "commands",
                    "a",
                    "steps:\n  - run: |\n      one\n\n      two\n",
                ),
            ],
        );
        let expected = "version: 2.1\ndescription: d\ncommands:\n  \"a\":\n    steps:\n      - run: |\n          \
                        one\n\n          two\njobs:\n  \"b\":\n    steps: []\n";
        assert_eq!(whole.unwrap(), expected);
    }

    #[test]
    fn an_include_is_the_text_of_the_file() {
        let text = r#""echo \"\\<<x>>\"\n\techo é\n""#;
        for (line, expected) in [
            ("command: <<include(scripts/x.sh)>>", "command: "),
            ("command: << include(scripts/x.sh) >> # why", "command: "),
            ("command: \"<<include(scripts/x.sh)>>\"", "command: "),
            ("- '<<include(scripts/x.sh)>>'", "- "),
            ("command:\n  <<include(scripts/x.sh)>>", "command:\n  "),
        ] {
            let whole = packed(line, &[]).unwrap();
            assert_eq!(whole, format!("{expected}{text}\n"), "{line}");
        }
        let comment = "# <<include(scripts/none.sh)>>\n";
        assert_eq!(packed(comment, &[]).unwrap(), comment);
        let parameter = "command: << parameters.include >>\n";
        assert_eq!(packed(parameter, &[]).unwrap(), parameter);
    }

    #[test]
    fn an_include_that_is_not_the_whole_value_is_refused() {
        for text in [
            "command: echo <<include(scripts/x.sh)>>",
            "command: <<include(scripts/x.sh)>> && true",
            "command: |\n  <<include(scripts/x.sh)>>",
        ] {
            let problem = packed(text, &[]).unwrap_err();
            assert!(problem.contains("whole value"), "{text}: {problem}");
        }
        let problem = packed(
            "",
            &[("commands", "a", "x: 1\ny: <<include(scripts/none.sh)>>")],
        );
        assert_eq!(
            problem.unwrap_err(),
            "commands/a.yml:2: scripts/none.sh is not there"
        );
    }

    #[test]
    fn a_section_has_one_place() {
        let problem = packed("commands: {}\n", &[("commands", "a", "steps: []")]).unwrap_err();
        assert!(problem.contains("keep one of them"), "{problem}");
    }
}
