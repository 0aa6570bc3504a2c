//! Cancels jobs that wait too long for their turn in a group.

use std::time::Duration;

use crate::{ApiError, Core};

/// How many are canceled in one transaction.
const BATCH: u32 = 100;

/// The longest pause between two looks: a job may begin to wait at any time, but none for less.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The shortest: a wait of hours may take a second longer.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Cancels those whose time is over, and tells when to look again.
pub async fn end_long_waits_once(core: &Core) -> Result<Duration, ApiError> {
    let now = core.clock.now();
    let overdue = core.store.end_long_waits(now, BATCH).await?;
    core.hub.wake(&overdue.woken);
    if overdue.ended > 0 {
        tracing::warn!(
            canceled = overdue.ended,
            "jobs waited too long for their turn"
        );
        core.watchers.touch_any();
    }
    let next = overdue.next.map_or(LONGEST_PAUSE, |next| next.since(now));
    Ok(next.clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
}
