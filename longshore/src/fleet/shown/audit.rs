use longshore_fleet::api::AuditView;

use super::{Column, Shown, always, or_nothing, whole_second, wide};

impl Shown for AuditView {
    const COLUMNS: &'static [Column<Self>] = &[
        always("TIME", |line, _| whole_second(line.at)),
        always("WHO", |line, _| line.account.clone()),
        always("REQUEST", |line, _| line.request.clone()),
        always("ABOUT", |line, _| line.subject.clone()),
        always("OUTCOME", |line, _| line.outcome.clone()),
        wide("FROM", |line, _| or_nothing(line.address.as_ref())),
        wide("NUMBER", |line, _| line.number.to_string()),
        wide("REQUEST ID", |line, _| or_nothing(line.request_id.as_ref())),
    ];
}
