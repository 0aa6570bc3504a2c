//! `outrider config graph`

mod dot;
mod facts;
mod mermaid;
mod tree;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use outrider_config::expanded::{Expanded, ExpandedWorkflow};

use super::load::{ConfigArgs, Loaded};
use super::report;
use crate::failure::Failure;
use crate::show::say;

pub const EXAMPLES: &str = "\
Examples:
  outrider config graph
  outrider config graph --tag v1.2.0 --workflow release
  outrider config graph --format dot | dot -Tsvg > graph.svg";

/// What to draw, and how.
#[derive(Args)]
pub struct GraphArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only this workflow.
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    /// How it is drawn.
    #[arg(long, value_enum, default_value = "tree")]
    format: Format,
}

/// How a graph is drawn.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For a terminal.
    Tree,
    /// For Markdown.
    Mermaid,
    /// For Graphviz.
    Dot,
}

/// Draws it. With a branch or a tag, only what runs for it.
pub async fn run(args: &GraphArgs) -> Result<ExitCode, Failure> {
    let mut loaded = args.config.load().await?;
    loaded.options.only_workflow.clone_from(&args.workflow);
    let mut expanded = loaded.expand()?.expanded;
    if args.config.branch.is_some() || args.config.tag.is_some() {
        choose(&loaded, &mut expanded)?;
    }
    let drawn = match args.format {
        Format::Tree => tree::draw(&expanded.workflows, &Look::of_stdout()),
        Format::Mermaid => mermaid::draw(&expanded.workflows),
        Format::Dot => dot::draw(&expanded.workflows),
    };
    say!("{}", drawn.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Leaves what the branch or the tag runs, with what it then requires.
fn choose(loaded: &Loaded, expanded: &mut Expanded) -> Result<(), Failure> {
    let plan = outrider_config::compile(&loaded.source, &loaded.options)
        .map_err(|diagnostics| report::invalid(&loaded.source, &diagnostics))?
        .plan;
    expanded
        .workflows
        .retain_mut(|workflow: &mut ExpandedWorkflow| {
            let Some(chosen) = plan.workflows.iter().find(|it| it.name == workflow.name) else {
                return false;
            };
            workflow.jobs.retain_mut(|job| {
                let plan = chosen.jobs.iter().find(|it| it.name == job.plan.name);
                if let Some(plan) = plan {
                    job.plan = plan.clone();
                }
                plan.is_some()
            });
            true
        });
    Ok(())
}

/// What a terminal can show.
struct Look {
    color: bool,
    width: Option<usize>,
}

impl Look {
    /// In a file or a pipe, lines are as long as they are.
    fn of_stdout() -> Self {
        let stdout = std::io::stdout();
        let terminal = stdout.is_terminal();
        let size = rustix::termios::tcgetwinsize(&stdout).ok();
        let width = size.map(|size| usize::from(size.ws_col));
        Self {
            color: terminal,
            width: width.filter(|width| terminal && *width > 0),
        }
    }
}
