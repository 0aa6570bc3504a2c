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
        Step::AddSshKeys(_) => {
            "No SSH keys are kept here: the runner's own user's keys are used, if it has some."
        }
        _ => "There is no remote Docker engine here: the one that this machine has is used.",
    };
    context.say(said).await;
    Ok((Exit::Code(0), None))
}
