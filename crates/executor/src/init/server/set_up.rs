//! Makes the container ready for a task.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outrider_model::AttemptId;
use rustix::fs::{Mode, OFlags, openat};
use rustix::process::{Gid, Uid, getgid, getuid};
use tokio::time::timeout;

use super::accounts::{Account, Accounts};
use super::files::Files;
use super::launch::{self, infrastructure};
use super::processes::kill_session;
use crate::ExecutorError;
use crate::init::{Ready, SetUp};
use crate::process::clone::Credentials;
use crate::process::proc::Identity;

const BASH: &str = "/bin/bash";
const SH: &str = "/bin/sh";
/// How long a shell may take that is asked what it knows: it is the image's, and may never end.
const PROBE: Duration = Duration::from_secs(60);
/// What programs are looked for in where neither the image nor the config says it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is needed to start processes for the task.
pub(super) struct Prepared {
    pub attempt: AttemptId,
    /// None: steps run as we do.
    pub credentials: Option<Credentials>,
    pub memory_limit: Option<u64>,
    pub tool: Vec<String>,
    pub scripts: Scripts,
    pub files: Files,
}

pub(super) async fn prepare(set_up: SetUp) -> Result<(Prepared, Ready), ExecutorError> {
    let account = account(set_up.user.as_deref())?;
    let mut groups = account.groups.clone();
    groups.extend(&set_up.extra_groups);
    let credentials = getuid().is_root().then_some(Credentials {
        uid: account.uid,
        gid: account.gid,
        groups,
    });
    name_hosts(&set_up.hosts)?;
    let home = home(&account, set_up.environment.get("HOME"))?;
    if let Some(given) = &set_up.given
        && getuid().is_root()
    {
        let given = chown(given, Some(account.uid), Some(account.gid));
        given.map_err(|error| infrastructure("the job's folder has no owner", error))?;
    }
    let working_directory = crate::resolve(&home, &home, &set_up.working_directory);
    make_for(&working_directory, &account).map_err(|error| {
        let message = format!(
            "the working directory `{}` could not be created\n\
             choose another one with `working_directory`",
            working_directory.display()
        );
        ExecutorError::user(message, error)
    })?;
    let files = Files::start(credentials.clone());
    let files =
        files.map_err(|error| infrastructure("a thread for files could not be started", error))?;
    let prepared = Prepared {
        files,
        attempt: set_up.attempt,
        credentials,
        memory_limit: set_up.memory_limit,
        tool: set_up.tool,
        scripts: Scripts::make(set_up.attempt, &home)?,
    };
    let variables = variables(set_up.environment, &account, &home);
    let ready = Ready {
        shell: default_shell(&prepared, &variables).await,
        home,
        user: account.name,
        uid: account.uid,
        gid: account.gid,
        working_directory,
        variables,
    };
    Ok((prepared, ready))
}

/// Only root can become somebody else.
fn account(user: Option<&str>) -> Result<Account, ExecutorError> {
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    let wanted = user.filter(|user| !user.is_empty());
    let account = match wanted {
        Some(user) => Accounts::read().find(user)?,
        None => Account {
            gid,
            ..Accounts::read().find(&uid.to_string())?
        },
    };
    if uid != 0 && account.uid != uid {
        let message = format!(
            "the container's first process is not root, and cannot become `{}`\n\
             start the container as root",
            account.name
        );
        return Err(ExecutorError::infrastructure(message, None));
    }
    Ok(account)
}

fn variables(
    mut variables: BTreeMap<String, String>,
    account: &Account,
    home: &Path,
) -> BTreeMap<String, String> {
    variables.insert("HOME".to_owned(), home.to_string_lossy().into_owned());
    variables.insert("USER".to_owned(), account.name.clone());
    let path = variables.entry("PATH".to_owned());
    path.or_insert_with(|| PATH.to_owned());
    variables
}

/// The image's word counts first, as in container engines. A home that is not there is made, and
/// one that the user cannot write to is replaced.
fn home(account: &Account, named: Option<&String>) -> Result<PathBuf, ExecutorError> {
    let named = named.map(PathBuf::from).filter(|home| home.is_absolute());
    let usual = || PathBuf::from(if account.uid == 0 { "/root" } else { "/" });
    let first = named.or_else(|| account.home.clone()).unwrap_or_else(usual);
    let candidates = [
        first,
        Path::new("/home").join(&account.name),
        Path::new("/tmp/home").join(account.uid.to_string()),
    ];
    let mut last = None;
    for home in candidates {
        match make_for(&home, account) {
            Ok(()) if is_writable(&home, account) => return Ok(home),
            Ok(()) => {}
            Err(error) => last = Some(error),
        }
    }
    let error = last.unwrap_or_else(|| io::ErrorKind::PermissionDenied.into());
    let what = format!("there is no home for the user `{}`", account.name);
    Err(infrastructure(&what, error))
}

fn is_writable(directory: &Path, account: &Account) -> bool {
    let Ok(found) = directory.metadata() else {
        return false;
    };
    let of_group = found.gid() == account.gid || account.groups.contains(&found.gid());
    let needed = match () {
        () if account.uid == 0 => 0,
        () if found.uid() == account.uid => 0o300,
        () if of_group => 0o030,
        () => 0o003,
    };
    found.mode() & needed == needed
}

