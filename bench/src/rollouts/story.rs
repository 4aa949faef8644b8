//! What is rolled: workloads, their images, and in which order all comes.

use longshore_oci::Digest;

use super::RolloutsOptions;
use crate::{load::dice::Dice, played::layer};

const WORKLOADS: u64 = 40;
const BASES: u64 = 6;
const MIB: u64 = 1 << 20;

/// What a node has.
pub(crate) const CPU_PER_NODE_MILLIS: u64 = 16_000;
/// The same of memory.
pub(crate) const MEMORY_PER_NODE: u64 = 64 << 30;

/// Workloads, and what befalls them: the same for every scheduler.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) nodes: u32,
    pub(crate) workloads: Vec<Workload>,
    /// By pod, its workload, as pods come at first.
    pub(crate) order: Vec<usize>,
    /// Whose image is replaced, one after the other.
    pub(crate) rollouts: Vec<usize>,
}

/// Pods that are alike, and their images.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) cpu_millis: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) replicas: u32,
    base: Vec<(Digest, u64)>,
    /// What each revision adds to the base.
    own: Vec<(Digest, u64)>,
}

impl Workload {
    /// What the image of a revision is made of; of one that the story does not come to, of none.
    pub(crate) fn layers(&self, revision: u64) -> Vec<(Digest, u64)> {
        let own = usize::try_from(revision).ok().and_then(|revision| self.own.get(revision));
        self.base.iter().chain(own).cloned().collect()
    }
}

impl Story {
    /// One that follows from the options alone.
    pub(crate) fn new(options: &RolloutsOptions) -> Self {
        let mut dice = Dice::new(5);
        let mut between = |least: u64, most: u64| least + dice.next_bits() % (most - least);
        let bases: Vec<Vec<(Digest, u64)>> =
            (0..BASES).map(|base| (0..4).map(|part| (layer(base, part), between(40, 160) * MIB)).collect()).collect();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a number of pods, at most 200,000")]
        let mut left = (f64::from(options.nodes) * options.pods_per_node) as u64;
        let mean = left / WORKLOADS;
        let mut workloads = Vec::new();
        for number in 0..WORKLOADS {
            let replicas = if number == WORKLOADS - 1 { left } else { (mean * between(40, 160) / 100).min(left) };
            left -= replicas;
            workloads.push(Workload {
                name: format!("a{number}"),
                cpu_millis: between(300, 2_200),
                memory_bytes: between(512, 9_000) * MIB,
                replicas: u32::try_from(replicas).unwrap_or(u32::MAX),
                base: bases[usize::try_from(number % BASES).unwrap_or(0)].clone(),
                own: (0..=options.rollouts)
                    .map(|revision| (layer(1_000 + number, revision.into()), between(20, 75) * MIB))
                    .collect(),
            });
        }
        let mut order: Vec<usize> =
            workloads.iter().enumerate().flat_map(|(at, workload)| vec![at; workload.replicas as usize]).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, dice.below(at + 1));
        }
        let rollouts = (0..options.rollouts as usize).map(|number| number * 7 % workloads.len()).collect();
        Self { nodes: options.nodes, workloads, order, rollouts }
    }
}
