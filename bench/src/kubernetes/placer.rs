//! kube-scheduler as a placer: pods are made at the API server, and it is heard where they were bound.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use longshore_fleet::PodId;
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use super::{
    client::Call,
    control_plane::{ControlPlane, Programs, Scheduler},
    objects::{self, NODES, PODS, REPLICA_SETS, node_name, node_number},
    setting::Setting,
    watch::Watch,
};
use crate::{
    error::BenchError,
    rollouts::{
        placer::{NewPod, Placement, Placer},
        story::Story,
    },
};

/// A pod of which nothing is heard for so long after the one before fits nowhere.
const STALL_LIMIT: Duration = Duration::from_mins(1);

/// A scheduler with a fleet of nodes that nobody runs.
#[derive(Debug)]
pub(super) struct Kubernetes {
    setting: Setting,
    watch: Watch,
    /// It is started once the first pods are there, so that they come at once.
    scheduler: Option<Scheduler>,
    plane: ControlPlane,
    /// The owner of each workload's revision.
    owners: HashMap<(usize, u64), String>,
    /// By node, the images that it has, by workload and revision.
    images: Vec<BTreeSet<(usize, u64)>>,
    decision_seconds: f64,
}

impl Kubernetes {
    /// Starts what is needed, with all nodes known.
    pub(super) async fn start(
        programs: &Programs,
        folder: &std::path::Path,
        story: &Story,
        setting: Setting,
    ) -> Result<Self, BenchError> {
        let plane = ControlPlane::start(programs, folder).await?;
        plane.api.call_all((0..story.nodes).map(|number| Call::create(NODES, objects::node(number)))).await?;
        Ok(Self {
            setting,
            watch: Watch::new(plane.api.clone()),
            scheduler: None,
            plane,
            owners: HashMap::new(),
            images: vec![BTreeSet::new(); story.nodes as usize],
            decision_seconds: 0.0,
        })
    }

    /// How long it decided of each of the first pods, without what is written: the mean, in seconds.
    pub(super) fn decision_seconds(&self) -> f64 {
        self.decision_seconds
    }

    async fn owner(&mut self, story: &Story, workload: usize, revision: u64) -> Result<String, BenchError> {
        if let Some(uid) = self.owners.get(&(workload, revision)) {
            return Ok(uid.clone());
        }
        let made = Call::create(REPLICA_SETS, objects::replica_set(&story.workloads[workload], revision));
        let made = self.plane.api.call(&made).await?;
        let uid = made["metadata"]["uid"].as_str().ok_or(BenchError::Malformed("a ReplicaSet without an id"))?.to_owned();
        self.owners.insert((workload, revision), uid.clone());
        Ok(uid)
    }

    /// Where these pods were bound, and how long it took from the first to the last.
    async fn heard(&mut self, pods: &[NewPod]) -> Result<Placement, BenchError> {
        let positions: HashMap<String, usize> = pods.iter().enumerate().map(|(at, pod)| (pod_name(pod.id), at)).collect();
        let mut nodes = vec![None; pods.len()];
        let mut times: Option<(Instant, Instant)> = None;
        for _ in pods {
            if let Some(scheduler) = &mut self.scheduler {
                scheduler.check()?;
            }
            let Ok(bound) = timeout(STALL_LIMIT, self.watch.next()).await else { break };
            let bound = bound?;
            let at = positions.get(&bound.pod).ok_or(BenchError::Malformed("a pod was bound that is none of these"))?;
            nodes[*at] = Some(node_number(&bound.node).ok_or(BenchError::Malformed("a node that is none of these"))?);
            times = Some((times.map_or(bound.at, |(first, _)| first), bound.at));
        }
        let spent = times.map_or(Duration::ZERO, |(first, last)| last - first);
        Ok(Placement { nodes, spent })
    }

    /// Nodes say that they have the images of these pods.
    async fn report(&mut self, story: &Story, pods: &[NewPod], nodes: &[Option<usize>]) -> Result<(), BenchError> {
        let mut changed = BTreeSet::new();
        for (pod, node) in pods.iter().zip(nodes) {
            if let Some(node) = node
                && self.images[*node].insert((pod.workload, pod.revision))
            {
                changed.insert(*node);
            }
        }
        let calls = changed.into_iter().map(|node| {
            let images = self.images[node].iter().map(|(workload, revision)| (&story.workloads[*workload], *revision));
            let body = json!({"status": {"images": objects::images(images)}});
            Call { method: Method::PATCH, path: format!("{NODES}/{}/status", node_name(node)), body: Some(body) }
        });
        self.plane.api.call_all(calls).await
    }
}

impl Placer for Kubernetes {
    async fn place(&mut self, story: &Story, pods: &[NewPod]) -> Result<Placement, BenchError> {
        let mut calls = Vec::with_capacity(pods.len());
        for pod in pods {
            let owner = self.owner(story, pod.workload, pod.revision).await?;
            let workload = &story.workloads[pod.workload];
            let made = objects::pod(&pod_name(pod.id), workload, pod.revision, &owner, self.setting.most_alike());
            calls.push(Call::create(PODS, made));
        }
        self.plane.api.call_all(calls).await?;
        let is_first = self.scheduler.is_none();
        if is_first {
            self.scheduler = Some(self.plane.scheduler(self.setting).await?);
        }
        let placement = self.heard(pods).await?;
        if let Some(scheduler) = self.scheduler.as_ref().filter(|_| is_first) {
            self.decision_seconds = scheduler.decision_seconds().await?;
        }
        let left: Vec<PodId> =
            pods.iter().zip(&placement.nodes).filter(|(_, node)| node.is_none()).map(|(pod, _)| pod.id).collect();
        self.end(&left).await?;
        self.report(story, pods, &placement.nodes).await?;
        Ok(placement)
    }

    async fn end(&mut self, pods: &[PodId]) -> Result<(), BenchError> {
        let calls = pods.iter().map(|pod| Call {
            method: Method::DELETE,
            path: format!("{PODS}/{}?gracePeriodSeconds=0", pod_name(*pod)),
            body: None,
        });
        self.plane.api.call_all(calls).await
    }
}

fn pod_name(pod: PodId) -> String {
    format!("p{}", pod.0.as_u128())
}
