//! Who may have the disk write next.
//!
//! A disk that is asked to sync for many at once serves them all a little, and all of them late. So a few have their turn, and the rest
//! wait in a line: a small object does not wait for the large ones that came just before it, and a large one gives way for a time that
//! grows with its size, and no longer.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::oneshot;

/// How many have their turn at once: enough that the disk never waits for one of them.
const AT_ONCE: usize = 4;
/// For each so many bytes an object gives way a microsecond longer: 16 MB give way for a second.
const BYTES_A_MICROSECOND: u64 = 16;
/// The longest that any gives way, in microseconds: its upload's claim must not end meanwhile.
const MOST_MICROSECONDS: u64 = 5_000_000;

/// The line of those who wait.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    opened_at: Instant,
    line: Arc<Mutex<Line>>,
}

#[derive(Debug, Default)]
struct Line {
    running: usize,
    /// By the microsecond from which on they give way to nobody who comes, and by when they came.
    waiting: BTreeMap<(u64, u64), oneshot::Sender<Turn>>,
    arrivals: u64,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Option<Turns>);

impl Default for Turns {
    fn default() -> Self {
        Self { opened_at: Instant::now(), line: Arc::default() }
    }
}

impl Turns {
    /// A turn, where one is free.
    pub fn take_free(&self) -> Option<Turn> {
        self.take_free_of(&mut self.line())
    }

    fn take_free_of(&self, line: &mut Line) -> Option<Turn> {
        let is_free = line.running < AT_ONCE;
        line.running += usize::from(is_free);
        is_free.then(|| Turn(Some(self.clone())))
    }

    /// Waits for a turn to have so many bytes written.
    pub async fn take(&self, size_bytes: u64) -> Turn {
        let turn = {
            let mut line = self.line();
            if let Some(turn) = self.take_free_of(&mut line) {
                return turn;
            }
            let now = u64::try_from(self.opened_at.elapsed().as_micros()).unwrap_or(u64::MAX);
            let place = (now + (size_bytes / BYTES_A_MICROSECOND).min(MOST_MICROSECONDS), line.arrivals);
            line.arrivals += 1;
            let (sender, turn) = oneshot::channel();
            line.waiting.insert(place, sender);
            turn
        };
        turn.await.expect("who waits in the line is called")
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else { return };
        loop {
            let mut line = turns.line();
            let Some((_, next)) = line.waiting.pop_first() else {
                line.running -= 1;
                return;
            };
            drop(line);
            match next.send(Turn(Some(turns.clone()))) {
                Ok(()) => return,
                // Who was next has gone away; the turn is handed on from here.
                Err(mut unwanted) => unwanted.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Has everybody who waits take their turn; the numbers in the order of the turns.
    async fn order(turns: &Turns, sizes: &[u64], held: Vec<Turn>) -> Vec<u64> {
        let done = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for &size_bytes in sizes {
            let (turns, done) = (turns.clone(), done.clone());
            tasks.spawn(async move {
                let turn = turns.take(size_bytes).await;
                done.lock().unwrap().push(size_bytes);
                drop(turn);
            });
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert!(done.lock().unwrap().is_empty(), "all turns are taken");
        drop(held);
        tasks.join_all().await;
        Arc::into_inner(done).unwrap().into_inner().unwrap()
    }

    async fn take_all(turns: &Turns) -> Vec<Turn> {
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            assert!(turns.line().running < AT_ONCE);
            held.push(turns.take(1 << 40).await);
        }
        assert_eq!(turns.line().running, AT_ONCE);
        held
    }

    #[tokio::test]
    async fn the_small_go_before_the_large_and_those_alike_in_the_order_they_came() {
        let turns = Turns::default();
        let mut held = take_all(&turns).await;
        // One turn alone moves on, so that the order can be seen.
        let last = held.split_off(1);
        let sizes = [1 << 30, 64 << 20, 4096, 1 << 20, 5000];
        let order = order(&turns, &sizes, held).await;
        assert_eq!(order, [4096, 5000, 1 << 20, 64 << 20, 1 << 30]);
        drop(last);
        assert_eq!(take_all(&turns).await.len(), AT_ONCE, "every turn came back");
    }

    #[tokio::test]
    async fn the_large_give_way_for_a_time_only() {
        let turns = Turns::default();
        let mut held = take_all(&turns).await;
        let last = held.split_off(1);
        // The first gives way for a tenth of a millisecond, which is over when the second comes.
        assert_eq!(order(&turns, &[1600, 16], held).await, [1600, 16]);
        drop(last);
    }

    #[tokio::test]
    async fn who_goes_away_does_not_keep_the_turn() {
        let turns = Turns::default();
        let held = take_all(&turns).await;
        let gone = tokio::time::timeout(Duration::from_millis(5), turns.take(1)).await;
        assert!(gone.is_err());
        let waiting = tokio::spawn({
            let turns = turns.clone();
            async move { drop(turns.take(2).await) }
        });
        tokio::time::sleep(Duration::from_millis(5)).await;
        drop(held);
        waiting.await.unwrap();
        assert_eq!(take_all(&turns).await.len(), AT_ONCE);
    }
}
