//! What is counted of leading. Gauges are those of the replica that leads; of one that does not they are 0.

use std::{collections::BTreeMap, time::Duration};

use longshore_service::metrics::Metrics;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, core::Collector};

use crate::{
    control::{Census, Tally},
    schedule::Millis,
};

/// Upper bounds of how many rows and events are written at once.
const SIZES: [f64; 10] = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0, 30_000.0];

/// What is counted of leading.
#[derive(Clone, Debug)]
pub(crate) struct LeadMetrics {
    decisions: IntCounterVec,
    turns: Histogram,
    waits: Histogram,
    queue: IntGaugeVec,
    pods: IntGaugeVec,
    nodes: IntGaugeVec,
    commits: Histogram,
    commit_sizes: Histogram,
    term: IntGauge,
    takeovers: Histogram,
    terms_lost: IntCounter,
}

impl LeadMetrics {
    /// Those of a replica.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let sizes = HistogramOpts::new(
            "longshore_orchestrator_commit_changes",
            "Rows and events that the leader has written in one transaction.",
        );
        Self {
            decisions: metrics.counters(
                "longshore_orchestrator_decisions_total",
                "Attempts to place a pod, by what they came to: placed, fits_nowhere, or made_room where others were told to go for it.",
                &["result"],
            ),
            turns: metrics.latency("longshore_orchestrator_decide_seconds", "How long the leader takes to decide, each time."),
            waits: metrics.latency(
                "longshore_orchestrator_pod_pending_seconds",
                "From the moment that a pod was made until it is written down where it goes.",
            ),
            queue: metrics.gauges(
                "longshore_orchestrator_queue_units",
                "Pods, and gangs of them, that wait for a node: active are next, backing_off are tried again soon, unschedulable fit nowhere.",
                &["state"],
            ),
            pods: metrics.gauges("longshore_orchestrator_pods", "Pods, by phase.", &["phase"]),
            nodes: metrics.gauges(
                "longshore_orchestrator_nodes",
                "Nodes, by condition: all, ready, not_ready, lost, cordoned, draining; one may have several.",
                &["condition"],
            ),
            commits: metrics.latency("longshore_orchestrator_commit_seconds", "How long the leader's transactions take, retries with them."),
            commit_sizes: register(metrics, Histogram::with_opts(sizes.buckets(SIZES.to_vec()))),
            term: metrics.gauge("longshore_orchestrator_term", "Which term this replica leads in, or 0."),
            takeovers: metrics.latency(
                "longshore_orchestrator_takeover_seconds",
                "From the moment that this replica had the lease until it had read everything, and led.",
            ),
            terms_lost: metrics.counter("longshore_orchestrator_terms_ended_total", "Terms of this replica that have ended."),
        }
    }

    /// A term has begun, so long after the lease was had.
    pub(crate) fn leads(&self, term: u64, after: Duration) {
        self.term.set(i64::try_from(term).unwrap_or(i64::MAX));
        self.takeovers.observe(after.as_secs_f64());
    }

    /// The term is over.
    pub(crate) fn leads_no_more(&self) {
        self.term.set(0);
        self.terms_lost.inc();
        self.show(&Census::default());
    }

    /// The leader has decided something.
    pub(crate) fn decided(&self, took: Duration, tally: &Tally) {
        self.turns.observe(took.as_secs_f64());
        let counts =
            [("placed", tally.placed.len() as u64), ("fits_nowhere", tally.fits_nowhere), ("made_room", tally.made_room)];
        for (result, count) in counts {
            self.decisions.with_label_values(&[result]).inc_by(count);
        }
    }

    /// What was decided is written.
    pub(crate) fn written(&self, took: Duration, changes: usize, tally: &Tally, now: Millis) {
        self.commits.observe(took.as_secs_f64());
        self.commit_sizes.observe(f64::from(u32::try_from(changes).unwrap_or(u32::MAX)));
        for made in &tally.placed {
            let waited = Duration::from_millis(u64::try_from(now - made).unwrap_or(0));
            self.waits.observe(waited.as_secs_f64());
        }
    }

    /// How many there are of what.
    pub(crate) fn show(&self, census: &Census) {
        set(&self.pods, &census.pods);
        set(&self.nodes, &census.nodes);
        set(&self.queue, &census.queue);
    }
}

fn set<K: ToString>(gauges: &IntGaugeVec, counts: &BTreeMap<K, u64>) {
    gauges.reset();
    for (label, count) in counts {
        gauges.with_label_values(&[label.to_string()]).set(i64::try_from(*count).unwrap_or(i64::MAX));
    }
}

/// One that the process's metrics have no words for.
fn register<C: Collector + Clone + 'static>(metrics: &Metrics, made: prometheus::Result<C>) -> C {
    let metric = made.unwrap_or_else(|_| unreachable!("names are constants in the form that Prometheus demands"));
    let registered = metrics.registry().register(Box::new(metric.clone()));
    registered.unwrap_or_else(|_| unreachable!("each name is registered once"));
    metric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_leader_does_is_counted_and_its_gauges_end_with_its_term() {
        let metrics = Metrics::new();
        let leading = LeadMetrics::new(&metrics);
        leading.leads(7, Duration::from_millis(200));
        let tally = Tally { placed: vec![1_000, 1_900], fits_nowhere: 3, made_room: 1 };
        leading.decided(Duration::from_millis(2), &tally);
        leading.written(Duration::from_millis(4), 12, &tally, 2_000);
        let census = Census {
            pods: [("Running".to_owned(), 5)].into(),
            nodes: [("all", 2), ("ready", 1)].into(),
            queue: [("unschedulable", 3)].into(),
        };
        leading.show(&census);
        let told = metrics.render();
        for line in [
            "longshore_orchestrator_decisions_total{result=\"placed\"} 2",
            "longshore_orchestrator_decisions_total{result=\"fits_nowhere\"} 3",
            "longshore_orchestrator_decisions_total{result=\"made_room\"} 1",
            "longshore_orchestrator_decide_seconds_count 1",
            "longshore_orchestrator_pod_pending_seconds_count 2",
            "longshore_orchestrator_pod_pending_seconds_bucket{le=\"0.1\"} 1",
            "longshore_orchestrator_pod_pending_seconds_bucket{le=\"1\"} 2",
            "longshore_orchestrator_commit_changes_bucket{le=\"10\"} 0",
            "longshore_orchestrator_commit_changes_bucket{le=\"30\"} 1",
            "longshore_orchestrator_commit_seconds_count 1",
            "longshore_orchestrator_takeover_seconds_count 1",
            "longshore_orchestrator_term 7",
            "longshore_orchestrator_pods{phase=\"Running\"} 5",
            "longshore_orchestrator_nodes{condition=\"ready\"} 1",
            "longshore_orchestrator_queue_units{state=\"unschedulable\"} 3",
        ] {
            assert!(told.lines().any(|told| told == line), "{line} is not in {told}");
        }
        leading.leads_no_more();
        let told = metrics.render();
        assert!(told.contains("longshore_orchestrator_term 0\n") && !told.contains("longshore_orchestrator_pods{"), "{told}");
    }
}
