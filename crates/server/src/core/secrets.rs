//! Secrets: kept, sealed anew, and handed to the tasks that may see them.

use outrider_api::ErrorCode;
use outrider_api::data::{SecretVariable, SshKey, TaskSecrets};
use outrider_api::secrets::{
    AddSshKey, KeyRole, LARGEST_VALUE, RotatedSecrets, SealingKey, SecretText, SetVariable,
    SshKeyInfo,
};
use outrider_model::TaskId;
use outrider_model::secret::LeaseToken;
use outrider_store::{
    ContextRecord, Resealed, SealedSecret, SecretId, SecretKind, SecretOwner, SecretRecord,
    SecretsOfTask, StoreError,
};

use super::Core;
use super::pipelines::check_project;
use crate::ApiError;
use crate::secrets::{PrivateKey, SshKeyFacts};

/// A task gets no more bytes of secrets than this: they go into the environment of its steps.
const MOST_BYTES: usize = 1024 * 1024;

/// How many secrets are sealed anew in one transaction.
const ROTATED_AT_ONCE: u32 = 200;

const LONGEST_NAME: usize = 200;

impl Core {
    // ---- variables and contexts ----

    /// The variables of a project or a context.
    pub async fn variables(&self, owner: SecretOwner) -> Result<Vec<SecretRecord>, ApiError> {
        Ok(self.store.secrets(owner, SecretKind::Variable).await?)
    }

    /// Sets a variable.
    pub async fn set_variable(
        &self,
        owner: SecretOwner,
        variable: SetVariable,
    ) -> Result<(), ApiError> {
        check_owner(&owner)?;
        check_variable(&variable)?;
        let id = SecretId {
            owner,
            kind: SecretKind::Variable,
            name: variable.name,
        };
        self.keep(id, None, &variable.value).await
    }

    /// Deletes a secret.
    pub async fn delete_secret(&self, id: SecretId) -> Result<(), ApiError> {
        Ok(self.store.delete_secret(id).await?)
    }

    /// All contexts.
    pub async fn contexts(&self) -> Result<Vec<ContextRecord>, ApiError> {
        Ok(self.store.contexts().await?)
    }

    /// Makes a context, unless it is there.
    pub async fn create_context(&self, name: String) -> Result<(), ApiError> {
        check_context(&name)?;
        Ok(self.store.create_context(name, self.clock.now()).await?)
    }

    /// Deletes a context and its variables.
    pub async fn delete_context(&self, name: String) -> Result<(), ApiError> {
        Ok(self.store.delete_context(name).await?)
    }

    // ---- SSH keys ----

    /// The SSH keys of a project.
    pub async fn ssh_keys(&self, project: String) -> Result<Vec<SshKeyInfo>, ApiError> {
        let owner = SecretOwner::Project(project);
        let records = self.store.secrets(owner, SecretKind::SshKey).await?;
        records.into_iter().map(ssh_key_info).collect()
    }

    /// Adds an SSH key to a project.
    pub async fn add_ssh_key(
        &self,
        project: String,
        request: AddSshKey,
    ) -> Result<SshKeyInfo, ApiError> {
        check_project(&project)?;
        check_host(request.host.as_deref())?;
        let key = PrivateKey::parse(request.private_key.reveal())
            .map_err(|error| bad_request(error.to_string()))?;
        let facts = SshKeyFacts {
            fingerprint_md5: key.fingerprint_md5,
            public_key: key.public_key,
            host: request.host,
        };
        let facts = serde_json::to_string(&facts)
            .map_err(|error| ApiError::internal("describe an SSH key", &error))?;
        let id = SecretId {
            owner: SecretOwner::Project(project.clone()),
            kind: SecretKind::SshKey,
            name: key.fingerprint.clone(),
        };
        let text = SecretText::new(key.text.as_str());
        self.keep(id, Some(facts), &text).await?;
        let mut keys = self.ssh_keys(project).await?.into_iter();
        keys.find(|known| known.fingerprint == key.fingerprint)
            .ok_or_else(|| ApiError::new(ErrorCode::Conflict, "the key was deleted meanwhile"))
    }

