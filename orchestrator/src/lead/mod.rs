//! Leading: one replica at a time decides, writes down what it decided, and tells nodes.

mod handle;

pub(crate) use handle::Question;
pub use handle::{AdvisedMove, AgentStream, Leader, LeadsNoMore, PlanOutcome, PlanQuestion, Reported, Standing, Standings};
