use longshore_fleet::api::RevisionView;

use super::{Column, Shown, age, always, or_nothing, wide, yes};

impl Shown for RevisionView {
    const COLUMNS: &'static [Column<Self>] = &[
        always("REVISION", |revision, _| revision.revision.to_string()),
        always("CURRENT", |revision, _| yes(revision.is_current)),
        always("PODS", |revision, _| revision.pods.to_string()),
        always("IMAGE", |revision, _| revision.image.to_string()),
        always("AGE", |revision, now| age(now, revision.created_at)),
        always("BY", |revision, _| or_nothing(revision.author.as_ref())),
        wide("RUNS", |revision, _| revision.resolved.to_string()),
    ];
}
