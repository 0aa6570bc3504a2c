//! How the types that are written as text appear in the OpenAPI document.

use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

fn text(format: Option<KnownFormat>, description: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(format.map(SchemaFormat::KnownFormat))
        .description(Some(description))
        .into()
}

macro_rules! text_schema {
    ($($name:ty, $format:expr, $description:literal;)*) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                text($format, $description)
            }
        }
        impl ToSchema for $name {}
    )*};
}

text_schema! {
    crate::PipelineId, Some(KnownFormat::Uuid), "Id of a pipeline (UUIDv7).";
    crate::WorkflowId, Some(KnownFormat::Uuid), "Id of a workflow (UUIDv7).";
    crate::JobId, Some(KnownFormat::Uuid), "Id of a job (UUIDv7).";
    crate::TaskId, Some(KnownFormat::Uuid), "Id of a task (UUIDv7).";
    crate::AttemptId, Some(KnownFormat::Uuid), "Id of an attempt (UUIDv7).";
    crate::RunnerId, Some(KnownFormat::Uuid), "Id of a runner process (UUIDv7).";
    crate::TokenId, Some(KnownFormat::Uuid), "Id of a token (UUIDv7), not its secret.";
    crate::Timestamp, Some(KnownFormat::DateTime), "RFC 3339, UTC, to the millisecond.";
    crate::ClassName, None, "Resource class, namespace/name.";
    crate::secret::LeaseToken, None, "Proof of a lease: 32 hexadecimal digits.";
    crate::secret::ContinuationKey, None, "Lets its holder continue a pipeline, once.";
    crate::report::LogHash, None, "BLAKE3 of a whole log: 64 hexadecimal digits.";
    crate::BlobHash, None, "BLAKE3 of a blob or a chunk: 64 hexadecimal digits.";
}

impl PartialSchema for crate::Status {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(Self::ALL.map(Self::as_str)))
            .description(Some("Where a task, job, workflow or pipeline stands."))
            .into()
    }
}

impl ToSchema for crate::Status {}
