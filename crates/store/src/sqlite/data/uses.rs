//! Why blobs are kept. Triggers count how many uses a blob has.

use outrider_model::AttemptId;

use super::super::fault::Res;
use super::super::tx::Tx;

/// What uses blobs.
#[derive(Clone, Copy)]
pub enum Owner {
    /// An attempt, until it has ended.
    Attempt(AttemptId),
    /// A row that is kept for a time.
    Kept(Kept, i64),
}

/// What is kept for a time.
#[derive(Clone, Copy)]
pub enum Kept {
    Cache = 1,
    Layer = 2,
    Artifact = 3,
    TestResults = 4,
}

/// The kind of uses by attempts.
pub const BY_ATTEMPT: u8 = 0;

impl Kept {
    pub const ALL: [Self; 4] = [Self::Cache, Self::Layer, Self::Artifact, Self::TestResults];

    /// Where its rows are.
    pub const fn table(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Layer => "layer",
            Self::Artifact => "artifact",
            Self::TestResults => "test_results",
        }
    }

    /// Which of its rows stay past their time.
    pub const fn stays(self) -> &'static str {
        match self {
            Self::Cache | Self::Layer | Self::Artifact => "FALSE",
            // All tasks of a job must split their tests by the same.
            Self::TestResults => {
                "EXISTS (SELECT 1 FROM timing_basis t JOIN job j ON j.id = t.job \
                 WHERE t.basis = test_results.job AND j.finished_at IS NULL)"
            }
        }
    }

    /// What a row of `blob_use` says, unless it is of an attempt.
    pub fn read(kind: u8, owner: &[u8]) -> Option<(Self, i64)> {
        let kept = Self::ALL.into_iter().find(|kept| *kept as u8 == kind)?;
        let row = i64::from_be_bytes(owner.try_into().ok()?);
        Some((kept, row))
    }
}

impl Owner {
    /// The kind, and the owner's name among those of that kind.
    fn key(self) -> (u8, Vec<u8>) {
        match self {
            Self::Attempt(id) => (BY_ATTEMPT, id.as_bytes().to_vec()),
            Self::Kept(kept, row) => (kept as u8, row.to_be_bytes().to_vec()),
        }
    }
}

impl Tx<'_> {
    /// The owner uses this blob.
    pub fn use_blob(&self, owner: Owner, blob: u64) -> Res<()> {
        let (kind, owner) = owner.key();
        let mut insert = self.db.prepare_cached(
            "INSERT INTO blob_use (kind, owner, blob) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?;
        insert.execute((kind, owner, blob))?;
        Ok(())
    }

    /// The attempt uses what another owner uses.
    pub fn share_uses(&self, attempt: AttemptId, of: Owner) -> Res<()> {
        let (kind, owner) = of.key();
        let mut insert = self.db.prepare_cached(
            "INSERT INTO blob_use (kind, owner, blob) \
             SELECT ?1, ?2, blob FROM blob_use WHERE kind = ?3 AND owner = ?4 \
             ON CONFLICT DO NOTHING",
        )?;
        insert.execute((BY_ATTEMPT, attempt.as_bytes(), kind, owner))?;
        Ok(())
    }

    /// The owner uses nothing any more.
    pub fn let_go(&self, owner: Owner) -> Res<()> {
        let (kind, owner) = owner.key();
        let mut delete = self
            .db
            .prepare_cached("DELETE FROM blob_use WHERE kind = ?1 AND owner = ?2")?;
        delete.execute((kind, owner))?;
        Ok(())
    }

    /// A row goes, with its uses.
    pub fn drop_kept(&self, kept: Kept, row: i64) -> Res<()> {
        self.let_go(Owner::Kept(kept, row))?;
        let delete = format!("DELETE FROM {} WHERE id = ?1", kept.table());
        self.db.prepare_cached(&delete)?.execute([row])?;
        Ok(())
    }
}
