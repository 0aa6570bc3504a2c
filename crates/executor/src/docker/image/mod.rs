//! Gets images to the Engine.
//!
//! An image that was pulled with the credentials of a job is not for other jobs, even if the Engine
//! has it: whoever names it logs in to the registry again (`records` knows which ones these are).

mod auth;
mod failure;
mod platform;
mod proof;
mod pull;
pub(super) mod records;
mod reference;
mod tally;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ImageInspect;
use bytes::Bytes;
use outrider_model::plan::DockerImage;
use tokio::sync::OnceCell;

use self::auth::{Giver, HostLogin, Login};
pub use self::auth::{HostLogins, secret_of};
use self::failure::Failure;
use self::platform::{About, Fit, Platform, fit};
pub use self::pull::Patience;
use self::pull::{Pulls, Wanted};
use self::records::{Access, Record, Records};
use self::reference::{Reference, Version};
use super::PullPolicy;
use super::answer::{answered, told};
use super::care::Care;
use super::engine::{is_podman, status};
use crate::{ExecutorError, Output};

/// The label of images that CircleCI does not run without their own program.
const PRESERVE_ENTRYPOINT: &str = "com.circleci.preserve-entrypoint";

/// An image that the Engine has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provided {
    /// Its id: what containers are made of, so that a name that moves on in between does no harm.
    pub id: String,
    /// Its variables, as `NAME=value`.
    pub environment: Vec<String>,
    /// Its user. None: root.
    pub user: Option<String>,
    /// Its entry point.
    pub entrypoint: Vec<String>,
    /// Its command.
    pub command: Vec<String>,
    /// Whether its program is to run in a primary container too.
    pub preserves_entrypoint: bool,
    /// Where its program starts.
    pub working_directory: PathBuf,
    /// The TCP ports that it says it listens on.
    pub exposed_tcp: Vec<u16>,
    /// Whether it can tell whether it is well.
    pub has_healthcheck: bool,
}

/// The images of one executor.
pub struct Images {
    engine: Docker,
    policy: PullPolicy,
    logins: HostLogins,
    records: Records,
    pulls: Pulls,
    /// To answer this the Engine starts programs, which takes milliseconds.
    about: OnceCell<About>,
}

/// What is to be done for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    Pull,
    /// It is not there, and may not be pulled.
    Absent,
    /// Only a pull could show that the job may have it.
    Closed,
}

const fn need(policy: PullPolicy, present: bool, closed: bool) -> Need {
    match (policy, present, closed) {
        (PullPolicy::Always, ..)
        | (PullPolicy::Missing, false, _)
        | (PullPolicy::Missing, _, true) => Need::Pull,
        (PullPolicy::Never, false, _) => Need::Absent,
        (PullPolicy::Never, true, true) => Need::Closed,
        (_, true, false) => Need::Nothing,
    }
}

impl Images {
    /// The images of an Engine, of which `care` keeps the books.
    pub fn new(
        engine: Docker,
        policy: PullPolicy,
        logins: HostLogins,
        care: Arc<Care>,
        patience: Patience,
    ) -> Self {
        Self {
            engine: engine.clone(),
            policy,
            logins,
            records: care.records().clone(),
            pulls: Pulls::new(engine, care, patience),
            about: OnceCell::new(),
        }
    }

    /// Makes sure that the Engine has an image and the job may use it.
    pub async fn provide(
        &self,
        image: &DockerImage,
        variables: &BTreeMap<String, String>,
        progress: &Arc<dyn Output>,
    ) -> Result<Provided, ExecutorError> {
        let reference = Reference::parse(&image.image)?;
        self.records.touch(&reference)?;
        let present = self.inspect(&reference).await?;
        let closed = match present.as_ref().and_then(|it| it.id.as_deref()) {
            Some(id) => self.records.needs_credentials(&reference, id)?,
            None => false,
        };
        let found = match (need(self.policy, present.is_some(), closed), present) {
            (Need::Nothing, Some(found)) => found,
            (Need::Closed, _) => {
                return Err(refused(
                    &reference,
                    "another job pulled it with credentials of its own",
                ));
            }
            (Need::Absent, _) => return Err(refused(&reference, "the Engine does not have it")),
            (Need::Pull | Need::Nothing, _) => {
                let login = self.login(&reference, image, variables)?;
                let known = closed || matches!(reference.version, Version::Digest(_));
                if known && !self.about().await?.is_podman {
                    self.ask_registry(&reference, login.as_ref()).await?;
                }
                Box::pin(self.pull(&reference, login, progress)).await?
            }
        };
        self.check_platform(&reference, &found, progress.as_ref())
            .await?;
        Ok(provided(found))
    }

