//! Benchmarks of Longshore's registry against its peers, side by side on one machine.
//!
//! A run takes the cases one after the other. For each it starts every server anew, with empty data on the same disk or on the same S3
//! server, fills them with the same content and reads it back to check it, warms each, and then lets them take turns: a round is one
//! turn of each server, in an order that rotates. What is compared is always two turns of the same round, so a slow minute of the
//! machine hits both; the table gives the median of these ratios and their spread.
//!
//! Load and servers share the processors. The generator ([`load`]) is one thread that does little per request, and the report says how
//! much processor time each server used per operation, which does not depend on the generator at all.

pub mod calls;
pub mod candidate;
pub mod cases;
pub mod content;
pub mod durability;
pub mod edge;
pub mod error;
pub mod fleet;
pub mod floor;
pub mod image;
pub mod kubernetes;
pub mod load;
pub mod options;
pub mod played;
pub mod report;
pub mod rollouts;
pub mod rounds;
pub mod run;
pub mod schedule;
pub mod simulate;
pub mod transfer;
pub mod trust;
