use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

fn rule(when: When, background: bool, reruns: u32) -> Rule {
    let (rerun_delay, no_output) = (Duration::from_secs(1), Duration::from_secs(600));
    Rule {
        name: "step".to_owned(),
        when,
        background,
        reruns,
        rerun_delay,
        no_output,
    }
}

fn state(rules: Vec<Rule>) -> State {
    let limits = Limits {
        runner: "anna".to_owned(),
        max_run_time: Duration::from_secs(60),
    };
    State::new(rules, limits)
}

/// Takes events one after the other, and tells what was to be done after the last one.
fn after(state: State, events: impl IntoIterator<Item = Event>) -> (State, Vec<Effect>) {
    let start = (state, Vec::new());
    events
        .into_iter()
        .fold(start, |(state, _), event| state.step(event))
}

const fn exited(step: u32, code: i32) -> Event {
    Event::Exited {
        step,
        exit: Exit::Code(code),
        halt: false,
        out_of_memory: None,
    }
}

const fn halting(step: u32, code: i32) -> Event {
    Event::Exited {
        step,
        exit: Exit::Code(code),
        halt: true,
        out_of_memory: None,
    }
}

const ON_SUCCESS: When = When::OnSuccess;

#[test]
fn steps_follow_one_another_and_then_all_is_cleaned_up() {
    let task = state(vec![rule(ON_SUCCESS, false, 0), rule(ON_SUCCESS, false, 0)]);
    let (task, effects) = after(task, [Event::Prepared]);
    assert_eq!(effects, [Effect::Start { step: 0 }]);
    let (task, effects) = after(task, [exited(0, 0)]);
    let end = |step| Effect::End {
        step,
        outcome: Outcome::Passed,
    };
    assert_eq!(effects, [end(0), Effect::Start { step: 1 }]);
    let (task, effects) = after(task, [exited(1, 0)]);
    assert_eq!(effects, [end(1), Effect::CleanUp]);
    let (_, effects) = after(task, [Event::CleanedUp]);
    assert_eq!(effects, [Effect::Finish(Verdict::PASSED)]);
}

#[test]
fn background_steps_are_stopped_when_the_last_step_has_ended() {
    let task = state(vec![rule(ON_SUCCESS, true, 0), rule(ON_SUCCESS, false, 0)]);
    let (task, effects) = after(task, [Event::Prepared]);
    assert_eq!(
        effects,
        [Effect::Start { step: 0 }, Effect::Start { step: 1 }]
    );
    let (task, effects) = after(task, [exited(1, 0)]);
    assert_eq!(effects.last(), Some(&Effect::Stop));
    // In either order: the stop is through, and the step has ended.
    let term = Event::Exited {
        step: 0,
        exit: Exit::Signal(15),
        halt: false,
        out_of_memory: None,
    };
    let end = Effect::End {
        step: 0,
        outcome: Outcome::Passed,
    };
    let (one, effects) = after(task.clone(), [Event::Stopped, term.clone()]);
    assert_eq!(effects, [end, Effect::CleanUp]);
    let (_, effects) = after(task, [term, Event::Stopped]);
    assert_eq!(effects, [Effect::CleanUp]);
    assert_eq!(
        after(one, [Event::CleanedUp]).1,
        [Effect::Finish(Verdict::PASSED)]
    );
}

/// What is started, and the outcome.
fn run_with(rules: Vec<Rule>, events: impl IntoIterator<Item = Event>) -> (Vec<u32>, Outcome) {
    let mut task = state(rules);
    let (mut started, mut outcome) = (Vec::new(), Outcome::NotRun);
    let ends = [Event::Stopped, Event::CleanedUp];
    for event in std::iter::once(Event::Prepared).chain(events).chain(ends) {
        let (next, effects) = task.step(event);
        task = next;
        for effect in effects {
            match effect {
                Effect::Start { step } => started.push(step),
                Effect::Finish(Verdict::Report { outcome: its, .. }) => outcome = its,
                _ => {}
            }
        }
    }
    (started, outcome)
}

#[test]
fn after_a_halt_no_step_starts_and_the_outcome_is_that_of_the_steps_that_ran() {
    let three = || {
        vec![
            rule(ON_SUCCESS, false, 0),
            rule(ON_SUCCESS, false, 0),
            rule(When::Always, false, 0),
        ]
    };
    assert_eq!(
        run_with(three(), [halting(0, 0)]),
        (vec![0], Outcome::Passed)
    );
    assert_eq!(
        run_with(three(), [halting(0, 1)]),
        (vec![0], Outcome::Failed)
    );
    // The job was failing already when the step that always runs asked for the end.
    let mut rules = three();
    rules.swap(1, 2);
    let ran = run_with(rules, [exited(0, 1), halting(1, 0)]);
    assert_eq!(ran, (vec![0, 1], Outcome::Failed));
}

