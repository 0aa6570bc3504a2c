//! Gets all orbs that a config needs.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use futures_util::{StreamExt, stream};
use outrider_config::{Orb, OrbReference, Orbs};

use crate::files;
use crate::hash::ContentHash;
use crate::lock::{Lock, Locked};
use crate::settings::{InvalidSettings, Limits, Settings};
use crate::source::{
    BuiltIn, Cache, Directory, Found, Kind, Miss, Offline, Registry, Source, UrlOrbs, Wanted,
};
use crate::unresolved::{Problem, Tried, Unresolved, suggested_folder};

/// How many orbs are looked for at the same time.
const AT_ONCE: usize = 8;

/// Nothing can be resolved, or not everything that is needed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The lock file cannot be used.
    #[error(
        "{}{}: {problem}\n\
         take it from version control again, or write it anew with --update-orbs",
        path.display(), line.map(|line| format!(":{line}")).unwrap_or_default()
    )]
    Lock {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        line: Option<usize>,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no end of orbs.
    #[error(
        "the config needs more than {0} orbs\ntake some out of it, or of the orbs that it uses"
    )]
    TooMany(usize),
    /// They are too large.
    #[error(
        "the orbs of the config have more than {0} bytes\ntake some out of it, or of the orbs that it uses"
    )]
    TooLarge(usize),
    /// They use each other too deeply.
    #[error("orbs use orbs more than {0} deep\ntake one out of the chain")]
    TooDeep(usize),
}

/// What was resolved.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    /// The orbs, by how configs name them.
    pub orbs: Orbs,
    /// Those that could not be had.
    pub unresolved: Vec<Unresolved>,
    /// What people should know, each a fragment.
    pub warnings: Vec<String>,
}

/// Gets orbs.
pub struct Resolver {
    directories: Vec<Directory>,
    cache: Option<Cache>,
    urls: Box<dyn Source>,
    registry: Box<dyn Source>,
    suggested: PathBuf,
    update: bool,
    limits: Limits,
}

impl Resolver {
    /// A resolver with these sources.
    ///
    /// # Errors
    ///
    /// The settings make none.
    pub fn new(settings: &Settings) -> Result<Self, InvalidSettings> {
        let Settings { network, token, .. } = settings;
        let registry = Registry::new(&settings.registry, token.as_ref(), network)?;
        let urls = UrlOrbs::new(settings.url_prefixes.clone(), network)?;
        let cache = settings.cache.as_ref();
        let directories = settings.directories.iter();
        Ok(Self {
            cache: cache.map(|root| Cache::new(registry.cache_folder(root))),
            directories: directories.map(Directory::new).collect(),
            urls: if settings.offline {
                Box::new(Offline)
            } else {
                Box::new(urls)
            },
            registry: if settings.offline {
                Box::new(Offline)
            } else {
                Box::new(registry)
            },
            suggested: suggested_folder(settings.directories.first().map(PathBuf::as_path)),
            update: settings.update,
            limits: settings.limits,
        })
    }

    /// A resolver that has the orbs of these folders and of the program, and asks nobody.
    pub fn of_folders(directories: &[PathBuf]) -> Self {
        Self {
            directories: directories.iter().map(Directory::new).collect(),
            cache: None,
            urls: Box::new(Offline),
            registry: Box::new(Offline),
            suggested: suggested_folder(directories.first().map(PathBuf::as_path)),
            update: false,
            limits: Limits::default(),
        }
    }

