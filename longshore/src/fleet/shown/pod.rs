use longshore_fleet::api::PodView;

use super::{Column, Kind, Named, Shown, age, always, namespace, or_nothing, wide, yes};
use crate::output::ByteCount;

impl Shown for PodView {
    const COLUMNS: &'static [Column<Self>] = &[
        namespace(|pod, _| pod.namespace.to_string()),
        always("POD", |pod, _| pod.name.clone()),
        always("NODE", |pod, _| or_nothing(pod.node.as_ref())),
        always("PHASE", |pod, _| phase(pod)),
        always("READY", |pod, _| yes(pod.state.ready)),
        always("RESTARTS", |pod, _| pod.state.restarts.to_string()),
        always("MISSING WHEN PLACED", |pod, _| or_nothing(pod.missing_bytes.map(ByteCount))),
        always("STARTED IN", |pod, _| or_nothing(pod.state.started_in_ms.map(seconds))),
        wide("AGE", |pod, now| age(now, pod.created_at)),
        wide("ADDRESS", |pod, _| or_nothing(pod.state.address.as_ref())),
        wide("OF", |pod, _| format!("{}/{} revision {}", pod.owner.kind, pod.owner.name, pod.owner.revision)),
        wide("IMAGE", |pod, _| pod.image.to_string()),
    ];
}

impl Named for PodView {
    const KIND: Kind = Kind::Pod;
}

/// How far it is, and why no farther.
pub fn phase(pod: &PodView) -> String {
    match (&pod.state.reason, pod.state.phase) {
        _ if pod.ending && !pod.state.phase.has_ended() => "Ending".to_owned(),
        (Some(reason), phase) if !pod.state.ready && !reason.is_empty() => format!("{phase}: {reason}"),
        (_, phase) => phase.to_string(),
    }
}

/// A time in seconds, with a tenth.
#[allow(clippy::cast_precision_loss, reason = "what is shown has two digits or three")]
pub fn seconds(milliseconds: u64) -> String {
    format!("{:.1} s", milliseconds as f64 / 1_000.0)
}
