//! Ends leases that ran out.

use std::time::Duration;

use crate::{ApiError, Core};

/// How many leases are ended in one transaction.
const BATCH: u32 = 500;

/// The longest pause between two looks: a lease may be shortened by nobody, but a clock may jump.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The shortest: a lease that runs out is not urgent to the millisecond.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);

/// Ends the leases that ran out by now, and tells when to look again. After a start of the server
/// it waits until runners had time to renew (promise P5).
pub async fn expire_leases_once(core: &Core) -> Result<Duration, ApiError> {
    let now = core.clock.now();
    let grace_ends = core.started_at + core.settings.timings.startup_grace;
    if now < grace_ends {
        return Ok(grace_ends.since(now).clamp(SHORTEST_PAUSE, LONGEST_PAUSE));
    }
    let expired = core.store.expire_leases(now, BATCH).await?;
    core.hub.wake(&expired.woken);
    core.touch_attempts(&expired.touched);
    let ended = expired.requeued + expired.ended;
    core.metrics.lease_losses.inc_by(u64::from(ended));
    if ended > 0 {
        tracing::warn!(
            requeued = expired.requeued,
            lost = expired.ended,
            "leases ran out"
        );
    }
    if ended >= BATCH {
        return Ok(Duration::ZERO);
    }
    let next = expired.next.map_or(LONGEST_PAUSE, |next| next.since(now));
    Ok(next.clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
}
