//! Several configs as one.

use super::yaml::{Map, Yaml, write};
use crate::diagnostic::Sink;
use crate::sources::Sources;
use crate::yaml::{Entry, Mapping, Node, Value, parse};
use crate::{Diagnostics, Limits, Orbs, SourceFile};

/// A config that is no YAML.
#[derive(Clone, Debug)]
pub struct Unreadable<'a> {
    /// Which one.
    pub config: &'a SourceFile,
    /// What is wrong with it.
    pub diagnostics: Diagnostics,
}

/// One config of several. What is a mapping in two of them holds what both hold; of anything else
/// the last one counts. Nothing but YAML is looked at. One config alone stays as it is.
///
/// # Errors
///
/// The first that is no YAML.
pub fn merge(configs: &[SourceFile]) -> Result<String, Unreadable<'_>> {
    if let [config] = configs {
        return Ok(config.text.clone());
    }
    let mut merged = Node::mapping(Default::default(), Mapping::default());
    for config in configs {
        merged = over(&merged, &read(config)?);
    }
    Ok(match Yaml::from(&merged) {
        Yaml::Map(map) => write(&map),
        // No config: the compiler says so.
        _ => String::new(),
    })
}

fn read(config: &SourceFile) -> Result<Node, Unreadable<'_>> {
    let orbs = Orbs::new();
    let sources = Sources::new(config, &orbs);
    let limits = Limits::default();
    let sink = Sink::new(&sources, limits.diagnostics);
    let document = parse(sources.config(), &limits, &sink);
    let failed = sink.errors() > 0;
    let diagnostics = sink.finish();
    match document {
        Some(document) if !failed => Ok(document.root),
        _ => Err(Unreadable {
            config,
            diagnostics,
        }),
    }
}

/// A value with another one over it.
fn over(below: &Node, above: &Node) -> Node {
    let (Some(below), Some(above_entries)) = (below.as_mapping(), above.as_mapping()) else {
        return above.clone();
    };
    let mut entries = below.entries.clone();
    for (key, entry) in &above_entries.entries {
        let value = match below.get(key) {
            Some(value) => over(value, &entry.value),
            None => entry.value.clone(),
        };
        entries.insert(key.clone(), Entry { value, ..*entry });
    }
    Node::mapping(above.span, Mapping { entries })
}

impl From<&Node> for Yaml {
    fn from(node: &Node) -> Self {
        match &node.value {
            Value::Scalar(scalar) if scalar.quoted || scalar.text.contains('\n') => {
                Self::Text(scalar.text.to_string())
            }
            Value::Scalar(scalar) => Self::Plain(scalar.text.to_string()),
            Value::Sequence(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Mapping(mapping) => {
                let mut map = Map::default();
                for (key, entry) in &mapping.entries {
                    map.add(&**key, &entry.value);
                }
                map.into()
            }
            // Only texts that were resolved become so.
            Value::Wrong => Self::Plain(String::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(texts: &[&str]) -> Result<String, String> {
        let configs: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(at, text)| SourceFile::new(format!("{at}.yml"), *text))
            .collect();
        merge(&configs).map_err(|wrong| wrong.diagnostics.render(wrong.config, false))
    }

    #[test]
    fn mappings_are_joined_and_of_the_rest_the_last_counts() {
        let text = merged(&[
            "version: 2.1\njobs:\n  a: {machine: true, steps: [one, two]}\nx: 1\n",
            "jobs:\n  b: {machine: false}\n  a: {steps: [three]}\nx: {}\n",
        ]);
        let expected = "version: 2.1\njobs:\n  a:\n    machine: true\n    steps:\n    - three\n  \
                        b:\n    machine: false\nx: {}\n";
        assert_eq!(text.unwrap(), expected);
    }

    #[test]
    fn values_stay_what_they_are() {
        let text = merged(&[
            "a: 1.10\nb: '1.10'\nc: yes\nd: \"yes\"\ne:\nf: << pipeline.number >>\n",
            "\"on\": |\n  one\n  two\nbase: &base {x: 1}\ncopy: {<<: *base, y: [[~, []]]}\n",
        ]);
        let expected = "a: 1.10\nb: \"1.10\"\nc: yes\nd: \"yes\"\ne:\nf: << pipeline.number >>\n\
                        \"on\": |\n  one\n  two\nbase:\n  x: 1\ncopy:\n  \"y\":\n  - - ~\n    - []\n  \
                        x: 1\n";
        assert_eq!(text.unwrap(), expected);
    }

    #[test]
    fn one_config_stays_as_it_is() {
        let text = "# a comment\nversion:   2.1\n";
        assert_eq!(merged(&[text]).unwrap(), text);
    }

    #[test]
    fn what_is_no_yaml_is_pointed_at() {
        let wrong = merged(&["a: 1\n", "a: [\n"]).unwrap_err();
        assert!(wrong.contains("--> 1.yml:"), "{wrong}");
    }
}
