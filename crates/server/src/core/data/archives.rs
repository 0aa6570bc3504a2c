//! Archives: the blobs of a cache or of a layer.

use outrider_api::data::{AddLayer, Layer};
use outrider_model::BlobHash;
use outrider_model::blob::{Archive, ChunkPlace, PackIndex};
use outrider_store::{ArchiveRecord, HeldLease, LayerRecord, NewLayer};

use super::{check_length, check_number};
use crate::{ApiError, Core};

/// So many chunks are written in one transaction: others want to write too.
const CHUNKS_AT_ONCE: usize = 2_000;

impl Core {
    /// Where chunks lie that the task may use.
    pub async fn find_chunks(
        &self,
        by: HeldLease,
        hashes: Vec<BlobHash>,
    ) -> Result<Vec<Option<ChunkPlace>>, ApiError> {
        check_length(hashes.len())?;
        Ok(self.store.find_chunks(by, hashes).await?)
    }

    /// Makes sure that the blobs are there, and notes what lies in the new ones.
    pub(super) async fn take_archive(
        &self,
        by: HeldLease,
        archive: Archive,
    ) -> Result<ArchiveRecord, ApiError> {
        check_number(archive.entries)?;
        check_number(archive.size)?;
        let blobs = archive.packs.iter().chain([&archive.manifest]).copied();
        self.confirm(by, blobs).await?;
        self.index(by, archive.new_packs).await?;
        Ok(ArchiveRecord {
            manifest: archive.manifest,
            packs: archive.packs,
            entries: archive.entries,
            size: archive.size,
        })
    }

    /// Notes what lies in packs that the task has stored.
    pub async fn index_packs(&self, by: HeldLease, packs: Vec<PackIndex>) -> Result<(), ApiError> {
        check_length(packs.len())?;
        self.confirm(by, packs.iter().map(|index| index.pack))
            .await?;
        self.index(by, packs).await
    }

    async fn index(&self, by: HeldLease, packs: Vec<PackIndex>) -> Result<(), ApiError> {
        for packs in batches(packs, CHUNKS_AT_ONCE) {
            self.store.index_packs(by, packs).await?;
        }
        Ok(())
    }

    /// A step adds to the workspace.
    pub async fn add_layer(&self, by: HeldLease, layer: AddLayer) -> Result<(), ApiError> {
        let new = NewLayer {
            step: layer.step,
            archive: self.take_archive(by, layer.archive).await?,
            retention: self.settings.data.workspace_retention,
        };
        self.pass("layer.indexed");
        Ok(self.store.add_layer(by, new, self.clock.now()).await?)
    }

    /// What the jobs before this one have added to the workspace.
    pub async fn workspace(&self, by: HeldLease) -> Result<Vec<Layer>, ApiError> {
        let layers = self.store.workspace(by).await?;
        Ok(layers.into_iter().map(layer).collect())
    }
}

fn layer(record: LayerRecord) -> Layer {
    let LayerRecord {
        job,
        job_name,
        index,
        step,
        after,
        manifest,
        entries,
        size,
    } = record;
    Layer {
        job,
        job_name,
        index,
        step,
        after,
        manifest,
        entries,
        size,
    }
}

/// The same chunks in lists of `most` at most.
fn batches(packs: Vec<PackIndex>, most: usize) -> Vec<Vec<PackIndex>> {
    let mut batches = Vec::new();
    let (mut batch, mut length) = (Vec::new(), 0);
    for PackIndex { pack, mut chunks } in packs {
        while !chunks.is_empty() {
            let rest = chunks.split_off(chunks.len().min(most - length));
            length += chunks.len();
            batch.push(PackIndex { pack, chunks });
            chunks = rest;
            if length == most {
                batches.push(std::mem::take(&mut batch));
                length = 0;
            }
        }
    }
    batches.extend((!batch.is_empty()).then_some(batch));
    batches
}

#[cfg(test)]
mod tests {
    use outrider_model::blob::PackedChunk;

    use super::*;

    #[test]
    fn many_chunks_are_written_in_parts() {
        let pack = |number: u8, chunks: u32| PackIndex {
            pack: BlobHash([number; 32]),
            chunks: (0..chunks)
                .map(|offset| PackedChunk {
                    hash: BlobHash([number; 32]),
                    offset,
                    stored: 1,
                    length: 1,
                })
                .collect(),
        };
        let shape = |packs: Vec<PackIndex>| {
            let sizes = |batch: Vec<PackIndex>| {
                let sizes = batch
                    .iter()
                    .map(|index| (index.pack.0[0], index.chunks.len()));
                sizes.collect::<Vec<_>>()
            };
            batches(packs, 3).into_iter().map(sizes).collect::<Vec<_>>()
        };
        let expected = [vec![(1, 2), (3, 1)], vec![(3, 3)], vec![(3, 1), (4, 1)]];
        let packs = vec![pack(1, 2), pack(2, 0), pack(3, 5), pack(4, 1)];
        assert_eq!(shape(packs), expected);
        assert_eq!(shape(vec![pack(1, 3)]), [[(1, 3)]]);
        assert_eq!(shape(Vec::new()), Vec::<Vec<_>>::new());
    }
}
