use longshore_service::metrics::Metrics;
use prometheus::{IntCounter, IntGauge};

/// What is counted of the agent.
#[derive(Debug)]
pub struct AgentMetrics {
    /// Whether the orchestrator is heard.
    pub connected: IntGauge,
    /// Whether the container runtime can start what is wanted.
    pub runtime_ready: IntGauge,
    /// Pods that are here.
    pub pods: IntGauge,
    /// Containers that were started again.
    pub restarts: IntCounter,
    /// Images that did not come when a pod wanted them.
    pub failed_pulls: IntCounter,
}

impl AgentMetrics {
    /// Those of a node.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            connected: metrics.gauge("longshore_agent_connected", "Whether the orchestrator says what runs here."),
            runtime_ready: metrics.gauge("longshore_agent_runtime_ready", "Whether the container runtime can start pods."),
            pods: metrics.gauge("longshore_agent_pods", "Pods of which something is here, or is to be."),
            restarts: metrics
                .counter("longshore_agent_restarts_total", "Containers that were started again after they had ended."),
            failed_pulls: metrics
                .counter("longshore_agent_failed_pulls_total", "Times that an image did not come which a pod wanted."),
        }
    }
}
