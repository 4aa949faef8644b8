//! What once went wrong, each told step by step: a leader, its database and its nodes, and nothing that happens by chance.

mod fetching;
mod jobs;
mod losing;
mod preempting;
mod readiness;
mod scene;
mod tainting;
mod tidying;
mod verdicts;
