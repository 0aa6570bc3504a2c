//! Secrets: project variables, contexts and SSH keys. Values go in and never come out.

use outrider_model::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The largest value of a variable, in bytes.
pub const LARGEST_VALUE: usize = 64 * 1024;

/// A value that is never printed, neither by `Debug` nor in an error.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// Keeps a value.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The value itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText(…)")
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What serde says of a wrong type has the value in it.
        String::deserialize(deserializer)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("a secret is a string"))
    }
}

/// Whose variables: one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct OwnerQuery {
    /// Those of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Those of this context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

impl OwnerQuery {
    /// Those of a project.
    pub fn project(name: impl Into<String>) -> Self {
        Self {
            project: Some(name.into()),
            context: None,
        }
    }

    /// Those of a context.
    pub fn context(name: impl Into<String>) -> Self {
        Self {
            project: None,
            context: Some(name.into()),
        }
    }
}

/// Which variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct VariableQuery {
    /// That of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// That of this context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Its name.
    pub name: String,
}

/// A variable to keep. One with its name is replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetVariable {
    /// Its name: letters, digits and `_`, no digit first.
    pub name: String,
    /// Its value, 64 KiB at most.
    #[schema(value_type = String)]
    pub value: SecretText,
}

/// What can be known of a variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// When it was first set.
    pub created_at: Timestamp,
    /// When it was last set.
    pub updated_at: Timestamp,
    /// The id of the key that sealed it.
    pub key_id: String,
}

/// Variables, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VariableList {
    /// The variables.
    pub items: Vec<Variable>,
}

/// A context to make, or to delete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ContextName {
    /// Its name, as jobs name it in the config.
    pub name: String,
}

/// A context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Context {
    /// Its name.
    pub name: String,
    /// How many variables it has.
    pub variables: u32,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Contexts, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContextList {
    /// The contexts.
    pub items: Vec<Context>,
}

/// Whose SSH keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ProjectQuery {
    /// The project.
    pub project: String,
}

/// Which SSH key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SshKeyQuery {
    /// The project that it is of.
    pub project: String,
    /// Its fingerprint: `SHA256:…`.
    pub fingerprint: String,
}

/// An SSH key to keep. The same key again replaces its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddSshKey {
    /// The private key as `ssh-keygen` writes it, without a passphrase.
    #[schema(value_type = String)]
    pub private_key: SecretText,
    /// The host that it is for; none: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// What can be known of an SSH key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SshKeyInfo {
    /// `SHA256:` and the base64 of the public key's hash.
    pub fingerprint: String,
    /// MD5 of the public key, in hexadecimal with colons.
    pub fingerprint_md5: String,
    /// The public key, in one line.
    pub public_key: String,
    /// The host that it is for; none: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// When it was first added.
    pub created_at: Timestamp,
    /// The id of the key that sealed it.
    pub key_id: String,
}

/// SSH keys, by fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SshKeyList {
    /// The keys.
    pub items: Vec<SshKeyInfo>,
}

/// The keys that seal secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SealingKeys {
    /// Those that the server has, the one that seals first, and then those that it lacks.
    pub items: Vec<SealingKey>,
}

/// A key that seals secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SealingKey {
    /// Its id.
    pub id: String,
    /// What the server does with it.
    pub role: KeyRole,
    /// How many secrets it has sealed.
    pub secrets: u64,
}

/// What a server does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyRole {
    /// It seals, and opens what it has sealed.
    Seals,
    /// It opens what it has sealed.
    Opens,
    /// The server does not have it: what it has sealed cannot be used.
    Lost,
}

/// Where to go on sealing anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateSecrets {
    /// `next` of the answer before; 0 to begin.
    #[serde(default)]
    pub after: u64,
}

/// Some secrets were sealed anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RotatedSecrets {
    /// How many.
    pub resealed: u64,
    /// How many could not be opened and stay as they are.
    pub unusable: u64,
    /// Where to go on; none: that was all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
