//! What a container asks for and may take, and the class of service that follows (Kubernetes' "Resource Management for Pods and Containers").

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Bytes, Cpu, Faults, Place};

/// What a container is promised, and the most that it may take.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// Promised: a node has room for a pod where the requests of all its pods fit.
    #[serde(default)]
    pub requests: Amounts,
    /// The most: past it processor is withheld, and a process that wants more memory is killed.
    #[serde(default)]
    pub limits: Amounts,
}

/// Amounts of what is measured; where there is none, nothing is said.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Amounts {
    /// Processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// Memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
}

/// Who is ended first when a node is short of memory.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum QualityOfService {
    /// Last: requests and limits are the same, and say all.
    Guaranteed,
    /// After those that were promised nothing.
    Burstable,
    /// First: nothing was promised.
    BestEffort,
}

impl Resources {
    /// These, with a request that is not given taken from its limit, as Kubernetes does.
    #[must_use]
    pub fn with_requests(mut self) -> Self {
        self.requests.cpu = self.requests.cpu.or(self.limits.cpu);
        self.requests.memory = self.requests.memory.or(self.limits.memory);
        self
    }

    /// The class that follows from them, once requests were taken from limits.
    pub fn quality_of_service(&self) -> QualityOfService {
        let Amounts { cpu, memory } = self.requests;
        let asks = |amounts: &Amounts| {
            amounts.cpu.is_some_and(|cpu| cpu.millis > 0) || amounts.memory.is_some_and(|memory| memory.count > 0)
        };
        let says_all =
            self.limits.cpu.is_some_and(|cpu| cpu.millis > 0) && self.limits.memory.is_some_and(|memory| memory.count > 0);
        if !asks(&self.requests) && !asks(&self.limits) {
            QualityOfService::BestEffort
        } else if says_all && cpu == self.limits.cpu && memory == self.limits.memory {
            QualityOfService::Guaranteed
        } else {
            QualityOfService::Burstable
        }
    }

    /// Finds requests that are more than their limits.
    pub fn check(&self, at: &Place<'_>, faults: &mut Faults) {
        let Self { requests, limits } = self;
        if let (Some(request), Some(limit)) = (requests.cpu, limits.cpu)
            && request > limit
        {
            faults.add(&at.field("requests").field("cpu"), format!("is {request}, more than the limit of {limit}"));
        }
        if let (Some(request), Some(limit)) = (requests.memory, limits.memory)
            && request > limit
        {
            faults.add(&at.field("requests").field("memory"), format!("is {request}, more than the limit of {limit}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Resources {
        serde_json::from_str::<Resources>(json).unwrap().with_requests()
    }

    #[test]
    fn classes_follow_from_requests_and_limits() {
        use QualityOfService::{BestEffort, Burstable, Guaranteed};
        for (json, class) in [
            ("{}", BestEffort),
            (r#"{"requests":{"cpu":"0"}}"#, BestEffort),
            (r#"{"requests":{"cpu":"1"}}"#, Burstable),
            (r#"{"limits":{"memory":"1Gi"}}"#, Burstable),
            (r#"{"limits":{"memory":"1Gi","cpu":1}}"#, Guaranteed),
            (r#"{"requests":{"memory":"1Gi","cpu":"1"},"limits":{"memory":"1024Mi","cpu":"1000m"}}"#, Guaranteed),
            (r#"{"requests":{"memory":"1Gi","cpu":"0.5"},"limits":{"memory":"1Gi","cpu":"1"}}"#, Burstable),
        ] {
            assert_eq!(read(json).quality_of_service(), class, "{json}");
        }
    }

    #[test]
    fn requests_are_within_limits() {
        let mut faults = Faults::default();
        let resources = read(r#"{"requests":{"cpu":2,"memory":"2Gi"},"limits":{"cpu":"500m","memory":"1Gi"}}"#);
        resources.check(&Place::root().field("resources"), &mut faults);
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["resources.requests.cpu", "resources.requests.memory"]);
        assert_eq!(faults.iter().next().unwrap().message, "is 2, more than the limit of 500m");
    }
}