    async fn keep(
        &self,
        id: SecretId,
        facts: Option<String>,
        value: &SecretText,
    ) -> Result<(), ApiError> {
        let value = value.reveal().as_bytes();
        let random = self.random.as_ref();
        let sealed = self.keyring.seal(&id, facts.as_deref(), value, random);
        let secret = SealedSecret { id, facts, sealed };
        Ok(self.store.put_secret(secret, self.clock.now()).await?)
    }

    // ---- the keys that seal ----

    /// The keys that the server has, and those that it lacks.
    pub async fn sealing_keys(&self) -> Result<Vec<SealingKey>, StoreError> {
        let mut used = self.store.secret_keys().await?;
        let mut keys = Vec::new();
        for id in self.keyring.ids() {
            let role = match id == self.keyring.sealing_id() {
                true => KeyRole::Seals,
                false => KeyRole::Opens,
            };
            let found = used.iter().position(|key| key.key_id == id);
            let secrets = found.map_or(0, |at| used.swap_remove(at).secrets);
            let id = id.to_owned();
            keys.push(SealingKey { id, role, secrets });
        }
        used.sort_by(|one, two| one.key_id.cmp(&two.key_id));
        keys.extend(used.into_iter().map(|key| SealingKey {
            id: key.key_id,
            role: KeyRole::Lost,
            secrets: key.secrets,
        }));
        Ok(keys)
    }

    /// Says in the log which keys are in use, and which of them the server lacks.
    pub async fn log_sealing_keys(&self) -> Result<(), StoreError> {
        for SealingKey { id, role, secrets } in self.sealing_keys().await? {
            match role {
                KeyRole::Seals | KeyRole::Opens => {
                    tracing::info!(key = id, secrets, "a key that seals secrets is here");
                }
                KeyRole::Lost => tracing::warn!(
                    key = id,
                    secrets,
                    "the key of these secrets is not here: jobs that need them will fail. Add it to \
                     the server's file of keys, or set the secrets again"
                ),
            }
        }
        Ok(())
    }

    /// Seals some secrets anew that come after a row and that another key than the first has sealed.
    pub async fn rotate_secrets(&self, after: u64) -> Result<RotatedSecrets, ApiError> {
        let first = self.keyring.sealing_id().to_owned();
        let page = self
            .store
            .secrets_not_sealed_by(first, after, ROTATED_AT_ONCE)
            .await?;
        let next = page.last().map(|last| last.row);
        let found = page.len() as u64;
        let mut resealed = Vec::with_capacity(page.len());
        for stored in page {
            let Ok(value) = self.keyring.open(&stored.secret) else {
                continue;
            };
            let SealedSecret { id, facts, sealed } = stored.secret;
            let random = self.random.as_ref();
            let new = self.keyring.seal(&id, facts.as_deref(), &value, random);
            resealed.push(Resealed {
                row: stored.row,
                old: sealed,
                new,
            });
        }
        let unusable = found - resealed.len() as u64;
        // One that was set in between is sealed by the first key already.
        let resealed = match resealed.is_empty() {
            true => 0,
            false => self.store.reseal(resealed).await?,
        };
        Ok(RotatedSecrets {
            resealed,
            unusable,
            next,
        })
    }

    // ---- runners ----

    /// The secrets of a task, for the holder of its lease.
    pub async fn task_secrets(
        &self,
        task: TaskId,
        lease: LeaseToken,
    ) -> Result<TaskSecrets, ApiError> {
        let found = self.store.task_secrets(task, lease).await?;
        let SecretsOfTask {
            secrets,
            missing_contexts,
        } = found;
        if self.settings.contexts_must_exist && !missing_contexts.is_empty() {
            return Err(unusable(no_contexts(&missing_contexts)));
        }
        let mut answer = TaskSecrets {
            missing_contexts,
            ..TaskSecrets::default()
        };
        let mut bytes = 0;
        for secret in secrets {
            let value = self.open(&secret)?;
            bytes += value.len();
            add(&mut answer, secret, value)?;
        }
        if bytes > MOST_BYTES {
            return Err(unusable(
                "they are larger than 1 MiB together, and cannot be variables of a process"
                    .to_owned(),
            ));
        }
        Ok(answer)
    }

    fn open(&self, secret: &SealedSecret) -> Result<String, ApiError> {
        let value = self.keyring.open(secret).map_err(|error| {
            unusable(format!("{} cannot be opened: {error}", named(&secret.id)))
        })?;
        String::from_utf8(value.to_vec())
            .map_err(|_| unusable(format!("{} is no text", named(&secret.id))))
    }
}

