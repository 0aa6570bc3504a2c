//! Memory of processes, as `/proc` has it.

use std::time::Duration;

use super::child::Process;
use crate::failure::{Failure, code};

/// What is resident now.
pub const RESIDENT: &str = "VmRSS:";
/// The most that was resident since the peak was forgotten.
pub const PEAK: &str = "VmHWM:";

/// A figure of a process in KB.
pub fn kb(process: u32, figure: &str) -> Result<f64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.map_err(|error| Failure::internal("read /proc", error))?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| Failure::new(code::FAILED, "the measured process ended"))
}

/// A figure of this process in KB.
pub fn kb_of_this_process(figure: &str) -> Result<f64, Failure> {
    kb(std::process::id(), figure)
}

/// From now on a new peak of this process is looked for.
pub fn forget_peak() -> Result<(), Failure> {
    let forgotten = std::fs::write("/proc/self/clear_refs", "5");
    forgotten.map_err(|error| Failure::internal("write to /proc", error))
}

/// What is resident of a process in KB, once it no longer changes much.
pub async fn settled_rss(process: &Process) -> Result<f64, Failure> {
    let mut last = kb(process.id(), RESIDENT)?;
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let now = kb(process.id(), RESIDENT)?;
        if (now - last).abs() < 64.0 {
            return Ok(now);
        }
        last = now;
    }
    Ok(last)
}
