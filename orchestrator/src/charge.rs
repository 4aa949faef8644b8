//! What workloads ask of their namespaces' quotas. Pure.

use longshore_fleet::{Template, WorkloadKind};
use serde_json::Value;

use crate::state::Charge;

/// What so many pods of a template ask for.
pub fn of(pods: u32, template: &Template) -> Charge {
    let requests = template.resources.with_requests().requests;
    let count = i64::from(pods);
    let each = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX).saturating_mul(count);
    Charge {
        cpu_millis: each(requests.cpu.unwrap_or_default().millis),
        memory_bytes: each(requests.memory.unwrap_or_default().count),
        pods: count,
    }
}

/// What a workload asks for, from how it is stored.
pub fn of_stored(kind: WorkloadKind, spec: &Value, template: &Template) -> Charge {
    let count = |field: &str| spec.get(field).and_then(Value::as_u64).and_then(|count| u32::try_from(count).ok()).unwrap_or(1);
    let pods = match kind {
        WorkloadKind::Deployment => count("replicas"),
        WorkloadKind::Job => count("parallelism").min(count("completions")),
    };
    of(pods, template)
}

/// How much more one is than another; less where it is negative.
pub fn difference(after: Charge, before: Charge) -> Charge {
    Charge {
        cpu_millis: after.cpu_millis.saturating_sub(before.cpu_millis),
        memory_bytes: after.memory_bytes.saturating_sub(before.memory_bytes),
        pods: after.pods.saturating_sub(before.pods),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_stored_asks_for_what_was_asked_for() {
        let template: Template = serde_json::from_value(json!({"image": "a"})).unwrap();
        let job = json!({"name": "a", "completions": 5, "parallelism": 2});
        assert_eq!(of_stored(WorkloadKind::Job, &job, &template), of(2, &template));
        assert_eq!(of_stored(WorkloadKind::Deployment, &json!({"name": "a", "replicas": 3}), &template), of(3, &template));
    }

    #[test]
    fn limits_count_where_nothing_is_requested() {
        let template = json!({"image": "a", "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}}});
        let template: Template = serde_json::from_value(template).unwrap();
        let three = of(3, &template);
        assert_eq!(three, Charge { cpu_millis: 1_500, memory_bytes: 3 << 30, pods: 3 });
        assert_eq!(difference(of(1, &template), three), Charge { cpu_millis: -1_000, memory_bytes: -(2 << 30), pods: -2 });
    }
}
