//! The data of jobs: blobs on their way in and out, and what is made of them.

mod archives;
mod blobs;
mod caches;
mod outputs;
mod room;
mod shown;
mod uploads;

use futures_util::stream::BoxStream;
use outrider_api::ErrorCode;
use outrider_api::data::MOST_HASHES;
use outrider_blobs::{BlobName, Tier};
use outrider_store::BlobObject;

use crate::ApiError;

pub(super) use room::Room;
pub(super) use shown::TEST_READERS;
pub(super) use uploads::Uploads;

/// Bytes on their way out.
pub struct Download {
    /// How many there are in all, of which a part was asked for.
    pub size: u64,
    /// How many come.
    pub length: u64,
    /// They, in pieces.
    pub pieces: BoxStream<'static, Result<bytes::Bytes, ApiError>>,
}

/// What the blob store calls it.
pub const fn name_of(object: &BlobObject) -> BlobName {
    BlobName {
        project: object.scope.project,
        tier: match object.scope.untrusted {
            true => Tier::Untrusted,
            false => Tier::Trusted,
        },
        hash: object.hash,
        row: object.row,
    }
}

/// The greatest number that is taken: all programs that read JSON know it exactly.
const GREATEST_NUMBER: u64 = (1 << 53) - 1;

/// A number makes sense.
fn check_number(number: u64) -> Result<(), ApiError> {
    if number <= GREATEST_NUMBER {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::BadRequest,
        format!("a number is {GREATEST_NUMBER} at most, not {number}"),
    ))
}

/// A list is not too long.
fn check_length(things: usize) -> Result<(), ApiError> {
    if things <= MOST_HASHES {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::TooLarge,
        format!("one call names {MOST_HASHES} things at most, not {things}"),
    ))
}
