//! Which parameters and configs follow from which paths.

use std::collections::BTreeMap;

use outrider_config::{Regex, TooHard};
use serde_json::Value;

/// What a mapping and its exclusions say.
#[derive(Debug)]
pub struct Mapping {
    rules: Vec<Rule>,
    excluded: Vec<Paths>,
}

/// A line of a mapping.
#[derive(Debug)]
struct Rule {
    paths: Paths,
    parameter: Option<(String, Value)>,
    config: Option<String>,
}

/// A regular expression for whole paths, and where it stands.
#[derive(Debug)]
struct Paths {
    place: Place,
    regex: Regex,
}

/// A line of one of the two texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which text.
    pub text: Text,
    /// Which line, from 1.
    pub line: usize,
}

/// The texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// What follows from paths.
    Mapping,
    /// Which paths do not count.
    Exclude,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Which one.
    pub place: Place,
    /// What is wrong with it, as a fragment.
    pub problem: String,
    /// What to do.
    pub help: &'static str,
}

/// What follows from the files that have changed.
#[derive(Debug, PartialEq, Eq)]
pub struct Selection {
    /// Pipeline parameters.
    pub parameters: BTreeMap<String, Value>,
    /// The files of configs, each once.
    pub configs: Vec<String>,
}

impl Mapping {
    /// Reads a mapping, with lines of `PATH [PARAMETER VALUE] [CONFIG]`, and paths that do not count.
    pub fn parse(mapping: &str, exclude: &str) -> Result<Self, BadLine> {
        let rules = lines(Text::Mapping, mapping).map(|(place, line)| rule(place, line));
        let excluded = lines(Text::Exclude, exclude).map(|(place, line)| paths(place, line));
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
            excluded: excluded.collect::<Result<_, _>>()?,
        })
    }

    /// What follows from these files. Of two values of a parameter the later one counts.
    pub fn select(&self, files: &[String], default_config: &str) -> Result<Selection, BadLine> {
        let mut selection = Selection {
            parameters: BTreeMap::new(),
            configs: Vec::new(),
        };
        let files = self.that_count(files)?;
        for rule in &self.rules {
            if !rule.paths.any(&files)? {
                continue;
            }
            selection.parameters.extend(rule.parameter.clone());
            let config = rule.config.iter();
            let new = config.filter(|config| !selection.configs.contains(config));
            let new: Vec<_> = new.cloned().collect();
            selection.configs.extend(new);
        }
        if selection.configs.is_empty() {
            selection.configs.push(default_config.to_owned());
        }
        Ok(selection)
    }

    /// The files that are not excluded.
    fn that_count<'f>(&self, files: &'f [String]) -> Result<Vec<&'f str>, BadLine> {
        let mut counting = Vec::with_capacity(files.len());
        for file in files {
            let mut excluded = false;
            for paths in &self.excluded {
                excluded = excluded || paths.any(&[file])?;
            }
            counting.extend((!excluded).then_some(file.as_str()));
        }
        Ok(counting)
    }
}

impl Paths {
    /// Whether one of these paths matches.
    fn any(&self, files: &[&str]) -> Result<bool, BadLine> {
        for file in files {
            match self.regex.matches(file) {
                Ok(false) => {}
                Ok(true) => return Ok(true),
                Err(TooHard) => {
                    return Err(BadLine {
                        place: self.place,
                        problem: format!(
                            "it takes too long to find out whether `{}` matches {file}",
                            self.regex.as_str()
                        ),
                        help: "make it simpler: no repetition in a repetition, such as `(a+)+`",
                    });
                }
            }
        }
        Ok(false)
    }
}

/// The lines that say something, without the space around it.
fn lines(text: Text, lines: &str) -> impl Iterator<Item = (Place, &str)> {
    let numbered = lines.lines().map(str::trim).zip(1..);
    numbered
        .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
        .map(move |(line, number)| {
            let place = Place { text, line: number };
            (place, line)
        })
}

