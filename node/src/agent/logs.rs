//! What pods write: files of lines as the runtime writes them (Kubernetes' "CRI logging": a time, a stream, whether the line ends, and the
//! line), one folder a pod, in it one file a container, and those that became too long beside it.

mod files;
mod line;
mod reading;
mod rotation;
mod sending;

pub use files::{remove, remove_before, remove_others};
pub use rotation::{Limits, rotate};
pub use sending::{Desk, LogParts};
