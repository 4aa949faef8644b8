use longshore_fleet::api::AdviceView;

use super::{Column, Shown, always};
use crate::output::ByteCount;

impl Shown for AdviceView {
    const COLUMNS: &'static [Column<Self>] = &[
        always("POD", |advice, _| advice.pod_id.to_string()),
        always("FROM", |advice, _| advice.from.to_string()),
        always("TO", |advice, _| advice.to.to_string()),
        always("MISSING THERE", |advice, _| ByteCount(advice.missing_bytes).to_string()),
    ];
}
