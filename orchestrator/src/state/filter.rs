//! Of lists, which part.

use longshore_fleet::{Name, NodeId, Phase, WorkloadId, WorkloadKind, api::Event};

/// A part of a list: so many, after a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Slice<K> {
    /// The last key that was had; from the beginning where there is none.
    pub after: Option<K>,
    /// How many at most.
    pub most: u32,
}

/// Which workloads; all where nothing is said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WorkloadFilter {
    /// Of this kind.
    pub kind: Option<WorkloadKind>,
    /// In this namespace.
    pub namespace: Option<Name>,
}

/// Which pods; all where nothing is said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PodFilter {
    /// In this namespace.
    pub namespace: Option<Name>,
    /// Of this workload.
    pub workload: Option<WorkloadId>,
    /// On this node.
    pub node: Option<NodeId>,
    /// So far along.
    pub phase: Option<Phase>,
    /// Of this name.
    pub name: Option<String>,
}

/// Events after a position.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventPage {
    /// The events, in order.
    pub events: Vec<Event>,
    /// Up to where the reader has read with them: the position of the last, or what it asked with.
    pub position: u64,
}
