//! What runners say about the data of tasks. All calls need the lease of the task.

pub mod add_layer;
pub mod announce_blobs;
pub mod find_cache;
pub mod find_chunks;
pub mod get_blob;
pub mod index_packs;
pub mod locate_blobs;
pub mod put_blob;
pub mod report_damage;
pub mod save_cache;
pub mod store_artifacts;
pub mod store_test_results;
pub mod timings;
pub mod workspace;
