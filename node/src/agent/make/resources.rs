//! What a container may take, as the kernel is told (Kubernetes' "How Pods with resource limits are run").

use longshore_fleet::{QualityOfService, Resources};

use crate::agent::cri::wire::ContainerResources;

/// What the machine has.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Its memory, in bytes.
    pub memory_bytes: u64,
}

/// The part of time that limits are kept in: 100 ms.
const PERIOD_US: u64 = 100_000;
/// The shortest part of it that the kernel takes.
const LEAST_QUOTA_US: u64 = 1_000;
const SHARES_PER_CPU: u64 = 1_024;
/// The fewest and the most shares that the kernel takes.
const SHARES: (u64, u64) = (2, 262_144);

/// What is told of these requests and limits, which are those that [`Resources::with_requests`] gives.
pub(super) fn resources(resources: &Resources, capacity: Capacity) -> ContainerResources {
    let whole = resources.with_requests();
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let shares = whole.requests.cpu.map_or(0, |cpu| cpu.millis.saturating_mul(SHARES_PER_CPU) / 1_000);
    let limit = whole.limits.cpu.filter(|cpu| cpu.millis > 0);
    let quota = limit.map_or(0, |cpu| (cpu.millis.saturating_mul(PERIOD_US) / 1_000).max(LEAST_QUOTA_US));
    ContainerResources {
        cpu_period: number(PERIOD_US),
        cpu_quota: number(quota),
        cpu_shares: number(shares.clamp(SHARES.0, SHARES.1)),
        memory_limit_in_bytes: whole.limits.memory.map_or(0, |memory| number(memory.count)),
        oom_score_adj: oom_score(&whole, capacity),
    }
}

/// How gladly the kernel kills it where the machine's memory runs out: the less it asked for, the more.
fn oom_score(resources: &Resources, capacity: Capacity) -> i64 {
    match resources.quality_of_service() {
        QualityOfService::Guaranteed => -997,
        QualityOfService::BestEffort => 1_000,
        QualityOfService::Burstable => {
            let asked = u128::from(resources.requests.memory.map_or(0, |memory| memory.count));
            let part = (asked * 1_000).checked_div(u128::from(capacity.memory_bytes)).unwrap_or_default();
            (1_000 - i64::try_from(part).unwrap_or(i64::MAX)).clamp(3, 999)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> ContainerResources {
        resources(&serde_json::from_str(json).unwrap(), Capacity { memory_bytes: 10 << 30 })
    }

    #[test]
    fn limits_are_told_as_kubernetes_tells_them() {
        // Processor: shares and quota; then memory and the score.
        for (json, shares, quota, memory, score) in [
            ("{}", 2, 0, 0, 1_000),
            (r#"{"requests":{"cpu":"500m","memory":"1Gi"}}"#, 512, 0, 0, 900),
            (r#"{"limits":{"cpu":2,"memory":"1Gi"}}"#, 2_048, 200_000, 1 << 30, -997),
            (r#"{"requests":{"cpu":"1m"},"limits":{"cpu":"1m"}}"#, 2, 1_000, 0, 999),
            (r#"{"requests":{"memory":"100Gi"}}"#, 2, 0, 0, 3),
            (r#"{"requests":{"cpu":"1000"}}"#, 262_144, 0, 0, 999),
        ] {
            let told = of(json);
            let found = (told.cpu_shares, told.cpu_quota, told.memory_limit_in_bytes, told.oom_score_adj, told.cpu_period);
            assert_eq!(found, (shares, quota, memory, score, 100_000), "{json}");
        }
    }
}
