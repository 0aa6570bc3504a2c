//! `outrider pipeline changes`

mod mapping;
mod repository;
mod substitute;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use clap::{ArgAction, Args};
use serde::Serialize;
use serde_json::Value;

use crate::failure::{Failure, code};
use crate::show::{self, say};
use mapping::{BadLine, Mapping, Text};
use repository::Comparison;
use substitute::substitute;

pub const EXAMPLES: &str = "\
Examples:
  outrider pipeline changes --mapping 'src/.* build true'
  outrider pipeline changes --base v1.2 --mapping .circleci/mapping --json

In the values of these flags, $NAME and ${NAME} are put in from the environment.";

/// What to compare, and what follows from it.
#[derive(Args)]
pub struct ChangesArgs {
    /// A branch, tag or commit: what counts is what has changed since the last commit in common.
    #[arg(long, default_value = "main", value_name = "REV")]
    base: String,
    /// Lines of `PATH [PARAMETER VALUE] [CONFIG]`, or a file that holds them. PATH is a regular
    /// expression for the whole path of a file.
    #[arg(long, default_value = "", value_name = "LINES|FILE")]
    mapping: String,
    /// Regular expressions for paths that do not count, one on a line, or a file that holds them.
    #[arg(long, default_value = "", value_name = "LINES|FILE")]
    exclude: String,
    /// The config, where no line of the mapping names one.
    #[arg(
        long,
        default_value = ".circleci/continue_config.yml",
        value_name = "FILE"
    )]
    config: String,
    /// Whether a commit that is in the base already is compared with the one before it; otherwise
    /// nothing has changed.
    #[arg(long, default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    same_base_run: bool,
    /// The commit; the runner sets it.
    #[arg(long, env = "CIRCLE_SHA1", default_value = "HEAD", value_name = "REV")]
    commit: String,
    /// Count files that are not committed too; `outrider run` sets it.
    #[arg(long, env = "OUTRIDER_UNCOMMITTED")]
    uncommitted: bool,
    /// Write the parameters into a file, as JSON.
    #[arg(long, value_name = "FILE")]
    parameters_file: Option<String>,
    /// Write the names of the configs into a file, one on a line.
    #[arg(long, value_name = "FILE")]
    configs_file: Option<String>,
    /// Write the files that have changed into a file, one on a line.
    #[arg(long, value_name = "FILE")]
    files_file: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Serialize)]
struct Found {
    /// What the commit was compared with.
    since: Option<String>,
    files: Vec<String>,
    parameters: BTreeMap<String, Value>,
    configs: Vec<String>,
}

impl ChangesArgs {
    /// Compares, writes the files, and prints.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let args = self.substituted();
        let found = args.find()?;
        args.write(&found)?;
        if args.json {
            show::json(&found);
        } else {
            print(&found);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn substituted(mut self) -> Self {
        let value = |name: &str| std::env::var_os(name).map(|it| it.to_string_lossy().into_owned());
        let texts = [
            &mut self.base,
            &mut self.mapping,
            &mut self.exclude,
            &mut self.config,
        ];
        let files = self.parameters_file.iter_mut();
        let files = files
            .chain(&mut self.configs_file)
            .chain(&mut self.files_file);
        for text in texts.into_iter().chain(files) {
            *text = substitute(text, value);
        }
        self
    }

    fn find(&self) -> Result<Found, Failure> {
        let mapping = Mapping::parse(&text_of(&self.mapping)?, &text_of(&self.exclude)?)
            .map_err(|bad| self.failure(&bad))?;
        let changes = repository::compare(&Comparison {
            base: &self.base,
            commit: match self.commit.as_str() {
                "" => "HEAD",
                commit => commit,
            },
            same_base_run: self.same_base_run,
            uncommitted: self.uncommitted,
        })?;
        let selection = mapping
            .select(&changes.files, &self.config)
            .map_err(|bad| self.failure(&bad))?;
        Ok(Found {
            since: changes.since,
            files: changes.files,
            parameters: selection.parameters,
            configs: selection.configs,
        })
    }

    fn failure(&self, bad: &BadLine) -> Failure {
        let (given, name) = match bad.place.text {
            Text::Mapping => (&self.mapping, "the mapping"),
            Text::Exclude => (&self.exclude, "the excluded paths"),
        };
        let place = match Path::new(given).is_file() {
            true => format!("{given}:{}", bad.place.line),
            false => format!("{name}, line {}", bad.place.line),
        };
        Failure::new(code::BAD_SETTINGS, format!("{place}: {}", bad.problem)).advise(bad.help)
    }

    fn write(&self, found: &Found) -> Result<(), Failure> {
        if let Some(path) = &self.parameters_file {
            write(path, &format!("{}\n", serde_json::json!(found.parameters)))?;
        }
        if let Some(path) = &self.configs_file {
            write(path, &lines(&found.configs))?;
        }
        if let Some(path) = &self.files_file {
            write(path, &lines(&found.files))?;
        }
        Ok(())
    }
}

/// A text that was given as it is, or as the name of a file.
fn text_of(given: &str) -> Result<String, Failure> {
    if !Path::new(given).is_file() {
        return Ok(given.to_owned());
    }
    std::fs::read_to_string(given).map_err(|error| {
        Failure::new(code::NOT_FOUND, format!("cannot read {given}: {error}"))
            .advise("Write it as UTF-8 text, one rule on a line.")
    })
}

fn lines(texts: &[String]) -> String {
    texts.iter().map(|text| format!("{text}\n")).collect()
}

fn write(path: &str, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| {
        Failure::cannot_write(path, error).advise("Name a file in a folder that exists.")
    })
}

fn print(found: &Found) {
    match &found.since {
        Some(since) => say!("changed since {since}: {} files", found.files.len()),
        None => say!("nothing has changed: the commit is in the base revision already"),
    }
    for file in &found.files {
        say!("  {file}");
    }
    say!("parameters: {}", serde_json::json!(found.parameters));
    for config in &found.configs {
        say!("config: {config}");
    }
}