    /// Gets what `missing` names, until it names nothing more that could be had. The lock file, if
    /// there is a place for one, is read before and written after.
    ///
    /// # Errors
    ///
    /// The lock file cannot be used, or the orbs are more than the limits allow. An orb that cannot
    /// be had is no error: the compiler tells of it at its place.
    pub async fn resolve(
        &self,
        lock_file: Option<&Path>,
        missing: impl Fn(&Orbs) -> Vec<OrbReference>,
    ) -> Result<Resolution, ResolveError> {
        let before = self.read_lock(lock_file)?;
        let mut work = Work::new(if self.update {
            Lock::default()
        } else {
            before.clone()
        });
        for _ in 0..=self.limits.depth {
            let next = work.next(missing(&work.done.orbs));
            if next.is_empty() {
                self.write_lock(lock_file, &before, &mut work);
                return Ok(work.done);
            }
            if work.asked.len() > self.limits.orbs {
                return Err(ResolveError::TooMany(self.limits.orbs));
            }
            self.round(next, &mut work).await;
            if work.bytes() > self.limits.bytes {
                return Err(ResolveError::TooLarge(self.limits.bytes));
            }
        }
        Err(ResolveError::TooDeep(self.limits.depth))
    }

    /// Looks for several orbs at the same time; the order of what comes of it is theirs.
    async fn round(&self, next: Vec<OrbReference>, work: &mut Work) {
        let searches: Vec<_> = next
            .into_iter()
            .map(|reference| {
                let locked = work.lock.get(&reference).cloned();
                self.search(reference, locked)
            })
            .collect();
        let mut results = stream::iter(searches).buffered(AT_ONCE);
        while let Some(result) = results.next().await {
            match result {
                Ok(answer) => work.take(answer),
                Err(unresolved) => work.done.unresolved.push(unresolved),
            }
        }
    }

    async fn search(
        &self,
        reference: OrbReference,
        locked: Option<Locked>,
    ) -> Result<Answer, Unresolved> {
        let wanted = Wanted {
            reference: locked
                .as_ref()
                .map_or_else(|| reference.clone(), |locked| locked.resolved.clone()),
            hash: locked.map(|locked| locked.hash),
        };
        let mut tried = Vec::new();
        let problem = match self.ask(&wanted, &mut tried).await {
            Ok((found, warning)) => {
                return Ok(Answer {
                    reference,
                    found,
                    warning,
                });
            }
            Err(problem) => problem,
        };
        Err(Unresolved {
            locked: (wanted.reference != reference).then_some(wanted.reference),
            reference,
            problem,
            tried,
            folder: self.suggested.clone(),
        })
    }

    /// Asks one source after the other. The result may come with a warning.
    async fn ask(
        &self,
        wanted: &Wanted,
        tried: &mut Vec<Tried>,
    ) -> Result<(Found, Option<String>), Problem> {
        for source in self.sources(wanted) {
            let mut note = |result| {
                let source = source.name();
                tried.push(Tried { source, result });
            };
            match source.find(wanted).await {
                Ok(found) => {
                    if let Some(problem) = changed(wanted, &found) {
                        note("has it".to_owned());
                        return Err(problem);
                    }
                    let warning = self.after(source, wanted, &found, tried).await;
                    return Ok((found, warning));
                }
                Err(Miss::Absent(reason)) => note(reason),
                Err(Miss::Unusable(reason)) => {
                    note(reason);
                    return Err(Problem::Unusable);
                }
            }
        }
        Err(Problem::NotFound)
    }

    /// Who is asked, in this order. What is in the cache is as good as any other if no later
    /// version can take its place; otherwise it is what remains when nobody else answers.
    fn sources(&self, wanted: &Wanted) -> Vec<&dyn Source> {
        let cache = self.cache.iter().map(|cache| cache as &dyn Source);
        let (directories, remote) = match wanted.reference {
            OrbReference::Url(_) => (&[][..], &self.urls),
            OrbReference::Registry { .. } => (&self.directories[..], &self.registry),
        };
        let directories = directories.iter().map(|directory| directory as &dyn Source);
        let built_in = BuiltIn::has(&wanted.reference).then_some(&BuiltIn as &dyn Source);
        let here = directories.chain(built_in);
        let remote = std::iter::once(&**remote);
        if wanted.is_fixed() {
            here.chain(cache).chain(remote).collect()
        } else {
            here.chain(remote).chain(cache).collect()
        }
    }

