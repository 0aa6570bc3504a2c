//! From a directory of the runner's own host: the working tree as it is, or its `HEAD`.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::copy::Copier;
use super::host_git::HostGit;
use crate::attempt::StepContext;
use crate::driver::Failure;

/// Where the source lies, as git sees it.
enum Kind {
    /// The root of a repository.
    Root,
    /// A directory inside a repository, and where in it.
    Inside(OsString),
    /// No git.
    Plain,
}

/// Whose objects a clone has.
#[derive(Clone, Copy, Debug)]
pub enum Objects {
    /// It borrows those of the source: cheap, whatever the history.
    Borrowed,
    /// Its own, so that it can be taken to where the source is not seen. On one file system they are
    /// hard links.
    Own,
}

impl Objects {
    /// What tells `git clone` so. A source that borrows itself would pass that on.
    const fn option(self) -> &'static str {
        match self {
            Self::Borrowed => "--shared",
            Self::Own => "--dissociate",
        }
    }
}

/// Puts the code from `source` into `target`.
pub async fn run(
    context: &StepContext,
    source: &Path,
    target: &Path,
    committed: bool,
    objects: Objects,
) -> Result<(), Failure> {
    check(source, target)?;
    let git = HostGit::new(&context.variables);
    let kind = kind(&git, source).await?;
    match (kind, committed) {
        (Kind::Root, true) => {
            context
                .say(&format!("Checking out HEAD of {}", source.display()))
                .await;
            clone(&git, source, target, objects).await?;
            git.run(target, &["checkout", "--quiet", "--force"]).await?;
            Ok(())
        }
        (Kind::Inside(prefix), true) => {
            context
                .say(&format!(
                    "Taking HEAD of {}, without its history",
                    source.display()
                ))
                .await;
            take_head(&git, source, &prefix, target).await
        }
        (Kind::Root, false) => {
            let text = "Copying the working tree of {}, uncommitted changes included";
            context
                .say(&text.replace("{}", &source.display().to_string()))
                .await;
            clone(&git, source, target, objects).await?;
            // Without a commit there is no index to make.
            let _ = git.run(target, &["read-tree", "HEAD"]).await;
            copy_listed(context, &git, source, target).await
        }
        (Kind::Inside(_), false) => {
            let text = "Copying {}, uncommitted changes included, without the repository around it";
            context
                .say(&text.replace("{}", &source.display().to_string()))
                .await;
            copy_listed(context, &git, source, target).await
        }
        (Kind::Plain, false) => {
            let text = "{} is not in a git repository: copying everything in it";
            context
                .say(&text.replace("{}", &source.display().to_string()))
                .await;
            copy(context, source, target, vec![PathBuf::new()]).await
        }
        (Kind::Plain, true) => Err(Failure::User(format!(
            "{} is not in a git repository, so it has no committed state. Run without --committed",
            source.display()
        ))),
    }
}

fn check(source: &Path, target: &Path) -> Result<(), Failure> {
    if !source.is_dir() {
        let text = format!("there is no directory {} on this host", source.display());
        return Err(Failure::User(text));
    }
    let mut there = match target.read_dir() {
        Ok(there) => there.flatten(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(&error)),
    };
    let own = |name: OsString| name.as_encoded_bytes().starts_with(b".outrider-");
    if there.any(|item| !own(item.file_name())) {
        let text = "{} is not empty. Give checkout another path, or remove what is in there";
        return Err(Failure::User(
            text.replace("{}", &target.display().to_string()),
        ));
    }
    Ok(())
}

async fn kind(git: &HostGit, source: &Path) -> Result<Kind, Failure> {
    // Asked without git, so that a repository that git refuses to read is not taken for none.
    if !source.ancestors().any(|above| above.join(".git").exists()) {
        return Ok(Kind::Plain);
    }
    let prefix = git.path(source, &["rev-parse", "--show-prefix"]).await?;
    if prefix.as_os_str().is_empty() {
        return Ok(Kind::Root);
    }
    // A directory that the repository around it ignores is none of its own.
    if git
        .run(source, &["check-ignore", "--quiet", "."])
        .await
        .is_ok()
    {
        return Ok(Kind::Plain);
    }
    Ok(Kind::Inside(prefix.into_os_string()))
}

