//! Drops runners from the inventory that fell silent long ago.

use std::time::Duration;

use crate::{ApiError, Core};

const PAUSE: Duration = Duration::from_secs(300);

/// Drops those that were not heard of for the time that the settings give.
pub async fn forget_runners_once(core: &Core) -> Result<Duration, ApiError> {
    let forgotten = core.forget_silent_runners().await?;
    if forgotten > 0 {
        tracing::info!(forgotten, "silent runners left the inventory");
    }
    Ok(PAUSE)
}
