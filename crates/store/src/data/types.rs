//! What goes into the store about data, and what comes out.

use std::time::Duration;

use outrider_model::{BlobHash, JobId, TaskId, Timestamp};

/// Whose data: a project's, in one of its trust tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The number of the project in the store.
    pub project: u64,
    /// Whether a pipeline made it that is not trusted.
    pub untrusted: bool,
}

/// The object of a blob: all that its name is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobObject {
    /// Whose it is.
    pub scope: Scope,
    /// The blob's row, which is never used again.
    pub row: u64,
    /// BLAKE3 of its bytes.
    pub hash: BlobHash,
}

/// A blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobRecord {
    /// Where its bytes lie.
    pub object: BlobObject,
    /// How many they are.
    pub size: u64,
}

/// A blob by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewBlob {
    /// BLAKE3 of its bytes.
    pub hash: BlobHash,
    /// How many they are.
    pub size: u64,
}

/// A blob that was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The blob.
    pub blob: BlobRecord,
    /// Whether its object is there already.
    pub stored: bool,
}

/// An archive, what lies in its packs apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveRecord {
    /// The blob that lists its files and chunks.
    pub manifest: BlobHash,
    /// All packs that it needs.
    pub packs: Vec<BlobHash>,
    /// How many files, links and directories it has.
    pub entries: u64,
    /// How many bytes its files have.
    pub size: u64,
}

/// A cache to keep.
#[derive(Clone, Debug)]
pub struct NewCache {
    /// Its key.
    pub key: String,
    /// Its files.
    pub archive: ArchiveRecord,
    /// How long it is kept, if its job says nothing.
    pub retention: Duration,
}

/// A cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRecord {
    /// Its key.
    pub key: String,
    /// The blob that lists its files and chunks.
    pub manifest: BlobHash,
    /// How many files, links and directories it has.
    pub entries: u64,
    /// How many bytes its files have.
    pub size: u64,
    /// When it was saved.
    pub created_at: Timestamp,
}

/// What dropping caches did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    /// How many went.
    pub caches: u32,
    /// How many bytes of blobs nothing uses any more.
    pub bytes: u64,
}

/// What a step adds to a workspace.
#[derive(Clone, Debug)]
pub struct NewLayer {
    /// The index of the step.
    pub step: u32,
    /// Its files.
    pub archive: ArchiveRecord,
    /// How long it is kept.
    pub retention: Duration,
}

/// What one step of one task added to a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerRecord {
    /// The job.
    pub job: JobId,
    /// Its name.
    pub job_name: String,
    /// Which of its tasks.
    pub index: u32,
    /// Which of the task's steps.
    pub step: u32,
    /// The jobs that it came after, directly or not.
    pub after: Vec<JobId>,
    /// The blob that lists its files and chunks.
    pub manifest: BlobHash,
    /// How many files, links and directories it has.
    pub entries: u64,
    /// How many bytes its files have.
    pub size: u64,
}

/// An artifact to keep.
#[derive(Clone, Debug)]
pub struct NewArtifact {
    /// Its path.
    pub path: String,
    /// The blobs that it is made of, one after the other.
    pub parts: Vec<BlobHash>,
}

/// An artifact in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactRecord {
    /// The task that stored it.
    pub task: TaskId,
    /// Which of its job's tasks that is.
    pub index: u32,
    /// Its path.
    pub path: String,
    /// How many bytes it has.
    pub size: u64,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// Where an artifact's bytes lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactContent {
    /// How many they are.
    pub size: u64,
    /// The blobs that it is made of, one after the other.
    pub parts: Vec<BlobRecord>,
}

/// Test results to keep.
#[derive(Clone, Copy, Debug)]
pub struct NewTestResults {
    /// The index of the step that read them.
    pub step: u32,
    /// The tests.
    pub blob: BlobHash,
    /// How many there are of which kind.
    pub counts: TestCounts,
    /// How long they are kept.
    pub retention: Duration,
}

/// How many tests there are of which kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TestCounts {
    /// All.
    pub tests: u64,
    /// Those that failed or ended with an error.
    pub failed: u64,
    /// Those that were passed over.
    pub skipped: u64,
    /// How long all took together, in milliseconds.
    pub millis: u64,
}

/// Test results of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestResultsRecord {
    /// The task.
    pub task: TaskId,
    /// Which of its job's tasks that is.
    pub index: u32,
    /// Which of its steps.
    pub step: u32,
    /// The tests.
    pub blob: BlobRecord,
    /// How many there are of which kind.
    pub counts: TestCounts,
}

/// What a look at the age of data did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Caches, layers, artifacts and results that went.
    pub expired: u32,
    /// Attempts that have ended and use nothing any more.
    pub attempts: u32,
    /// Blobs that became garbage.
    pub blobs: u32,
    /// Whether a limit was reached: there may be more to do.
    pub more: bool,
}

/// How many of a kind, and how many bytes they have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub count: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// How much there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataUsage {
    /// What lies in the blob store, by scope.
    pub blobs: Vec<(Scope, Amount)>,
    /// Caches, by the size of their files.
    pub caches: Amount,
    /// Layers of workspaces, by the size of their files.
    pub layers: Amount,
    /// Artifacts.
    pub artifacts: Amount,
    /// Test results, by the size of what is kept of them.
    pub test_results: Amount,
}
