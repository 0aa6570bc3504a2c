//! `outrider artifacts`

use std::io::{ErrorKind, Write};
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
    #[arg(short, long, default_value = "artifacts", value_name = "DIR")]
    output: PathBuf,
    /// Overwrite files that are there.
    #[arg(long, conflicts_with = "stdout")]
    force: bool,
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
        table.row([
            artifact.index.to_string(),
            size,
            show::plain(&artifact.path),
        ]);
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
    let existing = match args.force {
        true => Existing::Overwrite,
        false => Existing::Keep,
    };
    // What is refused is refused before anything is written.
    let targets = wanted.into_iter().map(|artifact| {
        let folder = folder_of(artifact, several, &args.output);
        Ok((artifact, target(&folder, &artifact.path, existing)?))
    });
    for (artifact, file) in targets.collect::<Result<Vec<_>, Failure>>()? {
        save(&client, artifact, &file, existing).await?;
        say!("{}", show::plain(&file.to_string_lossy()));
    }
    Ok(())
}

/// Of a job of several tasks each has a folder of its own.
fn folder_of(artifact: &Artifact, several: bool, folder: &Path) -> PathBuf {
    match several {
        true => folder.join(artifact.index.to_string()),
        false => folder.to_owned(),
    }
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

/// What becomes of files that are there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Keep,
    Overwrite,
}

/// Where an artifact goes. Its path is what some job says, perhaps one of a stranger's pull request:
/// it leads neither out of the folder nor to what git runs.
fn target(folder: &Path, path: &str, existing: Existing) -> Result<PathBuf, Failure> {
    let refused = |why: &str| {
        let text = format!("the artifact {path:?} {why}");
        Failure::new(code::FAILED, text)
    };
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) if name.eq_ignore_ascii_case(".git") => {
                return Err(refused("would lie in a folder of git")
                    .advise("Name the others, or look at this one with --stdout."));
            }
            Component::Normal(_) => {}
            _ => return Err(refused("would lie outside of the folder")),
        }
    }
    let file = folder.join(path);
    if existing == Existing::Keep && file.symlink_metadata().is_ok() {
        return Err(is_there(&file));
    }
    Ok(file)
}

fn is_there(file: &Path) -> Failure {
    let text = format!("{file:?} is there already");
    Failure::new(code::FAILED, text)
        .advise("Overwrite it with --force, or choose another folder with --output.")
}

/// Downloads an artifact to a file, which is there when it is complete.
async fn save(
    client: &Client,
    artifact: &Artifact,
    file: &Path,
    existing: Existing,
) -> Result<(), Failure> {
    let above = file.parent().unwrap_or(file);
    let wrong = |error| Failure::cannot_write(file.display(), anyhow::Error::from(error));
    std::fs::create_dir_all(above).map_err(wrong)?;
    let mut new = tempfile::NamedTempFile::new_in(above).map_err(wrong)?;
    copy(client, artifact, &mut new).await?;
    let kept = match existing {
        Existing::Keep => new.persist_noclobber(file),
        Existing::Overwrite => new.persist(file),
    };
    match kept {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Err(is_there(file)),
        Err(error) => Err(wrong(error.error)),
    }
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
        let of_job = folder.join(folder_name(&name));
        for artifact in &artifacts {
            let folder = folder_of(artifact, several, &of_job);
            // What lies there is of an earlier run.
            let existing = Existing::Overwrite;
            let file = target(&folder, &artifact.path, existing)?;
            save(client, artifact, &file, existing).await?;
        }
        count += artifacts.len();
    }
    hint!("{count} artifacts are in {}", folder.display());
    Ok(())
}

/// A job's name as that of one folder, which is neither `..` nor hidden.
fn folder_name(job: &str) -> String {
    let name = job.replace('/', "-");
    match name.strip_prefix('.') {
        Some(rest) => format!("-{rest}"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifacts_lie_in_the_folder_and_not_in_one_of_git() {
        let folder = Path::new("out");
        for path in ["a", "a/b.c", "a/.github/x", "a/git", ".gitignore"] {
            let file = target(folder, path, Existing::Keep);
            assert_eq!(file.ok(), Some(folder.join(path)));
        }
        for path in [
            "../a",
            "a/../../b",
            "/etc/passwd",
            ".git/hooks/post-checkout",
            "a/.GIT/config",
            ".git",
        ] {
            for existing in [Existing::Keep, Existing::Overwrite] {
                assert!(target(folder, path, existing).is_err(), "{path}");
            }
        }
    }

    #[test]
    fn what_is_there_is_kept_unless_that_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "mine").unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
        for path in ["a", "link"] {
            assert!(target(folder.path(), path, Existing::Keep).is_err());
            assert!(target(folder.path(), path, Existing::Overwrite).is_ok());
        }
    }

    #[test]
    fn a_job_has_a_folder_whatever_it_is_called() {
        for (job, folder) in [
            ("build", "build"),
            ("orb/build", "orb-build"),
            ("..", "-."),
            (".", "-"),
            (".git", "-git"),
            ("../x", "-.-x"),
        ] {
            assert_eq!(folder_name(job), folder);
        }
    }
}
