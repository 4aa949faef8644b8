//! Images on their way: each once, and so many at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::sync::{Mutex as Turn, Notify, Semaphore};

use crate::agent::cri::{Cri, CriError, Logins};

/// How often a pull is tried where what is in the way may pass.
const TRIES: u32 = 4;
/// How soon it is tried again, doubled with each, up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
const MOST_PAUSE: Duration = Duration::from_secs(1);

/// Images on their way.
#[derive(Debug)]
pub struct Pulls {
    slots: Semaphore,
    turns: Mutex<HashMap<String, Weak<Turn<()>>>>,
    patience: Duration,
    logins: Logins,
    came: Notify,
}

impl Pulls {
    /// Room for so many at once, each of which may take so long; with what the runtime shows registries that it asks itself.
    pub fn new(most: usize, patience: Duration, logins: Logins) -> Self {
        Self { slots: Semaphore::new(most), turns: Mutex::default(), patience, logins, came: Notify::new() }
    }

    /// Has an image come, unless it is here.
    pub async fn pull(&self, cri: &Cri, image: &str) -> Result<(), CriError> {
        self.pull_noting(cri, image, || {}).await
    }

    /// The same; `begins` is called when it is its turn.
    pub async fn pull_noting(&self, cri: &Cri, image: &str, begins: impl FnOnce()) -> Result<(), CriError> {
        // Whoever wants the same waits, and then finds it here.
        let turn = self.turn(image);
        let _turn = turn.lock().await;
        if cri.image(image).await?.is_some() {
            return Ok(());
        }
        let Ok(_slot) = self.slots.acquire().await else { unreachable!("nobody closes it") };
        begins();
        let mut pause = PAUSE;
        for tried in 1.. {
            match cri.pull(image, self.logins.of_image(image), self.patience).await {
                Err(error) if error.may_pass() && tried < TRIES => {
                    tracing::debug!(image, error = &error as &dyn std::error::Error, "a pull is tried once more");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(MOST_PAUSE);
                }
                done => {
                    if done.is_ok() {
                        self.came.notify_one();
                    }
                    return done;
                }
            }
        }
        unreachable!("the last try is handed back")
    }

    /// Waits until an image has come.
    pub async fn came(&self) {
        self.came.notified().await;
    }

    fn turn(&self, image: &str) -> Arc<Turn<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(image).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(Turn::new(()));
        turns.insert(image.to_owned(), Arc::downgrade(&turn));
        turn
    }
}
