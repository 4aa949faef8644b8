use longshore_fleet::{LabelKey, LabelValue, api::NodeView};

use super::{Column, Kind, Named, Shown, age, always, or_nothing, wide};
use crate::output::ByteCount;

impl Shown for NodeView {
    const COLUMNS: &'static [Column<Self>] = &[
        always("NODE", |node, _| node.name.to_string()),
        always("STATE", |node, _| state(node)),
        always("ZONE", |node, _| or_nothing(node.zone.as_ref())),
        always("PODS", |node, _| format!("{} of {}", node.pods.all.saturating_sub(node.pods.free), node.pods.all)),
        always("CPU FREE", |node, _| format!("{} of {}", node.cpu.free, node.cpu.all)),
        always("MEMORY FREE", |node, _| format!("{} of {}", ByteCount(node.memory.free.count), ByteCount(node.memory.all.count))),
        always("DISK FREE", |node, _| ByteCount(node.disk_free_bytes).to_string()),
        always("LAYERS", |node, _| node.layers.to_string()),
        always("HEARD OF", |node, now| or_nothing(node.heard_at.map(|heard| age(now, heard)))),
        wide("JOINED", |node, now| age(now, node.joined_at)),
        wide("PLATFORM", |node, _| node.platform.to_string()),
        wide("RUNTIME", |node, _| node.runtime.clone()),
        wide("VERSION", |node, _| node.version.clone()),
        wide("ADDRESS", |node, _| or_nothing(node.address.as_ref())),
        wide("LABELS", |node, _| labels(node.labels.iter())),
        wide("TAINTS", |node, _| or_nothing(Some(taints(node)).filter(|taints| !taints.is_empty()))),
    ];
}

impl Named for NodeView {
    const KIND: Kind = Kind::Node;
}

/// How it is.
pub fn state(node: &NodeView) -> String {
    let ready = match (&node.reason, node.ready) {
        (_, true) => "ready".to_owned(),
        (Some(reason), false) => format!("not ready: {reason}"),
        (None, false) => "not ready".to_owned(),
    };
    match (node.draining, node.cordoned) {
        (true, _) => format!("{ready}, draining"),
        (false, true) => format!("{ready}, cordoned"),
        (false, false) => ready,
    }
}

/// Labels as a selector has them.
pub fn labels<'a>(labels: impl Iterator<Item = (&'a LabelKey, &'a LabelValue)>) -> String {
    let labels: Vec<String> = labels.map(|(key, value)| format!("{key}={value}")).collect();
    or_nothing(Some(labels.join(",")).filter(|labels| !labels.is_empty()))
}

/// What keeps pods off it.
pub fn taints(node: &NodeView) -> String {
    node.taints.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
