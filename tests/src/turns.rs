use std::{sync::LazyLock, thread::available_parallelism};

use tokio::sync::{Semaphore, SemaphorePermit};

/// How many tests run at once at least, where there are so many threads for them: most wait for processes rather than work.
const AT_ONCE: usize = 4;

/// The modules whose tests measure how long something takes, or how much memory, or keep a whole machine busy: of other tests no more than
/// one runs beside one of theirs.
const MEASURING: [&str; 10] = [
    "edge_storm",
    "edge_storm_faults",
    "lab",
    "lab_faults",
    "memory",
    "node_memory",
    "node_strangers",
    "policies",
    "scale",
    "throttle",
];

static ROOM: LazyLock<(Semaphore, u32)> = LazyLock::new(|| {
    let room = available_parallelism().map_or(AT_ONCE, |cores| cores.get().max(AT_ONCE));
    (Semaphore::new(room), u32::try_from(room).unwrap_or(u32::MAX))
});

/// Waits until a test of this module may run, in the order of asking; until it is dropped.
pub async fn turn(module: &str) -> SemaphorePermit<'static> {
    let (semaphore, room) = &*ROOM;
    let weight = if is_measuring(module) { room - 1 } else { 1 };
    semaphore.acquire_many(weight).await.expect("nobody closes it")
}

/// Whether it is one that measures, by its whole path: `it::lab::once`.
fn is_measuring(module: &str) -> bool {
    module.split("::").nth(1).is_some_and(|name| MEASURING.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_most_runs_beside_one_that_measures() {
        let measuring = turn("it::lab::once").await;
        let beside = turn("it::push::folder").await;
        let (semaphore, _) = &*ROOM;
        assert_eq!(semaphore.available_permits(), 0);
        drop((measuring, beside));
        let several = [turn("it::labels::once").await, turn("it::push::once").await, turn("lab").await];
        assert!(semaphore.available_permits() >= 1, "{}", several.len());
    }
}
