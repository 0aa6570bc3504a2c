//! Crash points: named places at which a test can have this process killed.
//!
//! `OUTRIDER_CRASH_AT=claim.committed` kills the process with SIGKILL when it first passes that
//! place, `OUTRIDER_CRASH_AT=claim.committed:3` at the third time. Without the variable a crash
//! point costs one comparison.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Called with the name of each crash point that is passed.
pub type CrashHook = Arc<dyn Fn(&str) + Send + Sync>;

/// The hook for a setting such as `report.applied:2`.
pub fn hook(setting: &str) -> CrashHook {
    let (point, count) = match setting.rsplit_once(':') {
        Some((point, count)) => (point, count.parse().unwrap_or(1)),
        None => (setting, 1),
    };
    let point = point.to_owned();
    let left = AtomicU32::new(count);
    Arc::new(move |passed| {
        if passed == point && left.fetch_sub(1, Ordering::SeqCst) == 1 {
            kill_this_process();
        }
    })
}

/// Ends this process as `kill -9` would: no destructor runs, nothing is flushed.
fn kill_this_process() -> ! {
    let pid = std::process::id().to_string();
    let _ = std::process::Command::new("kill")
        .args(["-9", &pid])
        .status();
    std::process::abort()
}
