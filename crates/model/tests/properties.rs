//! What must hold after any sequence of events.

use outrider_model::status::Tally;
use outrider_model::{
    AttemptId, IllegalTransition, Lease, Outcome, RunnerId, Status, TaskEvent, TaskState, Timestamp,
};
use proptest::prelude::*;

/// Attempts that events name: few, so that right and wrong ones both come up.
const ATTEMPTS: u8 = 4;

fn attempt(number: u8) -> AttemptId {
    AttemptId::from_bytes([number; 16])
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    proptest::sample::select(Outcome::ALL.to_vec())
}

fn statuses() -> impl Strategy<Value = Status> {
    proptest::sample::select(Status::ALL.to_vec())
}

/// Any event, of any attempt, with any end of its lease.
fn events() -> impl Strategy<Value = TaskEvent> {
    let who = || (0..ATTEMPTS).prop_map(attempt);
    let until = || (0..200_i64).prop_map(at);
    prop_oneof![
        Just(TaskEvent::Unblock),
        Just(TaskEvent::Hold),
        Just(TaskEvent::Approve),
        outcomes().prop_map(TaskEvent::Conclude),
        (0..ATTEMPTS, until()).prop_map(|(number, until)| TaskEvent::Claim(Lease {
            attempt: attempt(number),
            runner: RunnerId::from_bytes([number; 16]),
            until,
        })),
        who().prop_map(TaskEvent::Release),
        who().prop_map(TaskEvent::Rerun),
        (who(), until()).prop_map(|(attempt, until)| TaskEvent::Start { attempt, until }),
        (who(), until()).prop_map(|(attempt, until)| TaskEvent::Renew { attempt, until }),
        (who(), outcomes()).prop_map(|(attempt, outcome)| TaskEvent::Finish { attempt, outcome }),
        Just(TaskEvent::Cancel),
        any::<bool>().prop_map(|retry| TaskEvent::Expire { retry }),
    ]
}

/// Events and when they happen. The clock may stand still and may jump back.
fn lives() -> impl Strategy<Value = Vec<(TaskEvent, i64)>> {
    proptest::collection::vec((events(), 0..200_i64), 1..60)
}

/// The attempt whose lease an event needs.
fn needs(event: TaskEvent) -> Option<AttemptId> {
    match event {
        TaskEvent::Release(attempt)
        | TaskEvent::Rerun(attempt)
        | TaskEvent::Start { attempt, .. }
        | TaskEvent::Renew { attempt, .. }
        | TaskEvent::Finish { attempt, .. } => Some(attempt),
        _ => None,
    }
}

fn holder(state: TaskState) -> Option<AttemptId> {
    state.lease().map(|lease| lease.attempt)
}

