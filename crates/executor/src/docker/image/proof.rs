//! Whether what a pull has brought was the registry's to give.
//!
//! A registry may claim to have an image that the Engine took from another one with a job's
//! credentials: the Engine believes it, and asks it for nothing of the image.

use bollard::query_parameters::RemoveImageOptions;

use super::Images;
use super::auth::HostLogin;
use super::records::Access;
use super::reference::Reference;
use crate::{ExecutorError, Fault};

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
            match self.authorise(&giver, login.as_ref()).await {
                Ok(()) => return Ok(()),
                Err(error) if error.fault == Fault::User => {}
                Err(error) => return Err(error),
            }
        }
        // Its other names keep the image.
        let options = None::<RemoveImageOptions>;
        let name = reference.to_string();
        let _ = self.engine.remove_image(&name, options, None).await;
        let message = format!(
            "cannot use {reference}: another job took the same image from another registry, with \
             credentials of its own\n\
             name it as it is called there, with `auth`"
        );
        Err(ExecutorError::user(message, None))
    }
}
