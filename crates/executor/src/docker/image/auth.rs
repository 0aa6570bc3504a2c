//! With which credentials an image is pulled.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use outrider_model::plan::RegistryAuth;
use serde::Deserialize;

use super::reference::DOCKER_HUB;
use crate::ExecutorError;

/// A login at a registry.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Login {
    /// Who gave it.
    pub from: Giver,
    username: String,
    password: String,
    identity_token: Option<String>,
}

/// Who gave a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Giver {
    /// The job: what it opens is for this job only.
    Job,
    /// The runner's host: every job here may use it.
    Host,
}

impl fmt::Debug for Login {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// As the Engine wants it.
    pub fn credentials(&self, registry: &str) -> DockerCredentials {
        DockerCredentials {
            username: Some(self.username.clone()),
            password: Some(self.password.clone()),
            identitytoken: self.identity_token.clone(),
            serveraddress: Some(registry.to_owned()),
            ..DockerCredentials::default()
        }
    }

    /// A message of the Engine or a registry, without the secrets should it repeat them.
    pub fn redact(&self, message: &str) -> String {
        [Some(&self.password), self.identity_token.as_ref()]
            .into_iter()
            .flatten()
            .filter(|secret| !secret.is_empty())
            .fold(message.to_owned(), |text, secret| {
                text.replace(secret.as_str(), "****")
            })
    }
}

/// The login that the config of a job names.
pub(super) fn of_job(
    auth: &RegistryAuth,
    variables: &BTreeMap<String, String>,
) -> Result<Login, ExecutorError> {
    let refuse = |what: &str, instead: &str| {
        let message = format!("{what} is not supported by this runner\n{instead}");
        Err(ExecutorError::user(message, None))
    };
    match auth {
        RegistryAuth::Password { username, password } => Ok(Login {
            from: Giver::Job,
            username: expand(username, variables)?,
            password: expand(password, variables)?,
            identity_token: None,
        }),
        RegistryAuth::AwsKey { .. } => refuse(
            "`aws_auth` with a key",
            "use `auth` with the username AWS and the password that `aws ecr get-login-password` \
             prints, or `docker login` as the runner's user on its host",
        ),
        RegistryAuth::AwsRole { .. } => refuse(
            "`aws_auth` with a role",
            "only CircleCI's cloud has the token that takes the role: use `auth`, or `docker login` \
             as the runner's user on its host",
        ),
        RegistryAuth::Gcp { .. } => refuse(
            "`gcp_auth`",
            "only CircleCI's cloud has the token that it needs: use `auth` with the username \
             _json_key and a service account's key, or `docker login` as the runner's user on its \
             host",
        ),
    }
}

/// What must not be seen of a login, as the pull has it. None: the config names no secret, or a
/// variable that is not set.
pub fn secret_of(auth: &RegistryAuth, variables: &BTreeMap<String, String>) -> Option<String> {
    let text = match auth {
        RegistryAuth::Password { password, .. } => password,
        RegistryAuth::AwsKey {
            secret_access_key, ..
        } => secret_access_key,
        RegistryAuth::AwsRole { .. } | RegistryAuth::Gcp { .. } => return None,
    };
    expand(text, variables).ok()
}

/// Puts variables in the place of `$NAME` and `${NAME}`. Other dollars stay.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> Result<String, ExecutorError> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let Some((name, next)) = variable(after) else {
            expanded.push('$');
            rest = after;
            continue;
        };
        let value = variables.get(name).ok_or_else(|| {
            let message = format!(
                "`auth` of an image names the variable {name}, which is not set\n\
                 set it in a context of the job or in the project"
            );
            ExecutorError::user(message, None)
        })?;
        expanded.push_str(value);
        rest = next;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// The name at the start of what follows a dollar, and what follows the name.
fn variable(text: &str) -> Option<(&str, &str)> {
    let (inner, braces) = match text.strip_prefix('{') {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    let end = inner
        .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    let starts = name.starts_with(|letter: char| !letter.is_ascii_digit());
    let rest = if braces {
        rest.strip_prefix('}')?
    } else {
        rest
    };
    starts.then_some((name, rest))
}

/// The logins of the runner's host, as `docker login` writes them.
#[derive(Clone, Debug)]
pub struct HostLogins {
    file: Option<PathBuf>,
}

/// What the host has for a registry.
pub(super) enum HostLogin {
    /// A login.
    Found(Login),
    /// A program that knows one. It is not asked.
    Helper(String),
    /// Nothing.
    None,
}

impl HostLogins {
    /// Those of the runner's user: `$DOCKER_CONFIG/config.json`, or `~/.docker/config.json`.
    pub fn of_user() -> Self {
        let folder = std::env::var_os("DOCKER_CONFIG")
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
            .or_else(|| Some(std::env::home_dir()?.join(".docker")));
        Self {
            file: folder.map(|folder| folder.join("config.json")),
        }
    }

    /// Those of this file.
    pub const fn in_file(file: PathBuf) -> Self {
        Self { file: Some(file) }
    }

    /// What there is for a registry. The file may change while the runner runs.
    pub(super) fn find(&self, registry: &str) -> Result<HostLogin, ExecutorError> {
        let Some(file) = &self.file else {
            return Ok(HostLogin::None);
        };
        let bytes = match std::fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(HostLogin::None);
            }
            Err(error) => {
                let message = format!("cannot read the logins in {}", file.display());
                return Err(ExecutorError::infrastructure(message, error));
            }
        };
        let config = serde_json::from_slice::<Config>(&bytes).map_err(|error| {
            // The parser's own message may repeat a secret.
            let message = format!(
                "the logins in {} are not readable: line {}, column {}\nlog in again with \
                 `docker login`",
                file.display(),
                error.line(),
                error.column()
            );
            ExecutorError::infrastructure(message, None)
        })?;
        Ok(config.login(registry))
    }
}

