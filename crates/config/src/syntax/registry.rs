//! How an image of `docker` says who may pull it: `auth`, `aws_auth` and `gcp_auth`.

use outrider_model::plan::RegistryAuth;

use super::Reader;
use super::keys::{AUTH, AWS_AUTH, GCP_AUTH};
use crate::diagnostic::{code, error, warning};
use crate::yaml::{Mapping, Node};

impl Reader<'_> {
    /// The one of the three that an image has.
    pub(super) fn registry_auth(self, image: &Mapping) -> Option<RegistryAuth> {
        let written = |key| image.present(key).map(|node| (key, node));
        let mut all = ["auth", "aws_auth", "gcp_auth"]
            .into_iter()
            .filter_map(written);
        let (key, node) = all.next()?;
        if let Some((other, second)) = all.next() {
            let message = format!("an image has both `{key}` and `{other}`");
            self.report(
                error(code::CONFLICTING_KEYS, second.span, message)
                    .label(node.span, "the other one")
                    .help("keep the one that belongs to the image's registry"),
            );
        }
        match key {
            "auth" => self.password_auth(node),
            "aws_auth" => self.aws_auth(node),
            _ => self.gcp_auth(node),
        }
    }

    fn password_auth(self, node: &Node) -> Option<RegistryAuth> {
        let mapping = self.mapping(node, "`auth`")?;
        self.check_keys(mapping, &AUTH);
        let username = self.login(mapping, "username", node);
        let password = self.secret(mapping, "password", node);
        Some(RegistryAuth::Password {
            username: username?,
            password: password?,
        })
    }

    fn aws_auth(self, node: &Node) -> Option<RegistryAuth> {
        let mapping = self.mapping(node, "`aws_auth`")?;
        self.check_keys(mapping, &AWS_AUTH);
        if let Some(role) = mapping.present("oidc_role_arn") {
            let role_arn = self.name(role, "`oidc_role_arn`")?;
            return Some(RegistryAuth::AwsRole { role_arn });
        }
        let access_key_id = self.login(mapping, "aws_access_key_id", node);
        let secret_access_key = self.secret(mapping, "aws_secret_access_key", node);
        Some(RegistryAuth::AwsKey {
            access_key_id: access_key_id?,
            secret_access_key: secret_access_key?,
        })
    }

    fn gcp_auth(self, node: &Node) -> Option<RegistryAuth> {
        let mapping = self.mapping(node, "`gcp_auth`")?;
        self.check_keys(mapping, &GCP_AUTH);
        let text = |key: &str| {
            let node = mapping.present(key)?;
            self.name(node, &format!("`{key}`"))
        };
        Some(RegistryAuth::Gcp {
            workload_identity_provider: text("workload_identity_provider"),
            service_account: text("service_account"),
        })
    }

    fn login(self, mapping: &Mapping, key: &str, of: &Node) -> Option<String> {
        let node = self.required_key(mapping, key, of.span)?;
        self.name(node, &format!("`{key}`"))
    }

    /// A secret should not stand in a config: everybody who sees the code sees it.
    fn secret(self, mapping: &Mapping, key: &str, of: &Node) -> Option<String> {
        let secret = self.login(mapping, key, of)?;
        let node = mapping.present(key)?;
        if !secret.contains('$') && !self.unknown(node) {
            let message = format!("`{key}` stands in the config for everybody to read");
            self.report(
                warning(code::SECRET_IN_CONFIG, node.span, message)
                    .help("name a variable that holds it: `$REGISTRY_PASSWORD`"),
            );
        }
        Some(secret)
    }
}
