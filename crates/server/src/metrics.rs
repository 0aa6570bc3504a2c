//! What `/metrics` tells, in the OpenMetrics text format that Prometheus reads.

use std::sync::Mutex;
use std::sync::atomic::AtomicI64;

use outrider_model::Status;
use outrider_store::QueueDepth;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

type Labels<const N: usize> = [(&'static str, String); N];
/// Labels in the form that the library encodes: it has no impl for arrays of this shape.
type LabelSet = Vec<(String, String)>;

/// All metrics of a server.
pub struct Metrics {
    registry: Mutex<Registry>,
    /// Tasks handed to runners.
    pub claims: Counter,
    /// Attempts whose lease ran out.
    pub lease_losses: Counter,
    /// Reports under a lease that was not held any more.
    pub stale_reports: Counter,
    /// Log bytes taken.
    pub log_bytes: Counter,
    edges: Family<LabelSet, Counter>,
    queued: Family<LabelSet, Gauge<i64, AtomicI64>>,
    running: Family<LabelSet, Gauge<i64, AtomicI64>>,
    oldest: Family<LabelSet, Gauge<i64, AtomicI64>>,
    waiting: Gauge<i64, AtomicI64>,
    requests: Family<LabelSet, Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("outrider");
        let metrics = Self {
            claims: Counter::default(),
            lease_losses: Counter::default(),
            stale_reports: Counter::default(),
            log_bytes: Counter::default(),
            edges: Family::default(),
            queued: Family::default(),
            running: Family::default(),
            oldest: Family::default(),
            waiting: Gauge::default(),
            requests: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.000_25, 4.0, 9))
            }),
            registry: Mutex::default(),
        };
        metrics.register(&mut registry);
        Self {
            registry: Mutex::new(registry),
            ..metrics
        }
    }
}

impl Metrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("claims", "Tasks handed to runners", self.claims.clone());
        registry.register(
            "lease_losses",
            "Attempts whose lease ran out",
            self.lease_losses.clone(),
        );
        registry.register(
            "stale_reports",
            "Reports refused because their lease was no longer held",
            self.stale_reports.clone(),
        );
        registry.register(
            "log_bytes",
            "Log bytes taken from runners",
            self.log_bytes.clone(),
        );
        registry.register(
            "task_state_edges",
            "Tasks that went from one status to another",
            self.edges.clone(),
        );
        registry.register(
            "queue_queued",
            "Tasks that wait for a runner",
            self.queued.clone(),
        );
        registry.register(
            "queue_running",
            "Tasks that runners hold",
            self.running.clone(),
        );
        registry.register_with_unit(
            "queue_oldest_age",
            "For how long the longest queued task waits",
            Unit::Seconds,
            self.oldest.clone(),
        );
        registry.register(
            "waiting_runners",
            "Claims that wait for work",
            self.waiting.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Time from a request to its answer; waiting calls include the wait",
            Unit::Seconds,
            self.requests.clone(),
        );
    }

    /// Counts tasks that changed their status.
    pub fn count_edges(&self, edges: &[(Status, Status)]) {
        for (from, to) in edges {
            self.edges
                .get_or_create(&labels([
                    ("from", from.to_string()),
                    ("to", to.to_string()),
                ]))
                .inc();
        }
    }

    /// Notes how long a request took.
    pub fn observe_request(&self, route: &str, status: u16, seconds: f64) {
        let labels = labels([("route", route.to_owned()), ("status", status.to_string())]);
        self.requests.get_or_create(&labels).observe(seconds);
    }

    /// All metrics as text, given how things stand now.
    pub fn render(&self, depths: &[(QueueDepth, i64)], waiting: usize) -> String {
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        for (depth, oldest_seconds) in depths {
            let class = labels([("class", depth.class.to_string())]);
            let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            self.queued.get_or_create(&class).set(count(depth.queued));
            self.running.get_or_create(&class).set(count(depth.running));
            self.oldest.get_or_create(&class).set(*oldest_seconds);
        }
        let mut text = String::new();
        let registry = self
            .registry
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

fn labels<const N: usize>(pairs: Labels<N>) -> LabelSet {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
