//! Whether what a pull has brought was the registry's to give.
//!
//! A registry may claim to have an image that the Engine took from another one with a job's
//! credentials: the Engine believes it, and asks it for nothing of the image.

use bollard::query_parameters::RemoveImageOptions;

use super::Images;
use super::auth::{HostLogin, Login};
use super::failure::Failure;
use super::pull::Wanted;
use super::records::Access;
use super::reference::{Reference, Version};
use crate::docker::answer::answered;
use crate::{Discard, ExecutorError, Fault};

impl Images {
    /// An image that is closed elsewhere must be open to everybody there by now.
    pub(super) async fn prove(&self, reference: &Reference, id: &str) -> Result<(), ExecutorError> {
        let givers = self.records.givers(id)?;
        let trusted = |(giver, access): &(Reference, Access)| {
            *access == Access::Open || giver.registry == reference.registry
        };
        if givers.is_empty() || givers.iter().any(trusted) {
            return Ok(());
        }
        for (giver, _) in givers {
            let login = match self.logins.find(&giver.registry)? {
                HostLogin::Found(login) => Some(login),
                HostLogin::Helper(_) | HostLogin::None => None,
            };
            match self.authorise(&giver, login).await {
                Ok(()) => return Ok(()),
                Err(error) if error.fault == Fault::User => {}
                Err(error) => return Err(error),
            }
        }
        self.take_back(reference).await?;
        let message = format!(
            "cannot use {reference}: another job took the same image from another registry, with \
             credentials of its own\n\
             name it as it is called there, with `auth`"
        );
        Err(ExecutorError::user(message, None))
    }

    /// Takes a name from the Engine. Its other names keep the image; but a digest is all of them for
    /// Podman.
    async fn take_back(&self, reference: &Reference) -> Result<(), ExecutorError> {
        let is_all = matches!(reference.version, Version::Digest(_));
        if !(is_all && self.about().await?.is_podman) {
            let options = None::<RemoveImageOptions>;
            let name = reference.to_string();
            let _ = self.engine.remove_image(&name, options, None).await;
        }
        Ok(())
    }

    /// Whether a registry shows an image to this login.
    async fn authorise(
        &self,
        reference: &Reference,
        login: Option<Login>,
    ) -> Result<(), ExecutorError> {
        if !self.about().await?.is_podman {
            return self.ask_registry(reference, login.as_ref()).await;
        }
        // Podman only pulls, and asks the registry each time.
        let wanted = Wanted {
            reference: reference.clone(),
            login,
        };
        let pulled = self.pulls.pull(wanted, &Discard).await;
        pulled.map_err(|failure| self.explain(reference, failure))
    }

    /// Asks the registry whether it shows the image to this login. A pull alone would not: what
    /// Docker has by its digest it does not ask for again.
    pub(super) async fn ask_registry(
        &self,
        reference: &Reference,
        login: Option<&Login>,
    ) -> Result<(), ExecutorError> {
        let credentials = login.map(|it| it.credentials(&reference.registry));
        let name = reference.to_string();
        let shown = self.engine.inspect_registry_image(&name, credentials);
        let shown = answered(&self.engine, shown).await;
        match shown {
            Ok(_) => Ok(()),
            Err(error) => Err(self.explain(reference, Failure::of(reference, login, &error))),
        }
    }
}
