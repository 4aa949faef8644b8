//! One pod: from what is to be and what there is to what is done next, and to what is told of it.
//!
//! [`Machine`] is pure. It is told what is wanted, what the runtime has, what came of what it asked for, what probes say, and what time it
//! is; it says which one thing is to be done now ([`Action`]), which probes are to be made, when it wants to be asked again, and how the
//! pod is. After whatever changes something it wants to look: what it goes by is what is there, not what should be.

mod action;
mod backoff;
mod machine;
mod outcome;
mod probing;
mod rules;
mod seen;
mod state;
#[cfg(test)]
pub mod tests;

pub use action::{Action, Next};
pub use machine::Machine;
pub use outcome::{Done, Failure, ImageUser};
pub use probing::{ProbeKind, Verdict};
pub use rules::{Now, Rules};
pub use seen::{Container, Exit, Glimpse, Sandbox, Seen, Status};