fn rule(place: Place, line: &str) -> Result<Rule, BadLine> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (path, parameter, config) = match *words.as_slice() {
        [path] => (path, None, None),
        [path, config] => (path, None, Some(config)),
        [path, name, value] => (path, Some((name, value)), None),
        [path, name, value, config] => (path, Some((name, value)), Some(config)),
        _ => {
            return Err(BadLine {
                place,
                problem: format!("the line has {} words", words.len()),
                help: "a line is `PATH [PARAMETER VALUE] [CONFIG]`, and none of these has a space \
                       in it: write `\\s` in a path",
            });
        }
    };
    Ok(Rule {
        paths: paths(place, path)?,
        parameter: parameter.map(|(name, value)| (name.to_owned(), typed(value))),
        config: config.map(str::to_owned),
    })
}

fn paths(place: Place, regex: &str) -> Result<Paths, BadLine> {
    let regex = Regex::new(regex).map_err(|reason| BadLine {
        place,
        problem: format!("`{regex}` is no regular expression: {reason}"),
        help: "write a regular expression for the whole path of a file, for example `src/.*`",
    })?;
    Ok(Paths { place, regex })
}

/// A value that reads as JSON is what it reads as, any other is text.
fn typed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn select(mapping: &str, exclude: &str, files: &[&str]) -> (Value, Vec<String>) {
        let files: Vec<_> = files.iter().map(|file| (*file).to_owned()).collect();
        let mapping = Mapping::parse(mapping, exclude).unwrap();
        let selection = mapping.select(&files, "default.yml").unwrap();
        (json!(selection.parameters), selection.configs)
    }

    #[test]
    fn a_line_has_one_to_four_words() {
        let mapping = "
            # comments and empty lines say nothing

            src/.*
            docs/.*  docs.yml
            api/.*   api true
            ui/.*    ui  3    ui.yml
        ";
        let none = (json!({}), vec!["default.yml".to_owned()]);
        assert_eq!(select(mapping, "", &["src/a"]), none);
        assert_eq!(select(mapping, "", &["README.md"]), none);
        assert_eq!(select(mapping, "", &[]), none);
        let all = select(mapping, "", &["ui/a b", "docs/x", "api/y", "docs/z"]);
        let configs = ["docs.yml", "ui.yml"].map(str::to_owned).to_vec();
        assert_eq!(all, (json!({"api": true, "ui": 3}), configs));
    }

    #[test]
    fn the_whole_path_matches_as_in_perl() {
        let mapping = "(?!docs/).*\\.rs|Cargo\\.toml rust true";
        let rust = |file: &str| select(mapping, "", &[file]).0 == json!({"rust": true});
        assert!(rust("src/main.rs") && rust("Cargo.toml"));
        assert!(!rust("docs/x.rs") && !rust("a/Cargo.toml") && !rust("src/main.rs.orig"));
    }

    #[test]
    fn excluded_paths_do_not_count() {
        let (mapping, exclude) = ("src/.* build true", "# not these\nsrc/.*\\.md\nsrc/gen/.*");
        let excluded = select(mapping, exclude, &["src/a.md", "src/gen/b.c"]);
        assert_eq!(excluded.0, json!({}));
        let counts = select(mapping, exclude, &["src/a.md", "src/b.c"]);
        assert_eq!(counts.0, json!({"build": true}));
    }

    #[test]
    fn values_are_json_or_text_and_the_last_counts() {
        let mapping = "a/.* x \"1\"\na/.* y 1\na/.* z v1.2\nb/.* z false";
        let (parameters, _) = select(mapping, "", &["a/1", "b/1"]);
        assert_eq!(parameters, json!({"x": "1", "y": 1, "z": false}));
        let (parameters, _) = select(mapping, "", &["a/1"]);
        assert_eq!(parameters["z"], "v1.2");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let wrong = |mapping: &str, exclude: &str| {
            let bad = Mapping::parse(mapping, exclude).unwrap_err();
            (bad.place.text, bad.place.line, bad.problem)
        };
        let (text, line, problem) = wrong("a b\n\na b c d e", "");
        assert_eq!((text, line), (Text::Mapping, 3));
        assert_eq!(problem, "the line has 5 words");
        let (text, line, problem) = wrong("a b", "\n(");
        assert_eq!((text, line), (Text::Exclude, 2));
        assert!(
            problem.starts_with("`(` is no regular expression"),
            "{problem}"
        );

        let hard = Mapping::parse("(?=(a|aa)+$)(a|a)+\\1b x 1", "").unwrap();
        let bad = hard.select(&["a".repeat(60)], "").unwrap_err();
        assert!(bad.problem.contains("too long"), "{bad:?}");
    }
}
