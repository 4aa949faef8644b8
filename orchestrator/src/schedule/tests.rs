mod advice;
mod explanation;
mod filters;
mod fixture;
mod preemption;
mod queue;
mod reference;
mod scores;
