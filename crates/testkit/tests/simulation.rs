//! A thousand seeded simulations of a server, runners, and all that goes wrong between them.

use std::sync::atomic::{AtomicU64, Ordering};

use outrider_testkit::simulation::{Summary, simulate};

/// `OUTRIDER_SEED=17` repeats one simulation; `OUTRIDER_SEEDS=100000` runs more of them.
fn setting(name: &str) -> Option<u64> {
    std::env::vars()
        .find(|(key, _)| key == name)?
        .1
        .parse()
        .ok()
}

#[test]
fn no_promise_breaks_whatever_goes_wrong() {
    if let Some(seed) = setting("OUTRIDER_SEED") {
        println!("{:?}", simulate(seed));
        return;
    }
    let count = setting("OUTRIDER_SEEDS").unwrap_or(1_000);
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let mut total = Summary::default();
    std::thread::scope(|scope| {
        let work: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| run_until(count, &next)))
            .collect();
        for part in work {
            add(
                &mut total,
                &part
                    .join()
                    .expect("a simulation broke a promise: its seed is above"),
            );
        }
    });
    println!("{total:?}");
    // A simulation in which nothing happens would pass too.
    assert!(
        total.tasks as u64 > count && total.attempts > total.tasks / 2,
        "{total:?}"
    );
    assert!(total.requeued > 0 && total.lost > 0, "{total:?}");
    assert!(
        total.server_kills > 0 && total.runner_kills > 0 && total.cancels > 0,
        "{total:?}"
    );
    assert!(total.approvals > 0, "{total:?}");
}

fn run_until(count: u64, next: &AtomicU64) -> Summary {
    let mut total = Summary::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= count {
            return total;
        }
        let simulated = std::panic::catch_unwind(|| simulate(seed));
        let Ok(summary) = simulated else {
            panic!(
                "seed {seed} broke a promise: OUTRIDER_SEED={seed} cargo test -p outrider-testkit repeats it"
            );
        };
        add(&mut total, &summary);
    }
}

const fn add(total: &mut Summary, part: &Summary) {
    total.pipelines += part.pipelines;
    total.tasks += part.tasks;
    total.attempts += part.attempts;
    total.requeued += part.requeued;
    total.lost += part.lost;
    total.server_kills += part.server_kills;
    total.runner_kills += part.runner_kills;
    total.cancels += part.cancels;
    total.approvals += part.approvals;
}
