//! How long a client waits for the first byte of what it asks for.
//!
//! Whoever pulls through a mirror goes on to the registry when the mirror says no, and waits as long as it says nothing; a mirror that has
//! begun to answer is never left. So where nothing comes from anywhere in time, it is said before an answer is begun. Over a link that is
//! full of what others wait for, the runtime would be no better off at the registry, so while anything comes it is waited for some times as
//! long.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, timeout, timeout_at};

tokio::task_local! {
    /// See [`patience`].
    static PATIENCE: Duration;
}

/// How long whatever is done for a request waits for one who says nothing, where something that is here would do: half of the limit, so that
/// there is time left to send that. `None` where it may take as long as it takes.
pub fn patience() -> Option<Duration> {
    PATIENCE.try_with(|patience| *patience).ok()
}

/// What `asking` comes to. Where it takes longer than the request may wait, and `instead` has something, that; what is asked goes on all the
/// same where it is a task of its own.
pub async fn unless_silent<T>(asking: impl Future<Output = T>, instead: impl FnOnce(Duration) -> Option<T>) -> T {
    let mut asking = std::pin::pin!(asking);
    let Some(patience) = patience() else { return asking.await };
    if let Ok(answer) = timeout(patience, &mut asking).await {
        return answer;
    }
    match instead(patience) {
        Some(other) => other,
        None => asking.await,
    }
}

/// However much comes for others, nobody waits for more than so many limits.
const MOST_LIMITS: u32 = 6;

/// Nothing came in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Late;

/// How long one request waits. `came` counts what has come from anywhere, for whomever.
struct Wait<F> {
    limit: Duration,
    end: Instant,
    last: Instant,
    came: F,
    seen: u64,
}

impl<F: Fn() -> u64> Wait<F> {
    fn new(limit: Duration, came: F) -> Self {
        let (now, seen) = (Instant::now(), came());
        Self { limit, end: now + limit, last: now + limit * MOST_LIMITS, came, seen }
    }

    async fn until<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Late> {
        let mut work = std::pin::pin!(work);
        loop {
            if let Ok(done) = timeout_at(self.end, &mut work).await {
                return Ok(done);
            }
            let seen = std::mem::replace(&mut self.seen, (self.came)());
            if self.seen == seen || self.end >= self.last {
                return Err(Late);
            }
            self.end = (self.end + self.limit).min(self.last);
        }
    }
}

/// The answer that `work` comes to, once the first byte of its body is there. Where that takes longer than the limit and nothing came in
/// it by `came`, which counts, the work goes on for whoever else wants what it brings, and to find out that a registry is away.
pub async fn within(
    limit: Duration,
    came: impl Fn() -> u64,
    work: impl Future<Output = Response<Body>> + Send + 'static,
) -> Result<Response<Body>, Late> {
    let mut wait = Wait::new(limit, came);
    let response = match wait.until(tokio::spawn(PATIENCE.scope(limit / 2, work))).await? {
        Ok(response) => response,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is going down.
        Err(_) => return Err(Late),
    };
    let (parts, mut body) = response.into_parts();
    if body.is_end_stream() {
        return Ok(Response::from_parts(parts, body));
    }
    let size_hint = body.size_hint();
    let Some(first) = wait.until(std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context))).await? else {
        return Ok(Response::from_parts(parts, Body::empty()));
    };
    Ok(Response::from_parts(parts, Body::new(Begun { first: Some(first), body, size_hint })))
}

/// A body whose first part is there.
struct Begun {
    first: Option<Result<Frame<Bytes>, axum::Error>>,
    body: Body,
    /// That of the whole body, until its first part is taken.
    size_hint: SizeHint,
}

impl http_body::Body for Begun {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        Poll::Ready(ready!(Pin::new(&mut self.body).poll_frame(context)))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.first.is_some() { self.size_hint } else { self.body.size_hint() }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use futures_util::{StreamExt as _, stream};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(400);

    fn nothing() -> u64 {
        0
    }

    fn after(wait: Duration, then: &'static str) -> Body {
        let later = stream::once(async move {
            tokio::time::sleep(wait).await;
            Ok::<_, std::io::Error>(Bytes::from_static(then.as_bytes()))
        });
        Body::from_stream(later.chain(stream::once(async { Ok(Bytes::from_static(b", and more")) })))
    }

    #[tokio::test]
    async fn what_begins_in_time_comes_whole() {
        let response = within(LIMIT, nothing, async { Response::new(after(Duration::from_millis(50), "some")) }).await.unwrap();
        assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), "some, and more");
        let response = within(LIMIT, nothing, async { Response::new(Body::from("all")) }).await.unwrap();
        assert_eq!(response.body().size_hint().exact(), Some(3));
        assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), "all");
        assert!(within(LIMIT, nothing, async { Response::new(Body::empty()) }).await.unwrap().body().is_end_stream());
    }

    #[tokio::test]
    async fn what_is_late_with_its_head_or_its_first_byte_is_told() {
        let begun = Instant::now();
        assert_eq!(within(LIMIT, nothing, std::future::pending()).await.err(), Some(Late));
        assert!(begun.elapsed() >= LIMIT);
        // Both together may take so long.
        let slow = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Response::new(after(Duration::from_millis(300), "some"))
        };
        assert_eq!(within(LIMIT, nothing, slow).await.err(), Some(Late));
    }

    #[tokio::test]
    async fn while_anything_comes_it_is_waited_for_but_not_for_ever() {
        let counted = std::sync::atomic::AtomicU64::new(0);
        let something = || counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let slow = async {
            tokio::time::sleep(LIMIT * 3 / 2).await;
            Response::new(after(LIMIT, "some"))
        };
        let response = within(LIMIT, something, slow).await.unwrap();
        assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), "some, and more");
        let begun = Instant::now();
        assert_eq!(within(LIMIT, something, std::future::pending()).await.err(), Some(Late));
        assert!(begun.elapsed() >= LIMIT * MOST_LIMITS);
    }

    #[tokio::test]
    async fn who_says_nothing_is_waited_for_as_long_as_nothing_else_will_do() {
        async fn slow() -> &'static str {
            tokio::time::sleep(LIMIT * 3 / 4).await;
            "late"
        }
        let asked = |instead: Option<&'static str>| async move {
            let answer = unless_silent(slow(), |patience| instead.filter(|_| patience == LIMIT / 2)).await;
            Response::new(Body::from(answer))
        };
        for (instead, answer) in [(Some("as it was"), "as it was"), (None, "late")] {
            let response = within(LIMIT, nothing, asked(instead)).await.unwrap();
            assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), answer);
        }
        assert_eq!(unless_silent(slow(), |_| Some("as it was")).await, "late", "there is no limit");
    }

    #[tokio::test]
    async fn what_was_begun_goes_on() {
        let (done, is_done) = tokio::sync::oneshot::channel();
        let work = async {
            tokio::time::sleep(LIMIT * 2).await;
            let _ = done.send(());
            Response::new(Body::empty())
        };
        assert_eq!(within(LIMIT, nothing, work).await.err(), Some(Late));
        assert_eq!(is_done.await, Ok(()));
    }
}
