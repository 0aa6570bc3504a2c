//! What `/metrics` tells, in the OpenMetrics text format that Prometheus reads.

use std::sync::Mutex;
use std::sync::atomic::AtomicI64;

use outrider_model::Status;
use outrider_store::{Amount, DataUsage, QueueDepth};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

type Labels<const N: usize> = [(&'static str, String); N];
/// Labels in the form that the library encodes: it has no impl for arrays of this shape.
type LabelSet = Vec<(String, String)>;

/// Which way bytes go.
#[derive(Clone, Copy)]
pub enum Direction {
    /// From a runner.
    In,
    /// To a runner or to a person.
    Out,
}

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
    /// Blob bytes that came in and went out through the server.
    blob_bytes: Family<LabelSet, Counter>,
    /// Blobs that were not what their names say.
    pub damaged_blobs: Counter,
    /// Caches that went before their time, because there was no room.
    pub evicted_caches: Counter,
    data: Family<LabelSet, Gauge<i64, AtomicI64>>,
    data_bytes: Family<LabelSet, Gauge<i64, AtomicI64>>,
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
            blob_bytes: Family::default(),
            damaged_blobs: Counter::default(),
            evicted_caches: Counter::default(),
            data: Family::default(),
            data_bytes: Family::default(),
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
        self.register_data(registry);
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

    fn register_data(&self, registry: &mut Registry) {
        registry.register(
            "blob_bytes",
            "Blob bytes that went through the server",
            self.blob_bytes.clone(),
        );
        registry.register(
            "damaged_blobs",
            "Blobs that were not what their names say",
            self.damaged_blobs.clone(),
        );
        registry.register(
            "evicted_caches",
            "Caches that went because there was no room",
            self.evicted_caches.clone(),
        );
        registry.register("data", "How many of a kind are kept", self.data.clone());
        registry.register_with_unit(
            "data",
            "How many bytes of a kind are kept",
            Unit::Bytes,
            self.data_bytes.clone(),
        );
    }

    /// Counts bytes of blobs that came from a runner, or went to one.
    pub fn count_blob_bytes(&self, direction: Direction, bytes: u64) {
        let direction = match direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        let labels = labels([("direction", direction.to_owned())]);
        self.blob_bytes.get_or_create(&labels).inc_by(bytes);
    }

    /// Notes how much data there is.
    pub fn note_data(&self, usage: &DataUsage) {
        let blobs = usage.blobs.iter().map(|(_, amount)| amount);
        let blobs = blobs.fold(Amount::default(), |sum, one| Amount {
            count: sum.count + one.count,
            bytes: sum.bytes + one.bytes,
        });
        for (kind, amount) in [
            ("blob", blobs),
            ("cache", usage.caches),
            ("layer", usage.layers),
            ("artifact", usage.artifacts),
            ("test_results", usage.test_results),
        ] {
            let kind = labels([("kind", kind.to_owned())]);
            let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            self.data.get_or_create(&kind).set(number(amount.count));
            self.data_bytes
                .get_or_create(&kind)
                .set(number(amount.bytes));
        }
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
