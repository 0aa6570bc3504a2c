//! What runners say about the data of tasks: blobs, caches, workspaces, artifacts, test results and
//! secrets. All calls need a class token, and the lease of the task that they are about.

use std::collections::BTreeMap;

use outrider_model::blob::{Archive, ChunkPlace, PackIndex};
use outrider_model::{BlobHash, JobId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// At most so many blobs or chunks are named in one call.
pub const MOST_HASHES: usize = 2_000;

/// So many chunks of new packs go with a commit. Those of larger archives are indexed before, so many
/// in one call.
pub const MOST_INDEXED: usize = 20_000;

/// The longest key of a cache, in characters.
pub const LONGEST_CACHE_KEY: usize = 900;

/// Which chunks are in the store already?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindChunks {
    /// Their names, [`MOST_HASHES`] at most.
    pub hashes: Vec<BlobHash>,
}

/// Where the chunks are. The packs that are named here are kept until the task ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundChunks {
    /// In the order of the question; nothing for a chunk that is not there.
    pub places: Vec<Option<ChunkPlace>>,
}

/// What lies in packs that the task has stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IndexPacks {
    /// The packs, [`MOST_HASHES`] at most, with [`MOST_INDEXED`] chunks or so.
    pub packs: Vec<PackIndex>,
}

/// A task is about to send these blobs. They are kept until it ends, whatever becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnnounceBlobs {
    /// The blobs, [`MOST_HASHES`] at most.
    pub blobs: Vec<NamedBlob>,
}

/// A blob by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NamedBlob {
    /// BLAKE3 of its bytes.
    pub hash: BlobHash,
    /// How many they are: at most 16 MiB.
    pub size: u64,
}

/// Where to send the blobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnnouncedBlobs {
    /// In the order of the blobs; nothing for one that is in the store already.
    pub uploads: Vec<Option<Transfer>>,
}

/// Where the bytes of a blob go or come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Transfer {
    /// By the server: `PUT` or `GET /api/v1/runner/tasks/{id}/blobs/{hash}`.
    Server {},
    /// Straight to or from the blob store, without any token of ours. Valid for minutes.
    Store {
        /// The signed URL.
        url: String,
        /// Headers that have to be sent.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, String>,
    },
}

/// Where do these blobs come from?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LocateBlobs {
    /// Their names, [`MOST_HASHES`] at most.
    pub hashes: Vec<BlobHash>,
}

/// Where blobs come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LocatedBlobs {
    /// In the order of the question; nothing for a blob that the task may not read or that is not
    /// there.
    pub downloads: Vec<Option<Transfer>>,
}

/// A blob's bytes were not what its name says: the server looks for itself, and drops what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportDamage {
    /// The blob.
    pub hash: BlobHash,
}

/// Which cache fits?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindCache {
    /// Keys and prefixes, in the order in which they are tried.
    pub keys: Vec<String>,
    /// Whether only the whole key counts: asked before a save.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
}

/// The newest cache whose key begins with the first of the keys that any fits, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CacheAnswer {
    /// The cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<FoundCache>,
}

/// A cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundCache {
    /// Its key.
    pub key: String,
    /// Its files.
    pub manifest: BlobHash,
    /// How many files, links and directories it has.
    pub entries: u64,
    /// How many bytes its files have.
    pub size: u64,
    /// When it was saved.
    pub created_at: Timestamp,
}

/// A cache whose blobs are all in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SaveCache {
    /// Its key, 1 to 900 characters.
    pub key: String,
    /// Its files.
    pub archive: Archive,
}

/// Whether the cache is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SavedCache {
    /// False if there is one with this key already: that one stays as it is.
    pub saved: bool,
}

/// What a step adds to the workspace of its workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AddLayer {
    /// The index of the step. Adding it again replaces it.
    pub step: u32,
    /// Its files.
    pub archive: Archive,
}

/// What the jobs before this one have added to the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Workspace {
    /// In the order in which they are laid over each other.
    pub layers: Vec<Layer>,
}

/// What one step of one task added to a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Layer {
    /// The job.
    pub job: JobId,
    /// Its name.
    pub job_name: String,
    /// Which of its tasks.
    pub index: u32,
    /// Which of the task's steps.
    pub step: u32,
    /// The jobs that it came after, directly or not: of two jobs neither of which came after the
    /// other nobody can say whose file counts.
    pub after: Vec<JobId>,
    /// Its files.
    pub manifest: BlobHash,
    /// How many files, links and directories it has.
    pub entries: u64,
    /// How many bytes its files have.
    pub size: u64,
}

/// Files of a task that people look at. One with the path of an earlier one takes its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoreArtifacts {
    /// The files, [`MOST_HASHES`] at most.
    pub artifacts: Vec<NewArtifact>,
}

/// An artifact whose blobs are all in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewArtifact {
    /// Its path: relative, with `/` between the parts, none of them empty, `.` or `..`.
    pub path: String,
    /// The blobs that it is made of, one after the other.
    pub parts: Vec<NamedBlob>,
}

/// What a step read from test reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoreTestResults {
    /// The index of the step. Storing it again replaces it.
    pub step: u32,
    /// The tests: JSON lines in zstd frames.
    pub results: NamedBlob,
    /// How many tests there are.
    pub tests: u64,
    /// How many of them failed or ended with an error.
    pub failed: u64,
    /// How many of them were passed over.
    pub skipped: u64,
    /// How long all took together, in milliseconds.
    pub millis: u64,
}

/// The secrets of a task: never written to a disk, nor logged.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskSecrets {
    /// Variables of the project, then those of its contexts in the order of the config: of two with
    /// the same name the later one counts.
    pub variables: Vec<SecretVariable>,
    /// SSH keys of the project.
    pub ssh_keys: Vec<SshKey>,
    /// Contexts that the config names and that are not there, on a server that lets jobs run
    /// without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_contexts: Vec<String>,
}

/// An environment variable whose value is secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretVariable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The context that it is of; none: the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// An SSH key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SshKey {
    /// `SHA256:` and the base64 of the public key's hash.
    pub fingerprint: String,
    /// MD5 of the public key, in hexadecimal with colons.
    pub fingerprint_md5: String,
    /// The public key, in one line.
    pub public_key: String,
    /// The host that it is for; none: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The private key, as `ssh-keygen` writes it.
    pub private_key: String,
}

impl std::fmt::Debug for TaskSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskSecrets")
            .field("variables", &self.variables)
            .field("ssh_keys", &self.ssh_keys)
            .field("missing_contexts", &self.missing_contexts)
            .finish()
    }
}

impl std::fmt::Debug for SecretVariable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=…", self.name)
    }
}

impl std::fmt::Debug for SshKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SshKey({})", self.fingerprint)
    }
}
