//! What every backend must do, as tests that any backend's crate can run.
//!
//! [`CASES`] is the list. [`store_contract!`](crate::store_contract) makes one test of each, given
//! an expression that opens an empty store; the caller needs `tokio` with `macros`.

mod approving;
mod blobs;
mod caches;
mod canceling;
mod continuing;
mod data;
mod leases;
mod logs;
mod messages;
mod outputs;
mod queueing;
mod random;
mod reporting;
mod requirements;
mod reruns;
mod retention;
mod secrets;
mod turns;
mod waiting;
mod workspaces;
mod world;

use std::pin::Pin;
use std::sync::Arc;

use crate::Store;
use world::World;

/// One thing that a store must do. It panics where the store does not.
#[derive(Clone, Copy)]
pub struct Case {
    /// What must be so.
    pub name: &'static str,
    /// Tries it on an empty store.
    pub run: fn(Arc<dyn Store>) -> Running,
}

/// A case while it runs.
pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs the case with this name.
///
/// # Panics
///
/// If the store does not do what the case asks, or if there is no such case.
pub async fn run(name: &str, store: Arc<dyn Store>) {
    let case = CASES.iter().find(|case| case.name == name);
    (case.expect("a case of the contract").run)(store).await;
}

/// Makes the list, and the macro that makes tests of it. `$d` is a dollar sign.
macro_rules! cases {
    ($d:tt $($room:ident { $($name:ident,)* })*) => {
        /// All cases.
        pub const CASES: &[Case] = &[$($(Case {
            name: stringify!($name),
            run: |store| Box::pin($room::$name(World::new(store))),
        },)*)*];

        /// Makes one `#[tokio::test]` of each case of the contract. Takes an expression that opens
        /// an empty store: an `Arc<dyn Store>`, and something to keep until the test has ended.
        #[macro_export]
        macro_rules! store_contract {
            ($d open:expr) => {
                $($(
                    #[tokio::test]
                    async fn $name() {
                        let (store, _keep) = $d open;
                        $crate::contract::run(stringify!($name), store).await;
                    }
                )*)*
            };
        }
    };
}

