//! Why a pod can't go to a node, and by how much.

use std::fmt;

use longshore_fleet::{Bytes, Cpu, LabelKey, Protocol, Selector, Taint};
use longshore_oci::Platform;

/// Why a pod can't go to a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The node does not answer, or its runtime does not.
    NotReady,
    /// The node is to get no more pods.
    Cordoned,
    /// The image is not made for it.
    Platform(Platform),
    /// It lacks labels that the pod wants.
    Labels,
    /// It has a taint that the pod does not tolerate.
    Tainted(Taint),
    /// It is short of processor, by so much.
    Cpu(Cpu),
    /// It is short of memory, by so much.
    Memory(Bytes),
    /// There are as many pods as there may be.
    Pods,
    /// A pod has the port.
    Port(u16, Protocol),
    /// Its disk is short of room for the image, by so much.
    Disk(Bytes),
    /// So many images are on their way to it as may be.
    Pulls,
    /// It does not have the label by which pods must be near or spread.
    NoLabel(LabelKey),
    /// No pod that must be near is.
    NotNear(Selector, LabelKey),
    /// A pod is near that must not be; or one is that keeps this one away.
    Near(Selector, LabelKey),
    /// There would be too many pods at its value of the label: by so much.
    Skew(LabelKey, u32),
}

impl Refusal {
    /// Whether other pods are in the way, so that it would be mended if they went.
    pub(crate) const fn is_room(&self) -> bool {
        matches!(self, Self::Cpu(_) | Self::Memory(_) | Self::Pods | Self::Port(..))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => write!(formatter, "it is not ready"),
            Self::Cordoned => write!(formatter, "it is cordoned"),
            Self::Platform(platform) => write!(formatter, "the image is not made for {platform}"),
            Self::Labels => write!(formatter, "it lacks labels that the pod wants"),
            Self::Tainted(taint) => write!(formatter, "the pod does not tolerate the taint {taint}"),
            Self::Cpu(short) => write!(formatter, "{short} CPU short"),
            Self::Memory(short) => write!(formatter, "{short} of memory short"),
            Self::Pods => write!(formatter, "it has as many pods as it may"),
            Self::Port(port, protocol) => write!(formatter, "another pod has port {port}/{protocol}"),
            Self::Disk(short) => write!(formatter, "{short} of disk short"),
            Self::Pulls => write!(formatter, "it pulls as many images as it may"),
            Self::NoLabel(key) => write!(formatter, "it has no label {key}"),
            Self::NotNear(selector, key) => write!(formatter, "no pod with {selector} has the same {key}"),
            Self::Near(selector, key) => {
                write!(formatter, "a pod that anti-affinity by {selector} keeps apart has the same {key}")
            }
            Self::Skew(key, over) => write!(formatter, "pods too many at its {key}: {over}"),
        }
    }
}
