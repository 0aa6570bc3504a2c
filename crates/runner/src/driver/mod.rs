//! What a task does next: pure, so that every order of events can be tested.
//!
//! [`State::step`] takes what happened and answers with what is to be done. The shell around it
//! ([`crate::attempt`]) does that and comes back with what happened then.
//!
//! ```text
//!   Preparing ──> Running ──(all steps done, none in the background)──> CleaningUp ──> Over
//!       │            │                                                     ^
//!       │            └──(doomed, or background steps to end)──> Stopping ──┘
//!       └──(doomed while preparing)──> Over
//! ```

mod effect;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use outrider_model::Outcome;
use outrider_model::plan::{Step, When};
use outrider_model::reason::{EndReason, Span};
use outrider_model::report::Exit;

pub use effect::{Effect, Event, Failure, Verdict};

/// What the driver needs to know of a step.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What people see.
    pub name: String,
    /// When it runs.
    pub when: When,
    /// Whether the job goes on while it runs.
    pub background: bool,
    /// How often it is run again when it fails.
    pub reruns: u32,
    /// The pause before it is run again.
    pub rerun_delay: Duration,
    /// How long it may write nothing.
    pub no_output: Duration,
}

/// All steps but `run` have no setting of their own for this.
const NO_OUTPUT: Duration = Duration::from_secs(10 * 60);

impl From<&Step> for Rule {
    fn from(step: &Step) -> Self {
        match step {
            Step::Run(run) => Self {
                name: run.name.clone(),
                when: run.when,
                background: run.background,
                reruns: run.max_auto_reruns,
                rerun_delay: run.auto_rerun_delay,
                no_output: run.no_output_timeout,
            },
            other => Self {
                name: other.name().to_owned(),
                when: other.when(),
                background: false,
                reruns: 0,
                rerun_delay: Duration::ZERO,
                no_output: NO_OUTPUT,
            },
        }
    }
}

/// Where a task stands.
#[derive(Clone, Debug)]
pub struct State {
    rules: Vec<Rule>,
    limits: Limits,
    phase: Phase,
    /// Why the task will have failed, from the first failing step on.
    failed: Option<EndReason>,
    /// Whether a step has asked for the end of the job: no other starts after it.
    halted: bool,
    /// Steps that have started and not ended.
    live: BTreeMap<u32, Live>,
}

/// Limits of the runner.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The runner's name, for reasons.
    pub runner: String,
    /// How long a task may run.
    pub max_run_time: Duration,
}

#[derive(Clone, Debug)]
enum Phase {
    Preparing,
    Running { current: u32 },
    Stopping { doom: Doom, stopped: bool },
    CleaningUp { verdict: Verdict },
    Over,
}

#[derive(Clone, Copy, Debug, Default)]
struct Live {
    /// How often it ran before.
    tries: u32,
    /// It failed and waits to be run again.
    pausing: bool,
}

/// Why everything is being ended.
#[derive(Clone, Debug)]
struct Doom {
    verdict: Verdict,
    /// How steps that were cut off ended.
    cut_off: Outcome,
}

impl State {
    /// A task that is being prepared.
    pub const fn new(rules: Vec<Rule>, limits: Limits) -> Self {
        Self {
            rules,
            limits,
            phase: Phase::Preparing,
            failed: None,
            halted: false,
            live: BTreeMap::new(),
        }
    }

    /// What is to be done after `event`.
    pub fn step(mut self, event: Event) -> (Self, Vec<Effect>) {
        let mut effects = Vec::new();
        match event {
            Event::Prepared => self.prepared(&mut effects),
            Event::NotPrepared(failure) => self.not_prepared(failure, &mut effects),
            Event::NoSecrets(message) => self.no_secrets(message, &mut effects),
            Event::Exited {
                step,
                exit,
                halt,
                out_of_memory,
            } => {
                self.halt(step, halt, &mut effects);
                self.exited(step, exit, out_of_memory, &mut effects);
            }
            Event::NotRun { step, failure } => self.not_run(step, failure, &mut effects),
            Event::Rerun { step } => self.rerun(step, &mut effects),
            Event::Quiet { step } => self.quiet(step, &mut effects),
            Event::TooLong => self.too_long(&mut effects),
            Event::Cancel => self.doom(canceled(), &mut effects),
            Event::LeaseLost => self.lease_lost(&mut effects),
            Event::StopRunner => self.stop_runner(&mut effects),
            Event::Stopped => self.stopped(&mut effects),
            Event::CleanedUp => self.cleaned_up(&mut effects),
        }
        (self, effects)
    }

