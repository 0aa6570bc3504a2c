//! Where things are. Everything that is versioned starts with `/api/v1`.

/// The version prefix.
pub const V1: &str = "/api/v1";
/// Header that carries the lease token with a piece of a log.
pub const LEASE_HEADER: &str = "outrider-lease";
/// Header by which every answer names its request, as the server's log does.
pub const REQUEST_ID_HEADER: &str = "x-request-id";
/// Header by which a caller names a submission, so that sending it twice is harmless.
pub const IDEMPOTENCY_KEY_HEADER: &str = "idempotency-key";
