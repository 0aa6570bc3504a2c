//! What every executor must do.
//!
//! Each case is a function that takes a [`Subject`]. [`conformance_suite!`](crate::conformance_suite)
//! makes a test of each, so that a failure has a name:
//!
//! ```ignore
//! let subject = || Subject::new(MyExecutor::new(), Dialect::Shell, MyLookout);
//! outrider_executor::conformance_suite!(subject);
//! ```
//!
//! What an executor leaves is looked for by a [`Lookout`] of its own, never by the executor itself.
//!
//! Cases wait for conditions, never for a fixed time, and fail after [`DEADLINE`].

mod basic;
mod ending;
mod leftovers;
mod lookout;
mod subject;

use std::sync::Arc;

pub use self::basic::*;
pub use self::ending::*;
pub use self::leftovers::*;
pub use self::lookout::{Lookout, ThisHost, marked_processes};
pub use self::subject::{DEADLINE, Dialect, Recorder, Subject, new_attempt, until};

/// Runs one case in a runtime of its own, and ends its executor there.
///
/// # Panics
///
/// If the executor does not do what the case asks for.
pub fn run<C, F>(make: impl FnOnce() -> Subject, case: C)
where
    C: FnOnce(Subject) -> F,
    F: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut subject = make();
        let executor = Arc::clone(&subject.executor);
        let _kept = std::mem::take(&mut subject.kept);
        case(subject).await;
        executor.end().await;
    });
}

/// Makes a `#[test]` of every case. The argument is an expression that can be called any number of
/// times and returns a [`Subject`].
///
/// `without processes` leaves out the cases about shells and about children that outlive their
/// script: it is for executors whose scripts are no processes.
#[macro_export]
macro_rules! conformance_suite {
    ($make:expr) => {
        $crate::conformance_suite! { $make, without processes }
        $crate::conformance_suite! { $make =>
            bad_shell end_may_start_programs whole_tree_ends cleared_environment_is_no_escape
            survivor_does_not_hold_exec endless_survivor_does_not_hold_exec
        }
    };
    ($make:expr, without processes) => {
        $crate::conformance_suite! { $make =>
            exit_codes signals environment_and_working_directory long_script order_of_output
            ten_megabytes no_newline_at_the_end binary_output no_output two_scripts_at_once
            usage_is_measured paths host_is_checked
            orderly_end_within_the_grace term_is_ignored stop_twice stop_after_cleanup
            exec_after_stop exec_after_cleanup cleanup_ends_what_runs nobody_waits_for_exec
            cleanup_twice cleanup_leaves_nothing slot_is_used_again recovery recovery_of_nothing
        }
    };
    ($make:expr => $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                $crate::conformance::run($make, $crate::conformance::$case);
            }
        )*
    };
}
