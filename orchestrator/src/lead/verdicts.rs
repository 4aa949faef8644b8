//! Asking registries whether images may run.

use longshore_fleet::{Image, WorkloadId};
use tokio::sync::mpsc;

use crate::{
    control::Verdict,
    image::{ImageResolver, ImageVerdict},
};

/// What came of asking: whose image, of which revision, and the verdict.
pub(crate) type Judged = (WorkloadId, u64, Verdict);

/// Asks for a verdict, and hands it on. How many are asked at once is the resolver's to bound.
pub(crate) fn ask(resolver: &ImageResolver, (workload, revision, image): (WorkloadId, u64, Image), judged: mpsc::Sender<Judged>) {
    let resolver = resolver.clone();
    tokio::spawn(async move {
        let verdict = match resolver.verdict(&image).await {
            Ok(ImageVerdict::Allowed { until }) => Verdict::Allowed(until.as_millisecond()),
            Ok(ImageVerdict::Refused { reason }) => Verdict::Refused(reason),
            Err(error) => {
                tracing::warn!(%image, error = &error as &dyn std::error::Error, "whether an image may run can't be asked");
                Verdict::Unknown
            }
        };
        // Who leads no more does not mind.
        let _ = judged.send((workload, revision, verdict)).await;
    });
}