    /// Whether the Engine says that it has no image with this id.
    pub(super) async fn is_gone(&self, id: &str) -> bool {
        let found = self.engine.inspect_image(id).await;
        found.is_err_and(|error| status(&error) == Some(404))
    }

    async fn pull(
        &self,
        reference: &Reference,
        login: Option<Login>,
        progress: &Arc<dyn Output>,
    ) -> Result<ImageInspect, ExecutorError> {
        let access = match &login {
            Some(login) if login.from == Giver::Job => Access::Credentials,
            _ => Access::Open,
        };
        self.begin(reference, access)?;
        let wanted = Wanted {
            reference: reference.clone(),
            login,
        };
        if let Err(failure) = self.pulls.pull(wanted, progress.as_ref()).await {
            self.give_up(reference, access)?;
            return Err(self.explain(reference, failure));
        }
        let found = self.inspect(reference).await?.ok_or_else(|| {
            let message = format!("the Engine has lost {reference} right after its pull");
            ExecutorError::infrastructure(message, None)
        })?;
        let id = found.id.clone().unwrap_or_default();
        if let Err(error) = self.prove(reference, &id).await {
            self.give_up(reference, access)?;
            return Err(error);
        }
        self.pulled(reference, id, access)?;
        Ok(found)
    }

    /// What is pulled with credentials is closed from the start on: the runner may be killed before
    /// it knows the id.
    fn begin(&self, reference: &Reference, access: Access) -> Result<(), ExecutorError> {
        if access == Access::Open {
            return Ok(());
        }
        self.records.update(&reference.to_string(), |record| {
            let mut record = record.unwrap_or_else(|| empty(reference));
            record.pending += 1;
            Some(record)
        })
    }

    fn give_up(&self, reference: &Reference, access: Access) -> Result<(), ExecutorError> {
        if access == Access::Open {
            return Ok(());
        }
        self.records.update(&reference.to_string(), |record| {
            let mut record = record?;
            record.pending = record.pending.saturating_sub(1);
            (record.pending > 0 || !record.ids.is_empty()).then_some(record)
        })
    }

    fn pulled(
        &self,
        reference: &Reference,
        id: String,
        access: Access,
    ) -> Result<(), ExecutorError> {
        self.records.update(&reference.to_string(), |record| {
            let mut record = record.unwrap_or_else(|| empty(reference));
            record.pending = match access {
                // What the name stands for is open to everybody.
                Access::Open => 0,
                Access::Credentials => record.pending.saturating_sub(1),
            };
            record.ids.insert(id, access);
            Some(record)
        })
    }

    fn login(
        &self,
        reference: &Reference,
        image: &DockerImage,
        variables: &BTreeMap<String, String>,
    ) -> Result<Option<Login>, ExecutorError> {
        if let Some(auth) = &image.auth {
            return auth::of_job(auth, variables).map(Some);
        }
        Ok(match self.logins.find(&reference.registry)? {
            HostLogin::Found(login) => Some(login),
            HostLogin::Helper(_) | HostLogin::None => None,
        })
    }

    /// Names the program that would have known a login.
    fn explain(&self, reference: &Reference, mut failure: Failure) -> ExecutorError {
        if failure.kind == failure::Kind::User
            && let Ok(HostLogin::Helper(program)) = self.logins.find(&reference.registry)
        {
            failure.message.push_str(&format!(
                "\n{program} of the host is not asked: only logins that `docker login` keeps in \
                 config.json itself are used"
            ));
        }
        failure.into()
    }

