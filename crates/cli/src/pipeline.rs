//! `outrider pipeline`

mod changes;
mod continuation;
mod git;

pub use git::project_name;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use outrider_api::pipelines::{ListPipelines, PipelineDetail, SubmitPipeline};
use outrider_config::SourceFile;
use outrider_model::plan::Source;
use outrider_model::{PipelineId, RequestId, Timestamp};
use outrider_service::{Clock, OsRandom, SystemClock};

use crate::args::key_value;
use crate::connection::ConnectionArgs;
use crate::failure::{Failure, code};
use crate::orbs::OrbArgs;
use crate::run::{Observer, Verbosity};
use crate::show::{self, Table, hint, say};

/// What to do with pipelines.
#[derive(Subcommand)]
pub enum PipelineVerb {
    /// Compile a config on the server and queue it.
    Trigger(Box<TriggerArgs>),
    /// List pipelines, the newest first.
    List(ListArgs),
    /// Show a pipeline with its workflows and jobs.
    Show(ShowArgs),
    /// In a job of a config with `setup: true`: go on with another config.
    Continue(Box<continuation::ContinueArgs>),
    /// In a job of a config with `setup: true`: end the pipeline with this config.
    Finish(continuation::FinishArgs),
    /// Say what has changed since a base revision, and which parameters and configs follow from it.
    #[command(after_help = changes::EXAMPLES)]
    Changes(Box<changes::ChangesArgs>),
    /// End a pipeline: what has not started never does, what runs is stopped.
    Cancel(CancelArgs),
}

/// What to run.
#[derive(Args)]
pub struct TriggerArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The config [default: .circleci/config.yml, here or in the repository that --git names].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The project [default: from --git, else the folder's name].
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// The repository that `checkout` clones.
    #[arg(long, value_name = "URL")]
    git: Option<String>,
    /// The branch, tag or commit of it.
    #[arg(long = "ref", requires = "git", value_name = "REF")]
    reference: Option<String>,
    /// A pipeline parameter; repeat it for more.
    #[arg(short, long = "parameter", value_parser = key_value, value_name = "KEY=VALUE")]
    parameters: Vec<(String, String)>,
    /// The branch that jobs see [default: --ref].
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// The tag that jobs see.
    #[arg(long, conflicts_with = "branch", value_name = "NAME")]
    tag: Option<String>,
    /// The code comes from somebody who is not trusted, as a fork pull request does: no secrets, and
    /// caches that no trusted pipeline sees.
    #[arg(long)]
    untrusted: bool,
    /// Follow the pipeline to its end, and end with its exit code.
    #[arg(short, long)]
    follow: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    orbs: OrbArgs,
}

/// Which pipelines.
#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Only this project's.
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// How many, 1 to 200.
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: u32,
    /// Only those older than this one.
    #[arg(long, value_name = "ID")]
    before: Option<PipelineId>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Which pipeline.
#[derive(Args)]
pub struct ShowArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Its id.
    pipeline: PipelineId,
    /// Follow it to its end, and end with its exit code.
    #[arg(short, long)]
    follow: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Which pipeline.
#[derive(Args)]
pub struct CancelArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Its id.
    pipeline: PipelineId,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Does it.
