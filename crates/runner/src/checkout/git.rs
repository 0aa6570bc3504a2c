//! From a git repository: by the `git` of the runner's host, as processes of an environment there,
//! so that it is ended like any other step.

use std::io;
use std::path::Path;

use outrider_executor::ExecRequest;
use outrider_model::plan::CheckoutMethod;
use outrider_model::report::{Exit, Usage};

use super::Ended;
use super::mirror::{Mirror, Mirrors, SAY};
use super::variables::{Variables, add_repository, for_git};
use crate::attempt::StepContext;
use crate::driver::Failure;
use crate::ssh_keys;

/// What is to be checked out.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// What the job calls the directory that the code goes to.
    pub called: &'a Path,
    pub url: &'a str,
    pub revision: Option<&'a str>,
    pub reference: Option<&'a str>,
    pub branch: Option<&'a str>,
    pub method: CheckoutMethod,
}

/// Fetches, unless that was done, and checks out. Scripts take everything from variables, so that
/// no value is ever read as a part of them.
const CHECK_OUT: &str = concat!(include_str!("common.sh"), include_str!("git.sh"));
/// Fetches by way of the mirror.
const FETCH: &str = concat!(include_str!("common.sh"), include_str!("mirror.sh"));
/// How a script ends that finds the mirror damaged.
const DAMAGED: i32 = 65;

/// Runs git, with the SSH keys of the project where the repository is reached by SSH.
pub async fn run(context: &StepContext, path: &str, wanted: &Wanted<'_>) -> Ended {
    if !is_ssh(wanted.url) || context.secrets.ssh_keys.is_empty() {
        return run_with(context, path, wanted).await;
    }
    let lent = ssh_keys::lend(context).await?;
    let ended = match lent.ended {
        (exit, _) if exit.success() => run_with(&lent.context, path, wanted).await,
        ended => Ok(ended),
    };
    lent.take_back().await;
    ended
}

/// `ssh://host/path`, or `user@host:path`.
fn is_ssh(url: &str) -> bool {
    match url.split_once("://") {
        Some((scheme, _)) => scheme.eq_ignore_ascii_case("ssh"),
        None => url
            .split_once(':')
            .is_some_and(|(host, _)| !host.contains('/')),
    }
}

/// What `ssh` is called with for git, so that nothing asks anybody.
pub fn ssh_command(context: &StepContext) -> String {
    let mirrors = context.workshop.settings.mirrors.as_ref();
    let known_hosts = mirrors.map(|directory| Mirrors::known_hosts_in(directory));
    super::variables::ssh(known_hosts.as_deref())
}

async fn run_with(context: &StepContext, path: &str, wanted: &Wanted<'_>) -> Ended {
    let mirrors = open_mirrors(context).await;
    let checkout = Checkout {
        context,
        variables: variables(context, path, wanted, mirrors.as_ref()),
    };
    // A mirror has everything, so it is no help to whoever wants little.
    let shallow = matches!(wanted.method, CheckoutMethod::Shallow { .. });
    if let Some(mirrors) = mirrors.filter(|_| !shallow) {
        let mirror = mirrors.path(&context.task.payload.trigger, wanted.url);
        let ended = checkout.by_mirror(&mirror).await?;
        mirrors.sweep(context.workshop.clock.now()).await;
        if let Some(ended) = ended {
            return Ok(ended);
        }
    }
    checkout.exec(CHECK_OUT, &[]).await
}

/// The runner's mirrors, where steps see the files of its host.
async fn open_mirrors(context: &StepContext) -> Option<Mirrors> {
    let directory = context.workshop.settings.mirrors.as_ref()?;
    let seen = context.environment.resolve("~");
    context
        .environment
        .files()
        .here()
        .filter(|at| *at == seen)?;
    match Mirrors::open(directory) {
        Ok(mirrors) => Some(mirrors),
        Err(error) => {
            let text = format!("No mirror is used: {}: {error}", directory.display());
            context.say(&text).await;
            None
        }
    }
}

