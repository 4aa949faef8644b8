//! The playing of a story with one scheduler.

use longshore_fleet::{PodId, Share, Strategy, StrategyKind};
use longshore_orchestrator::rollout::{RolloutPod, Stage, Wanted, step};
use uuid::Uuid;

use super::{
    ledger::{Ledger, Measured, Standing},
    placer::{NewPod, Placer},
    story::Story,
};
use crate::error::BenchError;

/// A story that is being played.
struct Play<'a, P> {
    story: &'a Story,
    placer: P,
    ledger: Ledger,
    made: u128,
}

/// Plays a story: all pods at once, then one rollout after the other in steps of 25 %.
pub(crate) async fn play<P: Placer>(story: &Story, placer: P) -> Result<(Measured, P), BenchError> {
    let mut play = Play { story, placer, ledger: Ledger::new(story), made: 0 };
    play.begin().await?;
    let mut revisions = vec![0; story.workloads.len()];
    for at in &story.rollouts {
        revisions[*at] += 1;
        play.roll(*at, revisions[*at]).await?;
    }
    Ok((play.ledger.measured(story), play.placer))
}

impl<P: Placer> Play<'_, P> {
    async fn begin(&mut self) -> Result<(), BenchError> {
        let pods: Vec<NewPod> = self.story.order.iter().map(|workload| new(&mut self.made, *workload, 0)).collect();
        let placement = self.placer.place(self.story, &pods).await?;
        for (pod, node) in pods.iter().zip(&placement.nodes) {
            self.ledger.note(self.story, *pod, *node);
        }
        let placed = u32::try_from(placement.nodes.iter().flatten().count()).unwrap_or(u32::MAX);
        self.ledger.begin(f64::from(placed) / placement.spent.as_secs_f64());
        Ok(())
    }

    /// Gives a workload a new image.
    async fn roll(&mut self, workload: usize, revision: u64) -> Result<(), BenchError> {
        let strategy =
            Strategy { kind: StrategyKind::RollingUpdate, max_unavailable: Share::Count(0), max_surge: Share::Percent(25) };
        let wanted = Wanted { replicas: self.story.workloads[workload].replicas, revision, strategy };
        loop {
            let pod = |(id, standing): (&PodId, &Standing)| RolloutPod {
                id: *id,
                revision: standing.revision,
                stage: Stage::Available,
            };
            let pods: Vec<RolloutPod> = self.ledger.pods(workload).iter().map(pod).collect();
            let next = step(&wanted, &pods);
            self.placer.end(&next.end).await?;
            for pod in &next.end {
                self.ledger.forget(workload, *pod);
            }
            let pods: Vec<NewPod> = (0..next.make).map(|_| new(&mut self.made, workload, revision)).collect();
            let mut placed = 0;
            if !pods.is_empty() {
                let nodes = self.placer.place(self.story, &pods).await?.nodes;
                placed = nodes.iter().flatten().count();
                for (pod, node) in pods.iter().zip(nodes) {
                    self.ledger.note(self.story, *pod, node);
                }
            }
            if next.is_done || (placed == 0 && next.end.is_empty()) {
                return Ok(());
            }
        }
    }
}

fn new(made: &mut u128, workload: usize, revision: u64) -> NewPod {
    *made += 1;
    NewPod { id: PodId(Uuid::from_u128(*made)), workload, revision }
}

#[cfg(test)]
mod tests {
    use longshore_fleet::Class;
    use longshore_orchestrator::schedule::Weights;

    use super::*;
    use crate::rollouts::{
        RolloutsOptions,
        longshore::{Longshore, Manner},
    };

    #[tokio::test]
    async fn every_pod_is_replaced_and_what_is_fetched_follows_from_the_exchange_rate() {
        let options = RolloutsOptions { nodes: 60, pods_per_node: 7.8, rollouts: 4, results: "unused".into() };
        let story = Story::new(&options);
        let rolled: u32 = story.rollouts.iter().map(|workload| story.workloads[*workload].replicas).sum();
        let measure = async |balance_seconds, spread_seconds, most_alike| {
            let weights = Weights { balance_seconds, spread_seconds, ..Weights::default() };
            let manner = Manner { class: Class::Online, weights, most_alike };
            let (measured, _) = play(&story, Longshore::new(&story, manner)).await.unwrap();
            assert_eq!((measured.pods, measured.unplaced), (rolled.into(), 0));
            measured
        };
        let near = measure(0.0, 0.0, None).await;
        let even = measure(100.0, 10.0, None).await;
        assert!(near.cold_bytes < even.cold_bytes, "{near:?} {even:?}");
        assert!(near.cpu_deviation > even.cpu_deviation, "{near:?} {even:?}");
        assert!(near.most_alike > 2, "{near:?}");
        let kept_apart = measure(0.0, 0.0, Some(2)).await;
        assert_eq!(kept_apart.most_alike, 2, "{kept_apart:?}");
    }
}
