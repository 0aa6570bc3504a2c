//! Which calls a step needs. The tool is refused all others.

use outrider_model::plan::Step;

use super::protocol::Call;

/// Whether this step, with this index, makes this call.
pub fn is_allowed(step: &Step, index: u32, call: &Call) -> bool {
    match (step, call) {
        (Step::SaveCache(spec), Call::SaveCache(cache)) => {
            let fixed = spec.key.split("{{").next().unwrap_or_default();
            cache.key.starts_with(fixed)
        }
        (Step::SaveCache(_) | Step::RestoreCache(_), Call::FindCache(_)) => true,
        (Step::PersistToWorkspace(_), Call::AddLayer(layer)) => layer.step == index,
        (Step::AttachWorkspace(_), Call::Workspace) => true,
        (Step::StoreArtifacts(_), Call::StoreArtifacts(_)) => true,
        (Step::StoreTestResults(_), Call::StoreTestResults(results)) => results.step == index,
        (
            Step::SaveCache(_) | Step::PersistToWorkspace(_),
            Call::FindChunks(_) | Call::IndexPacks(_),
        ) => true,
        (
            Step::SaveCache(_)
            | Step::PersistToWorkspace(_)
            | Step::StoreArtifacts(_)
            | Step::StoreTestResults(_),
            Call::AnnounceBlobs(_) | Call::PutBlob(_) | Call::ReportDamage(_),
        ) => true,
        (
            Step::RestoreCache(_) | Step::AttachWorkspace(_),
            Call::LocateBlobs(_) | Call::GetBlob(..) | Call::ReportDamage(_),
        ) => true,
        _ => false,
    }
}