async fn clone(
    git: &HostGit,
    source: &Path,
    target: &Path,
    objects: Objects,
) -> Result<(), Failure> {
    std::fs::create_dir_all(target).map_err(|error| failed(&error))?;
    // git refuses to clone into a directory that holds the runner's own files.
    let aside = target.join(".outrider-clone");
    let arguments: [OsString; 7] = [
        "clone".into(),
        "--quiet".into(),
        objects.option().into(),
        "--no-checkout".into(),
        "--".into(),
        source.into(),
        aside.clone().into(),
    ];
    git.run(source, &arguments).await?;
    let moved = std::fs::rename(aside.join(".git"), target.join(".git"))
        .and_then(|()| std::fs::remove_dir(&aside));
    moved.map_err(|error| failed(&error))
}

async fn take_head(
    git: &HostGit,
    source: &Path,
    prefix: &std::ffi::OsStr,
    target: &Path,
) -> Result<(), Failure> {
    std::fs::create_dir_all(target).map_err(|error| failed(&error))?;
    let root = git.path(source, &["rev-parse", "--show-toplevel"]).await?;
    // Its index then holds this part of the tree alone.
    let mut tree = OsString::from("HEAD:");
    tree.push(prefix);
    let bare = target.join(".outrider-clone");
    let clone: [OsString; 7] = [
        "clone".into(),
        "--quiet".into(),
        Objects::Borrowed.option().into(),
        "--bare".into(),
        "--".into(),
        root.into(),
        bare.clone().into(),
    ];
    git.run(source, &clone).await?;
    git.run(&bare, &[OsString::from("read-tree"), tree]).await?;
    let mut place = OsString::from("--git-dir=");
    place.push(&bare);
    let out = ["--work-tree=.", "checkout-index", "--all", "--force"].map(OsString::from);
    let arguments: Vec<OsString> = std::iter::once(place).chain(out).collect();
    git.run(target, &arguments).await?;
    std::fs::remove_dir_all(&bare).map_err(|error| failed(&error))
}

async fn copy_listed(
    context: &StepContext,
    git: &HostGit,
    source: &Path,
    target: &Path,
) -> Result<(), Failure> {
    let mut files = Vec::new();
    let mut repositories = vec![PathBuf::new()];
    // Submodules and repositories inside the repository are listed as directories: each is asked
    // for its own files.
    while let Some(inside) = repositories.pop() {
        for file in git.files(&source.join(&inside)).await? {
            let path = inside.join(file);
            let full = source.join(&path);
            let nested = full.symlink_metadata().is_ok_and(|meta| meta.is_dir());
            if nested && full.join(".git").exists() {
                repositories.push(path);
            } else if !nested {
                files.push(path);
            }
        }
    }
    copy(context, source, target, files).await
}

async fn copy(
    context: &StepContext,
    source: &Path,
    target: &Path,
    paths: Vec<PathBuf>,
) -> Result<(), Failure> {
    let real = |path: &Path| path.canonicalize().map_err(|error| failed(&error));
    std::fs::create_dir_all(target).map_err(|error| failed(&error))?;
    let mut copier = Copier::new(real(source)?, real(target)?, context.stop.clone());
    let copied = tokio::task::spawn_blocking(move || {
        let inside = |path: &PathBuf| {
            // The job's own directory may lie below the source.
            let root = copier.from().join(path);
            !path.as_os_str().is_empty() && root.starts_with(copier.to())
        };
        let paths: Vec<PathBuf> = paths.into_iter().filter(|path| !inside(path)).collect();
        paths
            .iter()
            .try_for_each(|path| copier.copy(path))
            .map(|()| copier)
    });
    let copier = copied
        .await
        .map_err(|error| failed(&io::Error::other(error)))?;
    let copier = copier.map_err(|error| failed(&error))?;
    let files = if copier.files == 1 { "file" } else { "files" };
    context
        .say(&format!("{} {files} copied", copier.files))
        .await;
    if copier.skipped > 0 {
        let text = format!("{} sockets, pipes or devices passed over", copier.skipped);
        context.say(&text).await;
    }
    Ok(())
}

/// A full disk is the host's matter; the rest is about the files.
fn failed(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Failure::Infrastructure(format!("cannot copy the code: {error}"))
        }
        _ => Failure::User(format!("cannot copy the code: {error}")),
    }
}