fn add(answer: &mut TaskSecrets, secret: SealedSecret, value: String) -> Result<(), ApiError> {
    let SealedSecret { id, facts, .. } = secret;
    match id.kind {
        SecretKind::Variable => answer.variables.push(SecretVariable {
            name: id.name,
            value,
            context: match id.owner {
                SecretOwner::Context(name) => Some(name),
                SecretOwner::Project(_) => None,
            },
        }),
        SecretKind::SshKey => {
            let facts = read_facts(facts.as_deref())?;
            answer.ssh_keys.push(SshKey {
                fingerprint: id.name,
                fingerprint_md5: facts.fingerprint_md5,
                public_key: facts.public_key,
                host: facts.host,
                private_key: value,
            });
        }
    }
    Ok(())
}

fn ssh_key_info(record: SecretRecord) -> Result<SshKeyInfo, ApiError> {
    let facts = read_facts(record.facts.as_deref())?;
    Ok(SshKeyInfo {
        fingerprint: record.name,
        fingerprint_md5: facts.fingerprint_md5,
        public_key: facts.public_key,
        host: facts.host,
        created_at: record.created_at,
        key_id: record.key_id,
    })
}

fn read_facts(facts: Option<&str>) -> Result<SshKeyFacts, ApiError> {
    serde_json::from_str(facts.unwrap_or_default())
        .map_err(|error| ApiError::internal("read what it knows of an SSH key", &error))
}

/// A secret in a sentence.
fn named(id: &SecretId) -> String {
    let what = match id.kind {
        SecretKind::Variable => "the variable",
        SecretKind::SshKey => "the SSH key",
    };
    let (owner, name) = match &id.owner {
        SecretOwner::Project(name) => ("project", name),
        SecretOwner::Context(name) => ("context", name),
    };
    format!("{what} {} of the {owner} \"{name}\"", id.name)
}

fn no_contexts(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
    match names.as_slice() {
        [name] => format!("there is no context {name}"),
        names => format!("there are no contexts {}", names.join(", ")),
    }
}

fn unusable(message: String) -> ApiError {
    ApiError::new(ErrorCode::SecretsUnusable, message)
}

fn bad_request(message: String) -> ApiError {
    ApiError::new(ErrorCode::BadRequest, message)
}

fn check_owner(owner: &SecretOwner) -> Result<(), ApiError> {
    match owner {
        SecretOwner::Project(name) => check_project(name),
        SecretOwner::Context(name) => check_context(name),
    }
}

fn check_context(name: &str) -> Result<(), ApiError> {
    let printable = !name.chars().any(char::is_control);
    if !name.trim().is_empty() && name.len() <= LONGEST_NAME && printable {
        return Ok(());
    }
    Err(bad_request(format!(
        "a context's name has 1 to {LONGEST_NAME} bytes, and no control characters"
    )))
}

/// What is wrong is said without what was sent: it may be the value, in the wrong place.
fn check_variable(variable: &SetVariable) -> Result<(), ApiError> {
    let name = &variable.name;
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    let starts = name.bytes().next().is_some_and(|c| !c.is_ascii_digit());
    if !starts || name.len() > LONGEST_NAME || !name.bytes().all(plain) {
        return Err(bad_request(format!(
            "a variable's name has letters, digits and _, no digit first, {LONGEST_NAME} at most"
        )));
    }
    let value = variable.value.reveal();
    if value.len() > LARGEST_VALUE {
        let message = "the value of a variable has at most 64 KiB";
        return Err(ApiError::new(ErrorCode::TooLarge, message));
    }
    if value.contains('\0') {
        let message = "the value has a NUL byte, which no variable can hold";
        return Err(bad_request(message.to_owned()).advise("Encode it, for example with base64."));
    }
    Ok(())
}

/// A host as it may stand in a line of ssh's config.
fn check_host(host: Option<&str>) -> Result<(), ApiError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    match host {
        Some(host) if host.is_empty() || host.len() > 253 || !host.chars().all(plain) => {
            Err(bad_request(
                "this is no name or address of a host: it has letters, digits and - _ . :"
                    .to_owned(),
            ))
        }
        _ => Ok(()),
    }
}