/// Walks through a life, and shows each step that was allowed.
fn live(events: &[(TaskEvent, i64)], mut look: impl FnMut(TaskState, TaskEvent, i64, TaskState)) {
    let mut state = TaskState::Blocked;
    for (event, now) in events {
        if let Ok(next) = state.apply(*event, at(*now)) {
            look(state, *event, *now, next);
            state = next;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// P1: a lease passes to another attempt only by way of the queue.
    #[test]
    fn there_are_never_two_live_leases(life in lives()) {
        live(&life, |before, event, _, after| {
            if let (Some(had), Some(has)) = (holder(before), holder(after)) {
                assert_eq!(had, has, "{event:?} took the lease from its holder");
            }
            if holder(before).is_none() && holder(after).is_some() {
                assert!(matches!((before, event), (TaskState::Queued, TaskEvent::Claim(_))));
            }
        });
    }

    /// P2.
    #[test]
    fn an_end_is_final(life in lives()) {
        live(&life, |before, event, _, after| {
            if before.status().outcome().is_some() {
                assert_eq!(before, after, "{event:?} changed an end");
            }
        });
    }

    #[test]
    fn a_lease_never_gets_shorter(life in lives()) {
        live(&life, |before, event, _, after| {
            if let (Some(was), Some(is)) = (before.lease(), after.lease()) {
                assert!(is.until >= was.until, "{event:?} shortened a lease");
            }
        });
    }

    /// P5, P6: only a lease that ran out ends by itself.
    #[test]
    fn a_valid_lease_does_not_expire(life in lives()) {
        live(&life, |before, event, now, _| {
            if let (Some(lease), TaskEvent::Expire { .. }) = (before.lease(), event) {
                assert!(at(now) >= lease.until);
            }
        });
    }

    /// P1: whoever lost the lease gets "stale", whatever the task is by now.
    #[test]
    fn a_stale_attempt_is_always_refused(life in lives(), late in events(), now in 0..200_i64) {
        let mut state = TaskState::Blocked;
        for (event, now) in life {
            state = state.apply(event, at(now)).unwrap_or(state);
        }
        let entitled = match state {
            TaskState::Finished { attempt, .. } => attempt,
            _ => holder(state),
        };
        if let Some(sender) = needs(late)
            && Some(sender) != entitled
        {
            let refused = state.apply(late, at(now));
            prop_assert_eq!(refused, Err(IllegalTransition::StaleLease { now: state.status() }));
        }
    }

    /// P9: what a runner sends twice changes nothing the second time.
    #[test]
    fn what_is_repeated_changes_nothing(life in lives()) {
        live(&life, |_, event, now, after| {
            if matches!(event, TaskEvent::Start { .. } | TaskEvent::Renew { .. } | TaskEvent::Finish { .. }) {
                assert_eq!(after.apply(event, at(now)), Ok(after), "{event:?} twice");
            }
        });
    }

    #[test]
    fn the_roll_up_is_the_same_step_by_step(
        mut parts in proptest::collection::vec(statuses(), 1..8),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), statuses()), 0..40),
    ) {
        let mut tally = Tally::of(parts.iter().copied());
        for (which, to) in changes {
            let part = which.get_mut(&mut parts);
            tally.shift(*part, to).unwrap();
            *part = to;
            prop_assert_eq!(tally, Tally::of(parts.iter().copied()));
        }
        prop_assert_eq!(Tally::from_counts(tally.counts()), Some(tally));
        prop_assert_eq!(tally.total() as usize, parts.len());
    }

    /// Tasks, jobs, workflows and the pipeline: each change carried upwards gives what counting
    /// everything anew gives.
    #[test]
    fn all_levels_add_up(
        lives in proptest::collection::vec((0..12_usize, events(), 0..200_i64), 1..120),
    ) {
        let mut whole = Whole::new();
        for (task, event, now) in lives {
            whole.apply(task, event, at(now));
            whole.check();
        }
    }
}

/// A pipeline of two workflows of two jobs of three tasks.
struct Whole {
    tasks: [TaskState; 12],
    jobs: [Tally; 4],
    workflows: [Tally; 2],
    pipeline: Tally,
}

impl Whole {
    fn new() -> Self {
        Self {
            tasks: [TaskState::Blocked; 12],
            jobs: [Tally::of([Status::Blocked; 3]); 4],
            workflows: [Tally::of([Status::Blocked; 2]); 2],
            pipeline: Tally::of([Status::Blocked; 2]),
        }
    }

    fn apply(&mut self, task: usize, event: TaskEvent, now: Timestamp) {
        let Ok(next) = self.tasks[task].apply(event, now) else {
            return;
        };
        let (from, to) = (self.tasks[task].status(), next.status());
        self.tasks[task] = next;
        let (from, to) = carry(&mut self.jobs[task / 3], from, to);
        let (from, to) = carry(&mut self.workflows[task / 6], from, to);
        carry(&mut self.pipeline, from, to);
    }

    fn check(&self) {
        for (job, tasks) in self.jobs.iter().zip(self.tasks.chunks(3)) {
            assert_eq!(*job, Tally::of(tasks.iter().map(TaskState::status)));
        }
        for (workflow, jobs) in self.workflows.iter().zip(self.jobs.chunks(2)) {
            assert_eq!(*workflow, Tally::of(jobs.iter().map(Tally::status)));
        }
        assert_eq!(
            self.pipeline,
            Tally::of(self.workflows.iter().map(Tally::status))
        );
    }
}

/// Counts a part's change in its whole; how the whole changed by it.
fn carry(whole: &mut Tally, from: Status, to: Status) -> (Status, Status) {
    let before = whole.status();
    whole.shift(from, to).unwrap();
    (before, whole.status())
}
