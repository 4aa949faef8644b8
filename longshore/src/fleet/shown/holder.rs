use longshore_fleet::api::Holder;

use super::{Column, Shown, always, or_nothing};
use crate::output::ByteCount;

impl Shown for Holder {
    const COLUMNS: &'static [Column<Self>] = &[
        always("NODE", |holder, _| holder.node.to_string()),
        always("ZONE", |holder, _| or_nothing(holder.zone.as_ref())),
        always("HAS", |holder, _| ByteCount(holder.bytes_held).to_string()),
        always("OF", |holder, _| ByteCount(holder.bytes_total).to_string()),
    ];
}