    /// The foreground step that runs now, and how long it may write nothing.
    pub fn watched(&self) -> Option<(u32, Duration)> {
        let Phase::Running { current } = self.phase else {
            return None;
        };
        let live = self.live.get(&current)?;
        (!live.pausing).then(|| (current, self.rules[current as usize].no_output))
    }

    /// Whether steps run and `max_run_time` counts.
    pub const fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running { .. })
    }

    fn prepared(&mut self, effects: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::Preparing) {
            self.advance(0, effects);
        }
    }

    fn not_prepared(&mut self, failure: Failure, effects: &mut Vec<Effect>) {
        let verdict = match failure {
            Failure::Infrastructure(message) => infrastructure(message).verdict,
            Failure::User(message) => failed(EndReason::NotPrepared { message }),
        };
        self.over(verdict, effects);
    }

    fn no_secrets(&mut self, message: String, effects: &mut Vec<Effect>) {
        self.over(failed(EndReason::NoSecrets { message }), effects);
    }

    /// No step has started: this is the end. What is prepared meanwhile is not used.
    fn over(&mut self, verdict: Verdict, effects: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::Preparing) {
            self.phase = Phase::Over;
            effects.push(Effect::Finish(verdict));
        }
    }

    /// Starts steps from `next` on, up to the first one that must end before the job goes on.
    fn advance(&mut self, next: u32, effects: &mut Vec<Effect>) {
        let from = next as usize;
        let left = if self.halted {
            &[]
        } else {
            self.rules.get(from..).unwrap_or(&[])
        };
        for (index, rule) in (next..).zip(left) {
            if !rule.when.runs(self.failed.is_some()) {
                continue;
            }
            self.live.insert(index, Live::default());
            effects.push(Effect::Start { step: index });
            if !rule.background {
                self.phase = Phase::Running { current: index };
                return;
            }
        }
        let verdict = self.failed.clone().map_or(Verdict::PASSED, failed);
        let background = self.live.iter().any(|(_, live)| !live.pausing);
        self.end_pauses(Outcome::Failed, effects);
        if background {
            let doom = Doom {
                verdict,
                cut_off: Outcome::Passed,
            };
            self.phase = Phase::Stopping {
                doom,
                stopped: false,
            };
            effects.push(Effect::Stop);
        } else {
            self.phase = Phase::CleaningUp { verdict };
            effects.push(Effect::CleanUp);
        }
    }

    /// Says it once.
    fn halt(&mut self, step: u32, halt: bool, effects: &mut Vec<Effect>) {
        if halt && !self.halted && self.is_running() && self.live.contains_key(&step) {
            self.halted = true;
            let text = "Halted: the job ends here, and the steps that are left are not run.";
            effects.push(Effect::Say {
                step,
                text: text.to_owned(),
            });
        }
    }

    fn exited(
        &mut self,
        step: u32,
        exit: Exit,
        out_of_memory: Option<u64>,
        effects: &mut Vec<Effect>,
    ) {
        if let Phase::Stopping { doom, .. } = &self.phase {
            let outcome = if exit.success() {
                Outcome::Passed
            } else {
                doom.cut_off
            };
            return self.cut_off(step, outcome, effects);
        }
        if exit.success() {
            return self.ended(step, Outcome::Passed, None, effects);
        }
        let (Some(rule), Some(live)) = (self.rules.get(step as usize), self.live.get_mut(&step))
        else {
            return;
        };
        if live.tries < rule.reruns {
            live.tries += 1;
            live.pausing = true;
            let text = format!(
                "Ended with code {}; run again ({} of {}) in {}.",
                exit.shell_code(),
                live.tries,
                rule.reruns,
                Span(rule.rerun_delay)
            );
            effects.push(Effect::Say { step, text });
            effects.push(Effect::Pause {
                step,
                delay: rule.rerun_delay,
            });
            return;
        }
        let name = rule.name.clone();
        let reason = match out_of_memory {
            Some(limit_bytes) => EndReason::OutOfMemory {
                step,
                name,
                limit_bytes,
            },
            None => EndReason::StepFailed { step, name, exit },
        };
        if out_of_memory.is_some() {
            let text = format!("Out of memory: {reason}.");
            effects.push(Effect::Say { step, text });
        }
        self.ended(step, Outcome::Failed, Some(reason), effects);
    }

    fn not_run(&mut self, step: u32, failure: Failure, effects: &mut Vec<Effect>) {
        if let Phase::Stopping { doom, .. } = &self.phase {
            // After a stop nothing can be started: that is no failure of its own.
            let outcome = doom.cut_off;
            return self.cut_off(step, outcome, effects);
        }
        let Some(rule) = self.rules.get(step as usize) else {
            return;
        };
        let name = rule.name.clone();
        match failure {
            Failure::User(message) => {
                effects.push(Effect::Say {
                    step,
                    text: format!("Could not be run: {message}"),
                });
                let reason = EndReason::StepNotStarted {
                    step,
                    name,
                    message,
                };
                self.ended(step, Outcome::Failed, Some(reason), effects);
            }
            Failure::Infrastructure(message) => {
                effects.push(Effect::Say {
                    step,
                    text: format!("Could not go on: {message}"),
                });
                self.live.remove(&step);
                effects.push(Effect::End {
                    step,
                    outcome: Outcome::Lost,
                });
                self.doom(infrastructure(message), effects);
            }
        }
    }

    /// A step has ended by itself.
    fn ended(
        &mut self,
        step: u32,
        outcome: Outcome,
        reason: Option<EndReason>,
        effects: &mut Vec<Effect>,
    ) {
        if self.live.remove(&step).is_none() {
            return;
        }
        effects.push(Effect::End { step, outcome });
        let Phase::Running { current } = self.phase else {
            return;
        };
        // A background step that fails shows its output and does not fail the job.
        if step == current {
            self.failed = self.failed.take().or(reason);
            self.advance(step + 1, effects);
        }
    }

    /// A step has ended because everything is being ended.
    fn cut_off(&mut self, step: u32, outcome: Outcome, effects: &mut Vec<Effect>) {
        if self.live.remove(&step).is_some() {
            effects.push(Effect::End { step, outcome });
        }
        self.clean_up_if_stopped(effects);
    }

    fn rerun(&mut self, step: u32, effects: &mut Vec<Effect>) {
        let Phase::Running { .. } = self.phase else {
            return;
        };
        if let Some(live) = self.live.get_mut(&step)
            && live.pausing
        {
            live.pausing = false;
            effects.push(Effect::Restart { step });
        }
    }

    fn quiet(&mut self, step: u32, effects: &mut Vec<Effect>) {
        let Some((watched, limit)) = self.watched() else {
            return;
        };
        if watched != step {
            return;
        }
        let name = self.rules[step as usize].name.clone();
        let reason = EndReason::NoOutput { step, name, limit };
        self.doom(timed_out(reason), effects);
    }

    fn too_long(&mut self, effects: &mut Vec<Effect>) {
        if self.is_running() {
            let limit = self.limits.max_run_time;
            self.doom(timed_out(EndReason::MaxRunTime { limit }), effects);
        }
    }

    fn lease_lost(&mut self, effects: &mut Vec<Effect>) {
        let lost = Doom {
            verdict: Verdict::Forget,
            cut_off: Outcome::Canceled,
        };
        match &mut self.phase {
            Phase::Stopping { doom, .. } => *doom = lost,
            Phase::CleaningUp { verdict } => *verdict = Verdict::Forget,
            Phase::Preparing | Phase::Running { .. } => self.doom(lost, effects),
            Phase::Over => {}
        }
    }

    fn stop_runner(&mut self, effects: &mut Vec<Effect>) {
        let verdict = match self.phase {
            Phase::Preparing => Verdict::GiveBack,
            _ => Verdict::Report {
                outcome: Outcome::Lost,
                reason: Some(EndReason::RunnerStopped {
                    runner: self.limits.runner.clone(),
                }),
            },
        };
        self.doom(
            Doom {
                verdict,
                cut_off: Outcome::Lost,
            },
            effects,
        );
    }

    /// Ends everything, unless that is already being done for another reason.
    fn doom(&mut self, doom: Doom, effects: &mut Vec<Effect>) {
        match &self.phase {
            Phase::Preparing => self.over(doom.verdict, effects),
            Phase::Running { current } => {
                if let Verdict::Report {
                    reason: Some(reason),
                    ..
                } = &doom.verdict
                {
                    let text = farewell(reason);
                    effects.push(Effect::Say {
                        step: *current,
                        text,
                    });
                }
                self.end_pauses(doom.cut_off, effects);
                self.phase = Phase::Stopping {
                    doom,
                    stopped: false,
                };
                effects.push(Effect::Stop);
            }
            Phase::Stopping { .. } | Phase::CleaningUp { .. } | Phase::Over => {}
        }
    }

    /// Steps that wait to be run again will not be.
    fn end_pauses(&mut self, outcome: Outcome, effects: &mut Vec<Effect>) {
        self.live.retain(|step, live| {
            if live.pausing {
                effects.push(Effect::End {
                    step: *step,
                    outcome,
                });
            }
            !live.pausing
        });
    }

    fn stopped(&mut self, effects: &mut Vec<Effect>) {
        if let Phase::Stopping { stopped, .. } = &mut self.phase {
            *stopped = true;
        }
        self.clean_up_if_stopped(effects);
    }

    fn clean_up_if_stopped(&mut self, effects: &mut Vec<Effect>) {
        if let Phase::Stopping {
            doom,
            stopped: true,
        } = &self.phase
            && self.live.is_empty()
        {
            self.phase = Phase::CleaningUp {
                verdict: doom.verdict.clone(),
            };
            effects.push(Effect::CleanUp);
        }
    }

    fn cleaned_up(&mut self, effects: &mut Vec<Effect>) {
        if let Phase::CleaningUp { verdict } = &self.phase {
            effects.push(Effect::Finish(verdict.clone()));
            self.phase = Phase::Over;
        }
    }
}

const fn failed(reason: EndReason) -> Verdict {
    Verdict::Report {
        outcome: Outcome::Failed,
        reason: Some(reason),
    }
}

fn canceled() -> Doom {
    // The server knows who wanted it.
    let reason = Some(EndReason::Canceled { by: String::new() });
    let verdict = Verdict::Report {
        outcome: Outcome::Canceled,
        reason,
    };
    Doom {
        verdict,
        cut_off: Outcome::Canceled,
    }
}

const fn timed_out(reason: EndReason) -> Doom {
    let verdict = Verdict::Report {
        outcome: Outcome::TimedOut,
        reason: Some(reason),
    };
    Doom {
        verdict,
        cut_off: Outcome::TimedOut,
    }
}

const fn infrastructure(message: String) -> Doom {
    let reason = Some(EndReason::Infrastructure { message });
    Doom {
        verdict: Verdict::Report {
            outcome: Outcome::Lost,
            reason,
        },
        cut_off: Outcome::Lost,
    }
}

/// The last line of a log that was cut off.
fn farewell(reason: &EndReason) -> String {
    match reason {
        EndReason::Canceled { .. } => "Canceled: everything is being ended.".to_owned(),
        reason => format!("Everything is being ended: {reason}."),
    }
}
