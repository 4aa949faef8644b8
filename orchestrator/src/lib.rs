//! Decides where and when: places work where its layers already are.

pub mod control;
pub mod lead;
pub mod rollout;
pub mod schedule;
pub mod state;
mod view;