#[test]
fn a_halt_lets_the_running_step_end_and_is_said_once() {
    let rules = vec![
        rule(ON_SUCCESS, true, 0),
        rule(ON_SUCCESS, false, 0),
        rule(ON_SUCCESS, false, 0),
    ];
    let (task, effects) = after(state(rules), [Event::Prepared, halting(0, 0)]);
    let end = |step| Effect::End {
        step,
        outcome: Outcome::Passed,
    };
    assert!(matches!(&effects[..], [Effect::Say { step: 0, .. }, last] if *last == end(0)));
    let (_, effects) = after(task, [halting(1, 0)]);
    assert_eq!(effects, [end(1), Effect::CleanUp]);
}

#[test]
fn a_second_reason_to_stop_does_not_replace_the_first() {
    let task = state(vec![
        rule(ON_SUCCESS, false, 0),
        rule(When::Always, false, 0),
    ]);
    let events = [
        Event::Prepared,
        Event::Cancel,
        Event::TooLong,
        Event::StopRunner,
        exited(0, 1),
    ];
    let (task, _) = after(task, events);
    let (_, effects) = after(task, [Event::Stopped, Event::CleanedUp]);
    let [Effect::Finish(Verdict::Report { outcome, .. })] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(*outcome, Outcome::Canceled);
}

#[test]
fn a_lost_lease_silences_whatever_was_to_be_told() {
    let task = state(vec![rule(ON_SUCCESS, false, 0)]);
    for events in [
        vec![
            Event::Prepared,
            Event::LeaseLost,
            exited(0, 1),
            Event::Stopped,
        ],
        vec![
            Event::Prepared,
            Event::Cancel,
            Event::LeaseLost,
            exited(0, 1),
            Event::Stopped,
        ],
        vec![Event::Prepared, exited(0, 0), Event::LeaseLost],
    ] {
        let (task, effects) = after(task.clone(), events);
        assert!(effects.is_empty() || effects.last() == Some(&Effect::CleanUp));
        let (_, effects) = after(task, [Event::CleanedUp]);
        assert_eq!(effects, [Effect::Finish(Verdict::Forget)]);
    }
}

#[test]
fn what_ends_a_task_that_is_being_prepared_waits_for_nothing() {
    for (event, verdict) in [
        (Event::Cancel, canceled().verdict),
        (Event::LeaseLost, Verdict::Forget),
        (Event::StopRunner, Verdict::GiveBack),
    ] {
        let task = state(vec![rule(ON_SUCCESS, false, 0)]);
        let (task, effects) = after(task, [event]);
        assert_eq!(effects, [Effect::Finish(verdict)]);
        let (_, effects) = after(task, [Event::Prepared]);
        assert_eq!(effects, [], "it is over");
    }
}

#[test]
fn a_step_that_fails_for_lack_of_memory_says_so() {
    let ended = |code| Event::Exited {
        step: 0,
        exit: Exit::Code(code),
        halt: false,
        out_of_memory: Some(4 << 30),
    };
    let task = state(vec![rule(ON_SUCCESS, false, 0)]);
    let (failed, effects) = after(task.clone(), [Event::Prepared, ended(137)]);
    let said = |effect: &Effect| matches!(effect, Effect::Say { text, .. } if text.contains("the limit is 4 GiB"));
    assert!(effects.iter().any(said), "{effects:?}");
    let (_, effects) = after(failed, [Event::CleanedUp]);
    let reason = EndReason::OutOfMemory {
        step: 0,
        name: "step".to_owned(),
        limit_bytes: 4 << 30,
    };
    let verdict = Verdict::Report {
        outcome: Outcome::Failed,
        reason: Some(reason),
    };
    assert_eq!(effects, [Effect::Finish(verdict)]);
    // A step that gets over it has passed.
    let (_, effects) = after(task, [Event::Prepared, ended(0), Event::CleanedUp]);
    assert_eq!(effects, [Effect::Finish(Verdict::PASSED)]);
}

