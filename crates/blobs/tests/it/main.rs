//! Blobs on real disks and in real buckets, with real faults.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests run beside real processes, in real time"
)]

mod bucket;
mod contract;
mod faults;
mod folder;
mod signed;
mod support;