pub async fn run(verb: PipelineVerb) -> Result<ExitCode, Failure> {
    match verb {
        PipelineVerb::Trigger(args) => trigger(*args).await,
        PipelineVerb::List(args) => list(args).await,
        PipelineVerb::Show(args) => show_one(args).await,
        PipelineVerb::Continue(args) => {
            say!("{}", args.run().await?.message);
            Ok(ExitCode::SUCCESS)
        }
        PipelineVerb::Finish(args) => {
            say!("{}", args.run().await?.message);
            Ok(ExitCode::SUCCESS)
        }
        PipelineVerb::Changes(args) => args.run(),
        PipelineVerb::Cancel(args) => {
            let canceled = args
                .connection
                .client()?
                .cancel_pipeline(args.pipeline)
                .await?;
            if args.json {
                show::json(&canceled);
            } else {
                say!("{}", show::canceled(&canceled));
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn trigger(args: TriggerArgs) -> Result<ExitCode, Failure> {
    let client = args.connection.client()?;
    let (request, name) = args.request().await?;
    // One key for all tries of this command: a repeated submission makes one pipeline.
    let key = RequestId::new(SystemClock.now(), &OsRandom::new()).to_string();
    let submitted = client.submit_pipeline(&request, Some(&key)).await?;
    if let Some(warnings) = &submitted.warnings {
        hint!("{warnings}");
    }
    if args.follow {
        let verbosity = if args.json {
            Verbosity::Json
        } else {
            Verbosity::Failures
        };
        return Observer::new(client, submitted.id, verbosity)
            .observe()
            .await;
    }
    if args.json {
        show::json(&submitted);
    } else {
        say!("{}", submitted.id);
        hint!(
            "pipeline {} of {name}: `outrider pipeline show -f {}` follows it",
            submitted.number,
            submitted.id
        );
    }
    Ok(ExitCode::SUCCESS)
}

impl TriggerArgs {
    /// What to send, and the name of the project.
    async fn request(&self) -> Result<(SubmitPipeline, String), Failure> {
        let fetched = match (&self.git, &self.config) {
            (Some(url), config) => {
                Some(git::look(url, self.reference.as_deref(), config.is_none())?)
            }
            (None, _) => None,
        };
        let default = || PathBuf::from(".circleci/config.yml");
        let (config, path) = match (&self.config, &fetched) {
            (None, Some(fetched)) => (fetched.config.clone(), default()),
            (path, _) => {
                let path = path.clone().unwrap_or_else(default);
                (crate::run::read_config(&path)?, path)
            }
        };
        let source_file = SourceFile::new(path.display().to_string(), config.clone());
        let beside = match (&self.config, &fetched) {
            (None, Some(fetched)) => fetched.folder.path().join("config.yml"),
            _ => path,
        };
        let orbs = self.orbs.resolve(&source_file, Some(&beside)).await?;
        let project = self.project.clone().unwrap_or_else(|| match &self.git {
            Some(url) => git::project_name(url),
            None => crate::run::folder_name(std::path::Path::new(".")),
        });
        let source = match &self.git {
            Some(url) => Source::Git {
                url: url.clone(),
                revision: fetched.as_ref().map(|fetched| fetched.revision.clone()),
                reference: self.reference.clone(),
            },
            None => Source::None,
        };
        let branch = self.branch.clone().or_else(|| self.reference.clone());
        let request = SubmitPipeline {
            config,
            config_name: Some(source_file.name),
            project: project.clone(),
            parameters: self.parameters.iter().cloned().collect::<BTreeMap<_, _>>(),
            orbs: crate::orbs::on_the_wire(&orbs),
            source,
            branch: if self.tag.is_some() { None } else { branch },
            tag: self.tag.clone(),
            revision: fetched.map(|fetched| fetched.revision),
            untrusted: self.untrusted,
            workflow: None,
            job: None,
        };
        Ok((request, project))
    }
}

async fn list(args: ListArgs) -> Result<ExitCode, Failure> {
    if !(1..=200).contains(&args.limit) {
        return Err(Failure::new(
            code::FAILED,
            "--limit is a number from 1 to 200",
        ));
    }
    let query = ListPipelines {
        project: args.project,
        before: args.before,
        limit: Some(args.limit),
    };
    let list = args.connection.client()?.pipelines(&query).await?;
    if args.json {
        show::json(&list);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new([
        "ID",
        "PROJECT",
        "NUMBER",
        "STATUS",
        "REF",
        "SUBMITTED",
        "TOOK",
    ]);
    for pipeline in list.items {
        let trigger = pipeline.trigger;
        table.row([
            pipeline.id.to_string(),
            trigger.project,
            pipeline.number.to_string(),
            show::status(pipeline.status).to_owned(),
            trigger.tag.or(trigger.branch).unwrap_or_default(),
            pipeline.created_at.to_string(),
            show::between(Some(pipeline.created_at), pipeline.finished_at),
        ]);
    }
    table.print("There are no pipelines. `outrider pipeline trigger` makes one.");
    Ok(ExitCode::SUCCESS)
}

async fn show_one(args: ShowArgs) -> Result<ExitCode, Failure> {
    let client = args.connection.client()?;
    if args.follow {
        let verbosity = if args.json {
            Verbosity::Json
        } else {
            Verbosity::Failures
        };
        return Observer::new(client, args.pipeline, verbosity)
            .observe()
            .await;
    }
    let detail = client.pipeline(args.pipeline).await?;
    if args.json {
        show::json(&detail);
    } else {
        print(&detail, SystemClock.now());
    }
    Ok(ExitCode::SUCCESS)
}

fn print(detail: &PipelineDetail, now: Timestamp) {
    let pipeline = &detail.pipeline;
    say!(
        "{} {} #{}: {}",
        show::sign(pipeline.status),
        pipeline.trigger.project,
        pipeline.number,
        show::status(pipeline.status)
    );
    for workflow in &detail.workflows {
        say!(
            "{} {}: {}",
            show::sign(workflow.status),
            workflow.name,
            show::status(workflow.status)
        );
        let mut table = Table::new(["", "JOB", "STATUS", "TASKS", "TIME", "ID"]);
        for job in &workflow.jobs {
            let end = job.finished_at.unwrap_or(now);
            table.row([
                format!("  {}", show::sign(job.status)),
                job.name.clone(),
                show::status(job.status).to_owned(),
                format!("{}/{}", job.tasks_finished, job.parallelism),
                show::between(job.started_at, Some(end)),
                job.id.to_string(),
            ]);
        }
        table.print("It has no jobs.");
        for (job, reason) in workflow
            .jobs
            .iter()
            .filter_map(|job| Some((job, job.reason.as_ref()?)))
        {
            let why = show::hanging(reason, "    ");
            say!("  {}: {why}\n    {}", job.name, reason.advice());
        }
    }
}
