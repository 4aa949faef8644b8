//! Leading: one replica at a time decides, writes down what it decided, and tells nodes.

mod handle;

#[cfg_attr(not(test), expect(unused_imports, reason = "the task that answers them takes them from here"))]
pub(crate) use handle::Question;
pub use handle::{
    AdvisedMove, AgentStream, Evicted, Leader, LeadsNoMore, PlanOutcome, PlanQuestion, Reported, Standing, Standings,
};