#[test]
fn timers_that_fire_late_do_nothing() {
    let task = state(vec![rule(ON_SUCCESS, false, 1), rule(ON_SUCCESS, false, 0)]);
    let (task, _) = after(task, [Event::Prepared, exited(0, 0)]);
    let (task, effects) = after(task, [Event::Quiet { step: 0 }]);
    assert_eq!(effects, []);
    let (task, effects) = after(task, [Event::Rerun { step: 0 }]);
    assert_eq!(effects, []);
    let (_, effects) = after(task, [exited(1, 0), Event::TooLong]);
    assert_eq!(effects, []);
}

/// A world that does what the driver wants, in any order, and checks that it wants no nonsense.
struct World {
    random: StdRng,
    running: BTreeSet<u32>,
    pausing: BTreeSet<u32>,
    started: BTreeSet<u32>,
    ended: BTreeSet<u32>,
    preparing: bool,
    stopping: bool,
    stopped: bool,
    cleaning: bool,
    finished: bool,
}

impl World {
    fn next(&mut self) -> Event {
        let mut choices = Vec::new();
        if self.preparing {
            choices.extend([Event::Prepared, Event::Prepared]);
            choices.push(Event::NotPrepared(Failure::Infrastructure("no".to_owned())));
        }
        for step in &self.running {
            let code = self.random.random_range(0..2);
            choices.extend([exited(*step, code), exited(*step, 0), halting(*step, code)]);
            choices.push(Event::NotRun {
                step: *step,
                failure: Failure::User("no".to_owned()),
            });
        }
        choices.extend(self.pausing.iter().map(|step| Event::Rerun { step: *step }));
        if self.stopping && !self.stopped {
            choices.extend([Event::Stopped, Event::Stopped]);
        }
        if self.cleaning {
            choices.push(Event::CleanedUp);
        }
        if self.random.random_bool(0.15) || choices.is_empty() {
            let step = self.random.random_range(0..4);
            choices = vec![
                Event::Cancel,
                Event::TooLong,
                Event::StopRunner,
                Event::LeaseLost,
                Event::Quiet { step },
                Event::Rerun { step },
            ];
        }
        let event = choices.swap_remove(self.random.random_range(0..choices.len()));
        self.happens(&event);
        event
    }

    fn happens(&mut self, event: &Event) {
        match event {
            Event::Prepared | Event::NotPrepared(_) => self.preparing = false,
            Event::Exited { step, .. } | Event::NotRun { step, .. } => {
                self.running.remove(step);
            }
            Event::Stopped => {
                self.stopped = true;
            }
            _ => {}
        }
    }

    fn wanted(&mut self, effect: &Effect) {
        assert!(!self.finished, "{effect:?} after the end");
        match effect {
            Effect::Start { step } => {
                assert!(!self.stopping && !self.cleaning && !self.preparing);
                assert!(self.started.insert(*step), "step {step} started twice");
                self.running.insert(*step);
            }
            Effect::Restart { step } => {
                assert!(!self.stopping && !self.cleaning);
                assert!(self.pausing.remove(step) && self.running.insert(*step));
            }
            Effect::Pause { step, .. } => assert!(self.pausing.insert(*step)),
            Effect::End { step, .. } => {
                assert!(self.ended.insert(*step), "step {step} ended twice");
                assert!(!self.running.contains(step));
                self.pausing.remove(step);
            }
            Effect::Say { step, .. } => assert!(self.started.contains(step)),
            Effect::Stop => assert!(!std::mem::replace(&mut self.stopping, true)),
            Effect::CleanUp => {
                assert!(!std::mem::replace(&mut self.cleaning, true));
                assert!(self.running.is_empty() && self.started == self.ended);
            }
            Effect::Finish(verdict) => {
                assert_eq!(self.started, self.ended);
                assert!(*verdict != Verdict::GiveBack || self.started.is_empty());
                self.finished = true;
            }
        }
    }
}

#[test]
fn every_order_of_events_ends_well() {
    for seed in 0..20_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let rules = (0..random.random_range(0..4))
            .map(|_| {
                let when = [ON_SUCCESS, When::OnFail, When::Always][random.random_range(0..3)];
                rule(when, random.random_bool(0.3), random.random_range(0..2))
            })
            .collect();
        let mut task = state(rules);
        let mut world = World {
            random,
            running: BTreeSet::new(),
            pausing: BTreeSet::new(),
            started: BTreeSet::new(),
            ended: BTreeSet::new(),
            preparing: true,
            stopping: false,
            stopped: false,
            cleaning: false,
            finished: false,
        };
        for _ in 0..500 {
            if world.finished {
                break;
            }
            let (next, effects) = task.step(world.next());
            task = next;
            effects.iter().for_each(|effect| world.wanted(effect));
        }
        assert!(world.finished, "seed {seed}: {task:?}");
    }
}
