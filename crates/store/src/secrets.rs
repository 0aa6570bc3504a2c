//! What the store keeps of secrets: sealed bytes, whose they are, and what may be known of them.
//! The keys that open them are the server's, and never come here.

use async_trait::async_trait;
use outrider_model::secret::LeaseToken;
use outrider_model::{TaskId, Timestamp};

use crate::Result;

/// There are at most so many contexts.
pub const MOST_CONTEXTS: u32 = 500;

/// Secrets of projects and contexts. The contract of [`Store`](crate::Store) holds here too.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// Keeps a secret; one with this id is replaced. A project exists from its first secret on, a
    /// context has to be there.
    async fn put_secret(&self, new: SealedSecret, now: Timestamp) -> Result<()>;

    /// The secrets of one kind that an owner has, by name. A project that is not there has none.
    async fn secrets(&self, owner: SecretOwner, kind: SecretKind) -> Result<Vec<SecretRecord>>;

    /// Forgets a secret.
    async fn delete_secret(&self, id: SecretId) -> Result<()>;

    /// Makes a context, unless it is there.
    async fn create_context(&self, name: String, now: Timestamp) -> Result<()>;

    /// All contexts, by name.
    async fn contexts(&self) -> Result<Vec<ContextRecord>>;

    /// Forgets a context and its variables.
    async fn delete_context(&self, name: String) -> Result<()>;

    /// What the holder of this lease may see: nothing, if its pipeline is not trusted.
    async fn task_secrets(&self, task: TaskId, lease: LeaseToken) -> Result<SecretsOfTask>;

    /// Which keys have sealed what is here.
    async fn secret_keys(&self) -> Result<Vec<SecretKeyUse>>;

    /// Secrets that another key than this one has sealed, in the order of their rows, `limit` of
    /// them after the row `after`.
    async fn secrets_not_sealed_by(
        &self,
        key_id: String,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredSecret>>;

    /// These secrets are sealed anew. One that was changed in between is passed over. Tells how many
    /// were not.
    async fn reseal(&self, resealed: Vec<Resealed>) -> Result<u64>;
}

/// Whose a secret is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretOwner {
    /// The project with this name.
    Project(String),
    /// The context with this name.
    Context(String),
}

impl SecretOwner {
    /// How many secrets of a kind it may have.
    pub const fn most_secrets(&self) -> u32 {
        match self {
            Self::Project(_) => 500,
            Self::Context(_) => 100,
        }
    }
}

/// What a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecretKind {
    /// An environment variable.
    Variable,
    /// A private SSH key.
    SshKey,
}

/// Which secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretId {
    /// Whose it is.
    pub owner: SecretOwner,
    /// What it is.
    pub kind: SecretKind,
    /// Its name; of an SSH key, its SHA-256 fingerprint.
    pub name: String,
}

/// What a key has made of a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Which key.
    pub key_id: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({})", self.key_id)
    }
}

/// A secret as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecret {
    /// Which.
    pub id: SecretId,
    /// JSON: what is no secret about it.
    pub facts: Option<String>,
    /// The secret itself.
    pub sealed: Sealed,
}

/// What anybody may know of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRecord {
    /// Its name.
    pub name: String,
    /// JSON: what is no secret about it.
    pub facts: Option<String>,
    /// Which key sealed it.
    pub key_id: String,
    /// When it was first kept.
    pub created_at: Timestamp,
    /// When it was last replaced.
    pub updated_at: Timestamp,
}

/// A context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextRecord {
    /// Its name.
    pub name: String,
    /// How many variables it has.
    pub variables: u32,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The secrets of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretsOfTask {
    /// Those of its project, then those of its contexts, in the order of the config.
    pub secrets: Vec<SealedSecret>,
    /// The contexts that it names and that are not there.
    pub missing_contexts: Vec<String>,
}

/// How much a key has sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretKeyUse {
    /// Which key.
    pub key_id: String,
    /// How many secrets.
    pub secrets: u64,
}

/// A secret, and the row that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSecret {
    /// The row.
    pub row: u64,
    /// The secret.
    pub secret: SealedSecret,
}

/// A secret that is sealed by another key now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resealed {
    /// Its row.
    pub row: u64,
    /// As it was.
    pub old: Sealed,
    /// As it is to be.
    pub new: Sealed,
}
