//! Chunks: where they lie in packs.

use outrider_model::BlobHash;
use outrider_model::blob::{ChunkPlace, PackIndex, PackedChunk};
use rusqlite::{OptionalExtension, Row};

use super::super::fault::{Fault, Res};
use super::super::tx::Tx;
use super::blobs::stored;
use super::caller::{Caller, Fence};
use super::uses::Owner;
use crate::{ArchiveRecord, BlobRecord, Scope};

impl Tx<'_> {
    /// Where chunks lie. An archive may use only packs of its own scope, so no others are found.
    pub fn find_chunks(&mut self, by: &Fence, hashes: &[BlobHash]) -> Res<Vec<Option<ChunkPlace>>> {
        let caller = Caller::find(self.db, by)?;
        let mut used = None;
        let mut places = Vec::with_capacity(hashes.len());
        for hash in hashes {
            let found = self.find_chunk(caller.scope, *hash)?;
            if let Some((row, _)) = found
                && used.replace(row) != Some(row)
            {
                self.use_blob(Owner::Attempt(caller.attempt), row)?;
            }
            places.push(found.map(|(_, place)| place));
        }
        Ok(places)
    }

    fn find_chunk(&self, scope: Scope, hash: BlobHash) -> Res<Option<(u64, ChunkPlace)>> {
        let mut find = self.db.prepare_cached(
            "SELECT c.pack, b.hash, c.offset, c.stored, c.length \
             FROM chunk c JOIN blob b ON b.id = c.pack \
             WHERE c.project = ?1 AND c.untrusted = ?2 AND c.hash = ?3",
        )?;
        let read = |row: &Row<'_>| {
            let place = ChunkPlace {
                pack: BlobHash(row.get(1)?),
                offset: row.get(2)?,
                stored: row.get(3)?,
                length: row.get(4)?,
            };
            Ok((row.get(0)?, place))
        };
        let found = find.query_row((scope.project, scope.untrusted, hash.0), read);
        Ok(found.optional()?)
    }

    /// What lies in packs.
    pub fn index_packs(&mut self, by: &Fence, packs: &[PackIndex]) -> Res<()> {
        let caller = Caller::find(self.db, by)?;
        for index in packs {
            let pack = stored(self.db, caller.scope, index.pack)?;
            for chunk in &index.chunks {
                self.index_chunk(&pack, chunk)?;
            }
        }
        Ok(())
    }

    fn index_chunk(&self, pack: &BlobRecord, chunk: &PackedChunk) -> Res<()> {
        let end = u64::from(chunk.offset) + u64::from(chunk.stored);
        if end > pack.size {
            return Err(Fault::conflict(format!(
                "the chunk {} ends at byte {end} of a pack of {}",
                chunk.hash, pack.size
            )));
        }
        let mut insert = self.db.prepare_cached(
            "INSERT INTO chunk (project, untrusted, hash, pack, offset, stored, length) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        )?;
        let Scope { project, untrusted } = pack.object.scope;
        insert.execute((
            project,
            untrusted,
            chunk.hash.0,
            pack.object.row,
            chunk.offset,
            chunk.stored,
            chunk.length,
        ))?;
        Ok(())
    }

    /// The rows of all blobs of an archive, its manifest first. All must be stored.
    pub fn archive_blobs(&self, scope: Scope, archive: &ArchiveRecord) -> Res<Vec<u64>> {
        let hashes = std::iter::once(&archive.manifest).chain(&archive.packs);
        hashes
            .map(|hash| Ok(stored(self.db, scope, *hash)?.object.row))
            .collect()
    }
}
