//! `[scheduler]`: what things are worth to a placement.

use longshore_service::config::{Duration, Problems};

use crate::schedule::Weights;

/// The longest that anything is worth.
const MOST: Duration = Duration::hours(1);

/// What things are worth to a placement, each in the time that a pod would wait for its start.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduler {
    /// A node that is full, against one that is empty; of batch work the other way round.
    pub balance: Duration,
    /// A node whose processor is all taken and whose memory is all free, or the reverse, against one where both are taken alike.
    pub evenness: Duration,
    /// A preference of weight 100.
    pub affinity: Duration,
    /// A taint `PreferNoSchedule` that is not tolerated.
    pub taint: Duration,
    /// Each pod of the same kind in a zone, or in whatever `ScheduleAnyway` spreads over.
    pub spread: Duration,
    /// A pod that failed on the node lately.
    pub failure: Duration,
    /// A node whose uploads take all of its rate, against one that sends nothing.
    pub upload: Duration,
    /// How many images may be on their way to a node for another pod that needs bytes to be placed there.
    pub pulls_per_node: u32,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self {
            balance: Duration::seconds(10),
            evenness: Duration::seconds(2),
            affinity: Duration::seconds(10),
            taint: Duration::seconds(10),
            spread: Duration::seconds(1),
            failure: Duration::seconds(5),
            upload: Duration::seconds(2),
            pulls_per_node: 5,
        }
    }
}

longshore_service::settings!(Scheduler { balance, evenness, affinity, taint, spread, failure, upload, pulls_per_node });

impl Scheduler {
    /// The same, as the scheduler takes it.
    pub fn weights(&self) -> Weights {
        let seconds = |duration: Duration| duration.get().as_secs_f32();
        Weights {
            balance_seconds: seconds(self.balance),
            evenness_seconds: seconds(self.evenness),
            affinity_seconds: seconds(self.affinity),
            taint_seconds: seconds(self.taint),
            spread_seconds: seconds(self.spread),
            failure_seconds: seconds(self.failure),
            upload_seconds: seconds(self.upload),
            pulls_per_node: self.pulls_per_node,
        }
    }

    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        for (key, worth) in [
            ("scheduler.balance", self.balance),
            ("scheduler.evenness", self.evenness),
            ("scheduler.affinity", self.affinity),
            ("scheduler.taint", self.taint),
            ("scheduler.spread", self.spread),
            ("scheduler.failure", self.failure),
            ("scheduler.upload", self.upload),
        ] {
            if worth > MOST {
                problems.add(&[key], format!("must be {MOST} at most"));
            }
        }
        if self.pulls_per_node == 0 {
            problems.add(&["scheduler.pulls_per_node"], "must be at least 1");
        }
    }
}
