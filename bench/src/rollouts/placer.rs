//! Who says where pods go.

use std::time::Duration;

use longshore_fleet::PodId;

use super::story::Story;
use crate::error::BenchError;

/// A pod that is to be placed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewPod {
    pub(crate) id: PodId,
    /// By position in the story.
    pub(crate) workload: usize,
    pub(crate) revision: u64,
}

/// Where pods went.
#[derive(Debug)]
pub(crate) struct Placement {
    /// By pod, the number of its node; none where it fits nowhere.
    pub(crate) nodes: Vec<Option<usize>>,
    /// How long it took to place them all.
    pub(crate) spent: Duration,
}

/// A scheduler with a fleet of its own. A pod that is placed has its image at once, which the scheduler is told as its like is told.
pub(crate) trait Placer {
    /// Places pods that come at once.
    async fn place(&mut self, story: &Story, pods: &[NewPod]) -> Result<Placement, BenchError>;

    /// Ends pods that were placed.
    async fn end(&mut self, pods: &[PodId]) -> Result<(), BenchError>;
}