cases! { $
    queueing {
        a_task_lives_from_submit_to_finish,
        a_payload_is_what_was_submitted,
        the_longest_queued_is_claimed_first,
        classes_do_not_mix,
        no_task_is_claimed_twice,
        a_released_task_keeps_its_place,
        depths_equal_a_recount,
        numbers_count_up_in_each_project,
        an_idempotency_key_makes_one_pipeline,
        a_bad_plan_changes_nothing,
        lists_are_newest_first_and_page,
        what_is_not_there_is_not_found,
    }
    reporting {
        a_report_has_parts_in_order,
        reports_stand_for_themselves,
        a_repeated_report_is_accepted_again,
        what_has_ended_does_not_change,
        steps_and_spans_are_merged,
        a_failure_keeps_its_reason,
    }
    leases {
        a_renewed_lease_does_not_expire,
        a_lease_never_gets_shorter,
        a_silent_claim_goes_back_to_the_queue,
        a_task_that_never_starts_is_lost,
        a_silent_runner_loses_its_task,
        a_job_may_ask_for_another_try,
        a_stale_lease_may_write_nothing,
        expiry_says_when_to_look_again,
    }
    logs {
        a_log_is_appended_by_offset,
        a_gap_is_refused,
        a_wrong_hash_resets_the_log,
        a_short_log_is_not_accepted,
        a_reset_log_can_be_sent_again,
        a_long_log_moves_to_a_file,
        a_log_too_long_for_the_store_is_refused,
        a_log_of_many_pieces_reads_as_one,
    }
    requirements {
        a_diamond_runs_in_order,
        a_failure_ends_what_requires_it,
        a_job_may_require_a_failure,
        parallel_tasks_end_their_job_together,
    }
    canceling {
        canceling_ends_what_has_not_started,
        old_pipelines_are_forgotten_whole,
        canceling_stops_what_runs,
        canceling_twice_is_canceling_once,
        canceling_a_job_reaches_its_dependents,
        a_canceled_claim_is_stale,
        a_stopping_task_whose_runner_is_silent_is_canceled,
        a_stopping_task_may_still_pass,
    }
    approving {
        an_approval_job_is_on_hold_until_somebody_approves_it,
        approving_twice_is_approving_once,
        a_job_that_is_not_on_hold_cannot_be_approved,
        what_runs_nothing_ends_by_itself,
    }
    turns {
        one_job_of_a_serial_group_runs_at_a_time,
        a_wait_for_a_turn_says_who_has_it,
        an_older_pipeline_is_skipped_in_the_line,
        jobs_of_one_pipeline_take_turns,
        a_wait_for_a_turn_ends_after_a_time,
        a_lock_is_kept_until_it_is_given_back,
        a_lock_goes_back_when_its_workflow_ends,
        a_lock_is_a_turn_in_the_group_of_its_name,
    }
    reruns {
        a_failed_task_is_tried_again_as_often_as_its_workflow_says,
        what_passes_when_tried_again_has_passed,
        the_end_before_a_rerun_can_be_told_twice,
        only_failures_are_tried_again,
    }
    continuing {
        a_setup_job_continues_its_pipeline_once,
        only_tasks_of_a_setup_config_get_a_key,
        a_pipeline_continued_with_nothing_ends_with_its_setup,
        a_continuation_comes_in_time,
        a_bad_continuation_changes_nothing,
        canceling_reaches_what_a_pipeline_was_continued_with,
    }
    messages {
        events_tell_every_change_in_order,
        events_page_without_loss,
        the_outbox_tells_each_end_once,
        tokens_are_found_until_revoked,
        runners_come_and_go,
        a_store_is_ready,
    }
    waiting {
        every_wait_has_a_reason,
        every_end_has_a_reason,
        a_queued_task_knows_its_place,
    }
    blobs {
        a_blob_is_there_once_it_is_stored,
        many_may_announce_one_blob,
        a_blob_has_one_size,
        only_what_was_announced_is_stored,
        blobs_of_other_projects_are_not_there,
        untrusted_tasks_read_both_tiers_and_write_one,
        chunks_are_found_in_the_own_scope,
        a_damaged_blob_takes_what_needs_it_along,
        a_layer_waits_for_a_damaged_blob_to_be_sent_again,
    }
    caches {
        a_key_is_saved_once,
        an_answer_that_was_lost_is_the_same_again,
        a_cache_needs_all_its_blobs,
        the_newest_cache_with_the_prefix_wins,
        keys_are_tried_in_their_order,
        prefixes_are_plain_text,
        an_expired_cache_is_not_there,
        a_trusted_task_never_sees_an_untrusted_cache,
        the_least_used_caches_go_first,
        untrusted_caches_go_before_trusted_ones,
    }
    workspaces {
        layers_lie_in_upstream_order,
        a_layer_is_replaced_by_the_same_step,
        only_the_newest_attempt_counts,
    }
    outputs {
        artifacts_are_listed_by_task_and_path,
        an_artifact_has_its_parts_in_order,
        results_are_replaced_by_the_same_step,
        timings_come_from_the_newest_earlier_job,
        timings_of_trusted_jobs_are_trusted,
        all_tasks_of_a_job_get_the_same_timings,
        timings_stay_until_the_job_has_ended,
        damaged_timings_are_none_for_all_tasks,
    }
    retention {
        what_nothing_uses_becomes_garbage,
        what_a_running_attempt_uses_stays,
        what_is_past_its_time_goes,
        a_look_is_bounded,
        a_stale_lease_may_touch_no_data,
        usage_is_what_is_there,
    }
    secrets {
        a_secret_is_kept_until_it_is_replaced_or_deleted,
        a_context_goes_with_its_variables,
        there_are_bounds_on_secrets,
        a_task_sees_its_project_then_its_contexts,
        a_task_knows_whether_it_has_secrets,
        what_is_not_trusted_sees_no_secret,
        only_the_holder_of_a_lease_sees_secrets,
        secrets_are_sealed_anew_in_pages,
    }
    random {
        random_lives_add_up,
    }
}