    async fn inspect(&self, reference: &Reference) -> Result<Option<ImageInspect>, ExecutorError> {
        let name = reference.to_string();
        match answered(&self.engine, self.engine.inspect_image(&name)).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(None),
            Err(error) => {
                let message = format!("cannot ask the Engine for {reference}: {}", told(&error));
                Err(ExecutorError::infrastructure(message, None))
            }
        }
    }

    async fn about(&self) -> Result<&About, ExecutorError> {
        self.about.get_or_try_init(|| self.ask_about()).await
    }

    async fn ask_about(&self) -> Result<About, ExecutorError> {
        match answered(&self.engine, self.engine.version()).await {
            Ok(version) => Ok(About {
                is_podman: is_podman(&version),
                platform: Platform::new(version.os, version.arch),
            }),
            Err(error) => {
                let message = format!("cannot ask the Engine for its version: {}", told(&error));
                Err(ExecutorError::infrastructure(message, None))
            }
        }
    }

    /// Whether the Engine's own processor runs the image. Others may be emulated: nobody knows
    /// before it is tried.
    async fn check_platform(
        &self,
        reference: &Reference,
        image: &ImageInspect,
        progress: &dyn Output,
    ) -> Result<(), ExecutorError> {
        let engine = &self.about().await?.platform;
        let wanted = Platform::new(image.os.clone(), image.architecture.clone());
        match fit(engine, &wanted) {
            Fit::Good => Ok(()),
            Fit::Emulated => {
                let line = format!(
                    "Warning: {reference} is for {wanted}, and the Engine runs on {engine}: it \
                     works only if that host emulates the other processor\n"
                );
                progress.write(Bytes::from(line)).await;
                Ok(())
            }
            Fit::Never => {
                let message = format!(
                    "{reference} is for {wanted}, and the Engine runs on {engine}\n\
                     choose an image for that platform"
                );
                Err(ExecutorError::user(message, None))
            }
        }
    }
}

/// An image's name with its registry and tag. What is no name stays as it is.
pub(super) fn full_name(text: &str) -> String {
    Reference::parse(text).map_or_else(|_| text.to_owned(), |reference| reference.to_string())
}

fn empty(reference: &Reference) -> Record {
    Record {
        reference: reference.to_string(),
        ids: BTreeMap::new(),
        pending: 0,
    }
}

fn refused(reference: &Reference, why: &str) -> ExecutorError {
    let message = format!(
        "cannot use {reference}: {why}, and this runner pulls nothing\n\
         choose another image, or ask the runner's owner to allow pulls"
    );
    ExecutorError::user(message, None)
}

fn provided(image: ImageInspect) -> Provided {
    let config = image.config.unwrap_or_default();
    let tests = config
        .healthcheck
        .and_then(|it| it.test)
        .unwrap_or_default();
    let ports = config.exposed_ports.unwrap_or_default();
    let labels = config.labels.unwrap_or_default();
    Provided {
        id: image.id.unwrap_or_default(),
        environment: config.env.unwrap_or_default(),
        user: config.user.filter(|user| !user.is_empty()),
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        preserves_entrypoint: labels
            .get(PRESERVE_ENTRYPOINT)
            .is_some_and(|value| value == "true"),
        working_directory: config
            .working_dir
            .filter(|path| !path.is_empty())
            .map_or_else(|| PathBuf::from("/"), PathBuf::from),
        exposed_tcp: ports.iter().filter_map(|port| tcp_port(port)).collect(),
        has_healthcheck: tests.first().is_some_and(|it| it != "NONE"),
    }
}

/// `80/tcp`, or `80` alone.
fn tcp_port(text: &str) -> Option<u16> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    number.parse().ok().filter(|_| protocol == "tcp")
}

#[cfg(test)]
mod tests {
    use super::{Need, PullPolicy, need, tcp_port};

    #[test]
    fn closed_images_are_pulled_again() {
        assert_eq!(need(PullPolicy::Missing, true, false), Need::Nothing);
        assert_eq!(need(PullPolicy::Missing, true, true), Need::Pull);
        assert_eq!(need(PullPolicy::Missing, false, false), Need::Pull);
        assert_eq!(need(PullPolicy::Always, true, false), Need::Pull);
        assert_eq!(need(PullPolicy::Never, false, false), Need::Absent);
        assert_eq!(need(PullPolicy::Never, true, true), Need::Closed);
        assert_eq!(need(PullPolicy::Never, true, false), Need::Nothing);
    }

    #[test]
    fn only_tcp_ports_count() {
        assert_eq!(tcp_port("5432/tcp"), Some(5_432));
        assert_eq!(tcp_port("53/udp"), None);
        assert_eq!(tcp_port("80"), Some(80));
    }
}