/// The part of Docker's own settings that matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    identitytoken: Option<String>,
}

impl Config {
    fn login(&self, registry: &str) -> HostLogin {
        let names = if registry == DOCKER_HUB {
            &["https://index.docker.io/v1/", "index.docker.io", DOCKER_HUB][..]
        } else {
            &[registry][..]
        };
        let entry = names.iter().find_map(|name| {
            let with_scheme = format!("https://{name}");
            self.auths
                .get(*name)
                .or_else(|| self.auths.get(&with_scheme))
        });
        if let Some(login) = entry.and_then(Entry::login) {
            return HostLogin::Found(login);
        }
        let helper = names.iter().find_map(|name| self.cred_helpers.get(*name));
        match helper.or(self.creds_store.as_ref().filter(|_| entry.is_some())) {
            Some(helper) => HostLogin::Helper(format!("docker-credential-{helper}")),
            None => HostLogin::None,
        }
    }
}

impl Entry {
    /// Docker leaves the entry empty when a program keeps the login.
    fn login(&self) -> Option<Login> {
        let decoded = STANDARD.decode(&self.auth).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (username, password) = decoded.split_once(':')?;
        Some(Login {
            from: Giver::Host,
            username: username.to_owned(),
            password: password.to_owned(),
            identity_token: self.identitytoken.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use outrider_model::plan::RegistryAuth;

    use super::{Config, HostLogin, expand, of_job, secret_of};

    fn variables() -> BTreeMap<String, String> {
        [("USER_NAME", "me"), ("PASSWORD", "se$cret")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn variables_are_put_in_once() {
        let expand = |text| expand(text, &variables()).expect("all are set");
        assert_eq!(expand("$PASSWORD"), "se$cret");
        assert_eq!(expand("a-${USER_NAME}b"), "a-meb");
        assert_eq!(expand("5$ $1 ${ ${} $"), "5$ $1 ${ ${} $");
    }

    #[test]
    fn an_unset_variable_is_named() {
        let error = expand("${NOBODY}", &variables()).expect_err("not set");
        assert!(error.message.contains("NOBODY"), "{error}");
    }

    #[test]
    fn logins_do_not_show_their_secrets() {
        let auth = RegistryAuth::Password {
            username: "$USER_NAME".to_owned(),
            password: "$PASSWORD".to_owned(),
        };
        let login = of_job(&auth, &variables()).expect("a login");
        assert!(!format!("{login:?}").contains("se$cret"));
        assert_eq!(login.redact("no: se$cret!"), "no: ****!");
    }

    #[test]
    fn the_secret_is_what_the_registry_gets() {
        for text in ["$PASSWORD", "${PASSWORD}", "a-${PASSWORD}"] {
            let auth = RegistryAuth::Password {
                username: "me".to_owned(),
                password: text.to_owned(),
            };
            let login = of_job(&auth, &variables()).expect("a login");
            assert_eq!(secret_of(&auth, &variables()), Some(login.password));
        }
        let unset = RegistryAuth::Password {
            username: "me".to_owned(),
            password: "$NOBODY".to_owned(),
        };
        assert_eq!(secret_of(&unset, &variables()), None);
    }

    #[test]
    fn the_hosts_logins_are_found_as_docker_writes_them() {
        let config: Config = serde_json::from_str(
            r#"{"auths": {"https://index.docker.io/v1/": {"auth": "YTpiOmM="},
                          "ghcr.io": {}, "127.0.0.1:5000": {"auth": "YTpi"}},
                "credsStore": "pass", "credHelpers": {"ecr.example": "ecr-login"}}"#,
        )
        .expect("settings of Docker");
        let HostLogin::Found(login) = config.login("docker.io") else {
            panic!("Docker Hub has a login");
        };
        assert_eq!(
            (login.username.as_str(), login.password.as_str()),
            ("a", "b:c")
        );
        assert!(matches!(
            config.login("127.0.0.1:5000"),
            HostLogin::Found(_)
        ));
        assert!(
            matches!(config.login("ghcr.io"), HostLogin::Helper(name) if name.ends_with("pass"))
        );
        assert!(
            matches!(config.login("ecr.example"), HostLogin::Helper(name) if name.ends_with("ecr-login"))
        );
        assert!(matches!(config.login("other"), HostLogin::None));
    }
}
