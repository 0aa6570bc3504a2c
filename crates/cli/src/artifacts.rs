//! `outrider artifacts`

use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use outrider_api::client::{Client, ClientError};
use outrider_api::outputs::Artifact;
use outrider_model::JobId;

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, code};
use crate::show::{self, Table, hint, say};

/// What to do with artifacts.
#[derive(Subcommand)]
pub enum ArtifactsVerb {
    /// List the files that a job stored.
    List(ListArgs),
    /// Download files that a job stored: all of them, or those that are named.
    Get(GetArgs),
}

/// Whose artifacts.
#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The job's id, from `outrider pipeline show`.
    job: JobId,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Which artifacts, and where to.
#[derive(Args)]
pub struct GetArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The job's id, from `outrider pipeline show`.
    job: JobId,
    /// Only these files and what lies below these folders, as `outrider artifacts list` names them.
    paths: Vec<String>,
    /// Only those of the task with this index, from 0.
    #[arg(long, value_name = "N")]
    index: Option<u32>,
    /// The folder to put them in. Of a job of several tasks each has a folder of its own there.
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    output: PathBuf,
    /// Write the one file that is named to standard output.
    #[arg(long, conflicts_with = "output")]
    stdout: bool,
}

/// Does it.
pub async fn run(verb: ArtifactsVerb) -> Result<ExitCode, Failure> {
    match verb {
        ArtifactsVerb::List(args) => list(&args).await?,
        ArtifactsVerb::Get(args) => get(args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(args: &ListArgs) -> Result<(), Failure> {
    let list = args.connection.client()?.artifacts(args.job).await?;
    if args.json {
        show::json(&list);
        return Ok(());
    }
    let mut table = Table::new(["INDEX", "SIZE", "PATH"]);
    for artifact in &list.artifacts {
        let size = artifact.size.to_string();
        table.row([artifact.index.to_string(), size, artifact.path.clone()]);
    }
    table.print("It has stored no artifacts.");
    Ok(())
}

async fn get(args: GetArgs) -> Result<(), Failure> {
    let client = args.connection.client()?;
    let all = client.artifacts(args.job).await?.artifacts;
    let wanted: Vec<&Artifact> = all.iter().filter(|artifact| args.wants(artifact)).collect();
    if wanted.is_empty() {
        return Err(
            Failure::new(code::NOT_FOUND, "the job has no such artifacts").advise(format!(
                "See what it has: outrider artifacts list {}",
                args.job
            )),
        );
    }
    if args.stdout {
        let [one] = wanted[..] else {
            let text = format!("{} files fit, and --stdout takes one", wanted.len());
            return Err(Failure::new(code::FAILED, text).advise("Name one file, and its --index."));
        };
        return copy(&client, one, &mut std::io::stdout().lock()).await;
    }
    let several = all.iter().any(|artifact| artifact.index > 0);
    for artifact in wanted {
        let folder = match several {
            true => args.output.join(artifact.index.to_string()),
            false => args.output.clone(),
        };
        let file = save(&client, artifact, &folder).await?;
        say!("{}", file.display());
    }
    Ok(())
}

impl GetArgs {
    fn wants(&self, artifact: &Artifact) -> bool {
        let named = |path: &String| {
            let path = path.trim_end_matches('/');
            artifact
                .path
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.index.is_none_or(|index| index == artifact.index)
            && (self.paths.is_empty() || self.paths.iter().any(named))
    }
}

/// Downloads an artifact into a folder. The file is there whole, or not at all.
pub async fn save(client: &Client, artifact: &Artifact, folder: &Path) -> Result<PathBuf, Failure> {
    let relative = Path::new(&artifact.path);
    let plain = |part| matches!(part, Component::Normal(_));
    if !relative.components().all(plain) {
        let text = format!(
            "the artifact {:?} would lie outside of the folder",
            artifact.path
        );
        return Err(Failure::new(code::FAILED, text));
    }
    let file = folder.join(relative);
    let above = file.parent().unwrap_or(folder);
    let wrong = |error| Failure::cannot_write(file.display(), anyhow::Error::from(error));
    std::fs::create_dir_all(above).map_err(wrong)?;
    let mut new = tempfile::NamedTempFile::new_in(above).map_err(wrong)?;
    copy(client, artifact, &mut new).await?;
    new.persist(&file).map_err(|error| wrong(error.error))?;
    Ok(file)
}

async fn copy(client: &Client, artifact: &Artifact, to: &mut impl Write) -> Result<(), Failure> {
    let mut answer = client.artifact(artifact.task, &artifact.path).await?;
    let mut length = 0;
    let broken = |error: reqwest::Error| ClientError::Unreachable {
        url: client.url().to_owned(),
        source: error.into(),
    };
    while let Some(piece) = answer.chunk().await.map_err(broken)? {
        length += piece.len() as u64;
        to.write_all(&piece)
            .map_err(|error| Failure::cannot_write(&artifact.path, error))?;
    }
    if length != artifact.size {
        let text = format!(
            "{} ended after {length} of {} bytes",
            artifact.path, artifact.size
        );
        return Err(Failure::new(code::UNAVAILABLE, text).advise("Try again."));
    }
    Ok(())
}

/// Downloads what all jobs of a pipeline have stored: a folder for each job, and in it one for each
/// of several tasks.
pub async fn save_all(
    client: &Client,
    jobs: impl IntoIterator<Item = (JobId, String)>,
    folder: &Path,
) -> Result<(), Failure> {
    let mut count = 0;
    for (job, name) in jobs {
        let artifacts = client.artifacts(job).await?.artifacts;
        let several = artifacts.iter().any(|artifact| artifact.index > 0);
        let of_job = folder.join(name.replace('/', "-"));
        for artifact in &artifacts {
            let folder = match several {
                true => of_job.join(artifact.index.to_string()),
                false => of_job.clone(),
            };
            save(client, artifact, &folder).await?;
        }
        count += artifacts.len();
    }
    hint!("{count} artifacts are in {}", folder.display());
    Ok(())
}
