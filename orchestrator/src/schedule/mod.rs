//! Where pods go. Pure: a [`Cluster`] is told what there is and what changes, and says where a pod would best be, and why.
//!
//! A decision looks at every node; none is sampled away. What is looked at lies in columns, an entry a node, and what is dear to find out
//! is kept current as things change: which bytes of an image a node still lacks ([`layers`]), whether a node suits a demand at all
//! ([`statics`]), how many pods of a kind there are on a node or in a zone ([`counters`]).
//!
//! What a node costs is counted in seconds ([`cost`]): how long a pod would wait for its bytes there, and what everything else is worth
//! in such seconds, by weights. The node that costs least is chosen; of equals the one that was known first.
//!
//! Pods that are alike share a [`Demand`], and what was found out for one is kept for the next ([`survey`]): it looks again only at nodes
//! that have changed.

mod advice;
mod binding;
mod choice;
mod cluster;
mod compaction;
mod compiling;
mod cost;
mod counters;
mod demand;
mod explanation;
mod index;
mod interner;
mod inventory;
mod layers;
mod nodes;
mod partition;
mod placing;
mod preemption;
mod queue;
mod refusal;
mod rule;
mod statics;
mod survey;
#[cfg(test)]
mod tests;
mod topology;
mod verdict;

pub use advice::{Advice, Move};
pub use cluster::{Cluster, Placed};
pub use cost::{Cost, Weights};
pub use demand::{Demand, ImageLayers, Owner};
pub use explanation::{Explanation, Group, Remedy};
pub use index::{DemandIndex, NodeIndex};
pub use inventory::TakenOff;
pub use nodes::{NodeFacts, Paths};
pub use preemption::{Budget, Preemption};
pub use queue::{Hopes, Millis, Queue, QueueSettings, Unit};
pub use refusal::Refusal;
pub(crate) use topology::ZONE;
pub use verdict::Verdict;
