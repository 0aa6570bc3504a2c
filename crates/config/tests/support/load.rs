//! How tests read a case.

use std::path::Path;

use outrider_config::{Options, Orb, ParameterValue, SourceFile};

use super::support::options;

/// A case with what stands at its top.
pub fn load(case: &Path) -> (SourceFile, Options) {
    let text = std::fs::read_to_string(case).unwrap();
    let mut options = options();
    let directives = text.lines().map_while(|line| line.strip_prefix("#: "));
    for directive in directives {
        let (word, rest) = directive.split_once(' ').unwrap();
        let owned = || Some(rest.to_owned());
        match word {
            "parameter" => {
                let (name, value) = rest.split_once('=').unwrap();
                let value = ParameterValue::Text(value.to_owned());
                options.parameters.insert(name.to_owned(), value);
            }
            "branch" => options.values.git_branch = owned(),
            "tag" => options.values.git_tag = owned(),
            "revision" => options.values.git_revision = owned(),
            "workflow" => options.only_workflow = owned(),
            "job" => options.only_job = owned(),
            "orb" => {
                let (reference, file) = rest.split_once(' ').unwrap();
                let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("tests/orbs")
                    .join(file);
                let text = std::fs::read_to_string(path).unwrap();
                let name = reference.to_owned();
                let orb = Orb { name, text };
                options.orbs.insert(reference.parse().unwrap(), orb);
            }
            "limit" => {
                let (what, value) = rest.split_once(' ').unwrap();
                let value = value.parse().unwrap();
                match what {
                    "bytes" => options.limits.bytes = value,
                    "depth" => options.limits.depth = value,
                    "nodes" => options.limits.nodes = value,
                    "jobs" => options.limits.jobs = value,
                    "expansion" => options.limits.expansion = value,
                    _ => panic!("no limit {what}"),
                }
            }
            _ => panic!("no directive {word}"),
        }
    }
    (SourceFile::new("config.yml", text), options)
}
