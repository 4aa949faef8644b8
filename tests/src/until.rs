use std::time::{Duration, Instant};

/// Asks `probe` again and again until it has an answer, and panics with `what` when `limit` has passed without one.
pub async fn until<T>(what: &str, limit: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(answer) = probe().await {
            return answer;
        }
        assert!(began.elapsed() < limit, "waited {limit:?} in vain: {what}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}