fn variables(
    context: &StepContext,
    path: &str,
    wanted: &Wanted<'_>,
    mirrors: Option<&Mirrors>,
) -> Variables {
    let directory = context.environment.resolve(path);
    let directory = directory.to_string_lossy().into_owned();
    let known_hosts = mirrors.map(Mirrors::known_hosts);
    let mut variables = for_git(&context.variables, known_hosts.as_deref());
    add_repository(&mut variables, wanted.url, &directory);
    let (filter, depth) = match wanted.method {
        CheckoutMethod::Blobless => ("blob:none", String::new()),
        CheckoutMethod::Full => ("", String::new()),
        CheckoutMethod::Shallow { depth } => ("", depth.to_string()),
    };
    let known_hosts = known_hosts.unwrap_or_default();
    let own = [
        ("DIRECTORY", directory),
        ("CALLED", wanted.called.to_string_lossy().into_owned()),
        ("URL", wanted.url.to_owned()),
        ("REVISION", wanted.revision.unwrap_or_default().to_owned()),
        ("REFERENCE", wanted.reference.unwrap_or_default().to_owned()),
        ("BRANCH", wanted.branch.unwrap_or_default().to_owned()),
        ("FILTER", filter.to_owned()),
        ("DEPTH", depth),
        ("DAMAGED", DAMAGED.to_string()),
        ("KNOWN_HOSTS", known_hosts.to_string_lossy().into_owned()),
    ];
    variables.extend(own.map(|(name, value)| (variable(name), value)));
    // A job's exports are not for these scripts.
    variables.remove("BASH_ENV");
    variables
}

fn variable(name: &str) -> String {
    format!("OUTRIDER_CHECKOUT_{name}")
}

/// One checkout at work.
struct Checkout<'a> {
    context: &'a StepContext,
    variables: Variables,
}

/// What became of an attempt to use a mirror.
enum Tried {
    /// The checkout has ended, well or not.
    Ended(Exit, Option<Usage>),
    /// The mirror does not hold what it should.
    Damaged,
    /// The runner cannot use its own files.
    Unusable(io::Error),
}

impl Checkout<'_> {
    /// A damaged mirror is made anew, once. None if there is none to use then.
    async fn by_mirror(&self, path: &Path) -> Result<Option<(Exit, Option<Usage>)>, Failure> {
        let mut tried = self.try_mirror(path, false).await?;
        if let Tried::Damaged = tried {
            let text = "The mirror of this runner is damaged: it is made anew";
            self.context.say(text).await;
            tried = self.try_mirror(path, true).await?;
        }
        let why = match tried {
            Tried::Ended(exit, usage) => return Ok(Some((exit, usage))),
            Tried::Damaged => "it is damaged again".to_owned(),
            Tried::Unusable(error) => error.to_string(),
        };
        let text = format!("Going on without the mirror of this runner: {why}");
        self.context.say(&text).await;
        Ok(None)
    }

    async fn try_mirror(&self, path: &Path, anew: bool) -> Result<Tried, Failure> {
        let mirror = match Mirror::lock(self.context, path.to_owned()).await {
            Ok(Some(mirror)) => mirror,
            Ok(None) => return Ok(Tried::Ended(Exit::Signal(15), None)),
            Err(error) => return Ok(Tried::Unusable(error)),
        };
        if anew && let Err(error) = mirror.remove() {
            return Ok(Tried::Unusable(error));
        }
        let (exit, usage) = self.fetch(&mirror).await?;
        if exit == Exit::Code(DAMAGED) {
            // It may be what has filled the disk.
            let _ = anew.then(|| mirror.remove());
            return Ok(Tried::Damaged);
        }
        // From here on the repository needs its mirror no more.
        drop(mirror);
        if exit != Exit::Code(0) || self.context.stop.is_cancelled() {
            return Ok(Tried::Ended(exit, usage));
        }
        let seeded = [("SEEDED", "1".to_owned())];
        Ok(match self.exec(CHECK_OUT, &seeded).await? {
            (Exit::Code(DAMAGED), _) => Tried::Damaged,
            (exit, usage) => Tried::Ended(exit, usage),
        })
    }

    /// Says now and then how much has arrived: git is silent, and a large repository takes longer
    /// than a step may be.
    async fn fetch(&self, mirror: &Mirror) -> Ended {
        let place = [("MIRROR", mirror.path().to_string_lossy().into_owned())];
        let fetching = self.exec(FETCH, &place);
        tokio::pin!(fetching);
        let mut said = mirror.bytes();
        loop {
            tokio::select! {
                ended = &mut fetching => return ended,
                () = tokio::time::sleep(SAY) => {
                    let bytes = mirror.bytes();
                    if bytes > said {
                        said = bytes;
                        let text = format!("The mirror has {} MB now", bytes / 1_000_000);
                        self.context.say(&text).await;
                    }
                }
            }
        }
    }

    async fn exec(&self, script: &str, more: &[(&str, String)]) -> Ended {
        let mut environment = self.variables.clone();
        let more = more.iter();
        environment.extend(more.map(|(name, value)| (variable(name), value.clone())));
        let request = ExecRequest {
            shell: vec!["/bin/sh".to_owned(), "-eu".to_owned()],
            script: script.to_owned(),
            environment,
            working_directory: self.context.environment.resolve("~"),
        };
        self.context.exec(request).await
    }
}
