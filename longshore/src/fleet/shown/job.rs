use longshore_fleet::api::JobView;

use super::{Column, Kind, Named, Shown, age, always, deployment::state, namespace, wide};

impl Shown for JobView {
    const COLUMNS: &'static [Column<Self>] = &[
        namespace(|job, _| job.spec.work.namespace.to_string()),
        always("JOB", |job, _| job.spec.work.name.to_string()),
        always("DONE", |job, _| format!("{}/{}", job.status.succeeded, job.spec.work.completions)),
        always("RUNNING", |job, _| job.status.pods.to_string()),
        always("FAILED", |job, _| job.status.failed.to_string()),
        always("STATE", |job, _| state(&job.status)),
        always("IMAGE", |job, _| job.spec.template.image.to_string()),
        always("AGE", |job, now| age(now, job.created_at)),
        wide("REVISION", |job, _| job.revision.to_string()),
        wide("RUNS", |job, _| job.image.to_string()),
        wide("MESSAGE", |job, _| super::or_nothing(job.status.message.as_ref())),
    ];
}

impl Named for JobView {
    const KIND: Kind = Kind::Job;
}