    /// Keeps what came from afar, and tells where the newest version is not known.
    async fn after(
        &self,
        source: &dyn Source,
        wanted: &Wanted,
        found: &Found,
        tried: &[Tried],
    ) -> Option<String> {
        if source.kind() == Kind::Remote
            && let Some(cache) = &self.cache
            && let Err(error) = cache.keep(found).await
        {
            return Some(format!("{} cannot be written: {error}", cache.name()));
        }
        let asked = tried
            .last()
            .filter(|_| source.kind() == Kind::Cache && !wanted.is_fixed())?;
        let resolved = found.resolved.as_ref()?;
        let reference = &wanted.reference;
        Some(format!(
            "{reference} is {resolved} from the cache, perhaps not the newest: {asked}"
        ))
    }

    fn read_lock(&self, path: Option<&Path>) -> Result<Lock, ResolveError> {
        let Some(path) = path else {
            return Ok(Lock::default());
        };
        let error = |line, problem| ResolveError::Lock {
            path: path.to_owned(),
            line,
            problem,
        };
        let read = || match files::read(path) {
            Ok(Some(text)) => Lock::parse(&text).map_err(|wrong| error(wrong.line, wrong.problem)),
            Ok(None) => Ok(Lock::default()),
            Err(problem) => Err(error(None, problem)),
        };
        match read() {
            // What is to be written anew need not be readable.
            Err(_) if self.update => Ok(Lock::default()),
            read => read,
        }
    }

    /// Writes the lock file if there is something new to say. An update that is not whole says
    /// nothing.
    fn write_lock(&self, path: Option<&Path>, before: &Lock, work: &mut Work) {
        let whole = !self.update || work.done.unresolved.is_empty();
        let Some(path) = path else { return };
        if !whole || work.lock.is_empty() || work.lock == *before {
            return;
        }
        if let Err(error) = files::replace(path, &work.lock.print()) {
            let warning = format!("{} cannot be written: {error}", path.display());
            work.done.warnings.push(warning);
        }
    }
}

/// Whether an orb is another than the one that is locked. One that stands for every version was
/// put there to take its place.
fn changed(wanted: &Wanted, found: &Found) -> Option<Problem> {
    let locked = wanted.hash.filter(|_| found.resolved.is_some())?;
    let found = ContentHash::of(&found.text);
    (found != locked).then_some(Problem::Changed { locked, found })
}

/// An orb that was found.
struct Answer {
    reference: OrbReference,
    found: Found,
    warning: Option<String>,
}

/// What was done so far.
struct Work {
    lock: Lock,
    asked: HashSet<OrbReference>,
    done: Resolution,
}

impl Work {
    fn new(lock: Lock) -> Self {
        Self {
            lock,
            asked: HashSet::new(),
            done: Resolution::default(),
        }
    }

    /// Those of the missing that were not looked for yet.
    fn next(&mut self, missing: Vec<OrbReference>) -> Vec<OrbReference> {
        let asked = &mut self.asked;
        missing
            .into_iter()
            .filter(|reference| asked.insert(reference.clone()))
            .collect()
    }

    fn take(&mut self, answer: Answer) {
        let Answer {
            reference,
            found:
                Found {
                    resolved,
                    name,
                    text,
                },
            warning,
        } = answer;
        let exact = resolved.as_ref().unwrap_or(&reference);
        let name = name.unwrap_or_else(|| exact.to_string());
        if let Some(resolved) = resolved {
            let hash = ContentHash::of(&text);
            self.lock
                .insert(reference.clone(), Locked { resolved, hash });
        }
        self.done.orbs.insert(reference, Orb { name, text });
        if let Some(warning) = warning
            && !self.done.warnings.contains(&warning)
        {
            self.done.warnings.push(warning);
        }
    }

    fn bytes(&self) -> usize {
        self.done.orbs.values().map(|orb| orb.text.len()).sum()
    }
}