/// Makes a directory and those above it that are not there. Those belong to the user then.
fn make_for(path: &Path, account: &Account) -> io::Result<()> {
    let is_missing = |path: &&Path| matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound);
    let missing: Vec<_> = path.ancestors().take_while(is_missing).collect();
    for path in missing.into_iter().rev() {
        DirBuilder::new().mode(0o755).create(path)?;
        if getuid().is_root() {
            chown(path, Some(account.uid), Some(account.gid))?;
        }
    }
    if path.is_dir() {
        return Ok(());
    }
    Err(io::ErrorKind::NotADirectory.into())
}

/// The names of services mean this host, whose network they share.
fn name_hosts(names: &[String]) -> Result<(), ExecutorError> {
    if names.is_empty() {
        return Ok(());
    }
    if let Some(bad) = names.iter().find(|name| !is_host_name(name)) {
        let message = format!(
            "`{}` is no host name\ngive the service another `name`",
            bad.escape_debug()
        );
        return Err(ExecutorError::user(message, None));
    }
    let lines: String = names
        .iter()
        .map(|name| format!("127.0.0.1 {name}\n"))
        .collect();
    let append = || {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open("/etc/hosts")?;
        file.write_all(lines.as_bytes())
    };
    append().map_err(|error: io::Error| {
        infrastructure(
            "the services' names could not be written to `/etc/hosts`",
            error,
        )
    })
}

fn is_host_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !name.is_empty() && name.chars().all(fits)
}

async fn default_shell(prepared: &Prepared, variables: &BTreeMap<String, String>) -> Vec<String> {
    let words: &[&str] = if Path::new(BASH).exists() {
        &[BASH, "-eo", "pipefail"]
    } else if knows_pipefail(prepared, variables).await {
        &[SH, "-eo", "pipefail"]
    } else {
        &[SH, "-e"]
    };
    words.iter().map(|&word| word.to_owned()).collect()
}

async fn knows_pipefail(prepared: &Prepared, variables: &BTreeMap<String, String>) -> bool {
    let words = [SH, "-o", "pipefail", "-c", ":"];
    let Ok(child) = launch::probe(prepared, &words, variables) else {
        return false;
    };
    if let Ok(ended) = timeout(PROBE, child.wait()).await {
        return ended.is_ok_and(|ended| ended.exit.success());
    }
    if let Some(leader) = Identity::of(child.pid()) {
        kill_session(leader);
    }
    let _ = child.wait().await;
    false
}

/// Where scripts are: in a folder of ours that others can only pass through, each readable for its
/// user alone.
pub(super) struct Scripts {
    attempt: AttemptId,
    home: PathBuf,
    folder: Mutex<Folder>,
    count: AtomicUsize,
}

struct Folder {
    path: PathBuf,
    opened: OwnedFd,
}

impl Scripts {
    fn make(attempt: AttemptId, home: &Path) -> Result<Self, ExecutorError> {
        let folder = Folder::make(attempt, 0, home);
        let folder = folder
            .map_err(|error| infrastructure("there is no place for the steps' scripts", error))?;
        Ok(Self {
            attempt,
            home: home.to_owned(),
            folder: Mutex::new(folder),
            count: AtomicUsize::new(0),
        })
    }

    /// Writes a script, and says where it is. The folder is made anew where a step has removed it:
    /// many clean up all of `/tmp`.
    pub fn write(&self, text: &str, owner: Option<&Credentials>) -> io::Result<PathBuf> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let mut folder = self.folder();
        match folder.write(number, text, owner) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *folder = Folder::make(self.attempt, number, &self.home)?;
                folder.write(number, text, owner)
            }
            written => written,
        }
    }

    /// Nothing runs any more that needs them.
    pub fn remove(&self) {
        let _ = crate::process::remove_all(&self.folder().path);
    }

    fn folder(&self) -> MutexGuard<'_, Folder> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Folder {
    fn make(attempt: AttemptId, number: usize, home: &Path) -> io::Result<Self> {
        let make = |parent: &Path| {
            let name = match number {
                0 => format!(".outrider-{attempt}"),
                number => format!(".outrider-{attempt}-{number}"),
            };
            let path = parent.join(name);
            // It must be new: what is there could be a link to anywhere.
            DirBuilder::new().mode(0o711).create(&path)?;
            let opened = File::open(&path)?.into();
            Ok(Self { path, opened })
        };
        make(Path::new("/tmp")).or_else(|_: io::Error| make(home))
    }

    fn write(&self, number: usize, text: &str, owner: Option<&Credentials>) -> io::Result<PathBuf> {
        let name = format!("{number}.sh");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        // Through the descriptor: whoever puts another folder in the place of ours gains nothing.
        let mode = Mode::RUSR | Mode::WUSR;
        let mut file = File::from(openat(&self.opened, &name, flags, mode)?);
        file.write_all(text.as_bytes())?;
        if let Some(owner) = owner {
            let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
            rustix::fs::fchown(&file, Some(uid), Some(gid))?;
        }
        Ok(self.path.join(name))
    }
}
