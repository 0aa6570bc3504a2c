//! Steps that move data. This runner has no store for it yet, and each of them says so: one without
//! which the job only takes longer, or whose result is only looked at, passes; one without which
//! later steps would work on the wrong files fails.

use outrider_model::plan::Step;
use outrider_model::report::{Exit, Usage};

use super::StepContext;
use crate::driver::Failure;

pub(super) async fn run(
    context: &StepContext,
    step: &Step,
) -> Result<(Exit, Option<Usage>), Failure> {
    let said = match step {
        Step::RestoreCache(_) => "Caches are not kept yet: nothing is restored, as after a miss.",
        Step::SaveCache(_) => "Caches are not kept yet: nothing is saved.",
        Step::StoreArtifacts(_) => "Artifacts are not kept yet: the files stay where they are.",
        Step::StoreTestResults(_) => {
            "Test results are not read yet: the files stay where they are."
        }
        Step::SetupRemoteDocker(_) => {
            "There is no remote Docker engine here: the one that this machine has is used."
        }
        Step::PersistToWorkspace(_) => {
            "Workspaces are not kept yet: nothing is handed on, and jobs that attach it will fail."
        }
        _ => {
            return Err(Failure::User(
                "workspaces are not kept yet, so the files of earlier jobs are not here. Build \
                 them again in this job, or leave the step out"
                    .to_owned(),
            ));
        }
    };
    context.say(said).await;
    Ok((Exit::Code(0), None))
}
