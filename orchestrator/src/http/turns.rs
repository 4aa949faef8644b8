//! How many requests are worked on at once. Those of nodes, of callers who say who they are, and of those who don't have turns of their own:
//! whoever takes all of one kind, as by sending bodies that never end, keeps nobody of another kind out.

use std::sync::Arc;

use http::{header, request::Parts};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Route;
use crate::{
    config::{AuthMode, Requests},
    error::Error,
};

/// What one unit of [`Turns::report`] stands for, in bytes.
const UNIT_BYTES: u64 = 1 << 10;

/// The turns that there are.
#[derive(Debug)]
pub struct Turns {
    /// Whether callers say who they are.
    asks: bool,
    callers: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    nodes: Arc<Semaphore>,
    /// Bytes of reports that are in memory at once.
    reports: Arc<Semaphore>,
}

/// One turn, until this is dropped.
pub type Turn = OwnedSemaphorePermit;

impl Turns {
    /// Those of a configuration.
    pub fn new(requests: &Requests, mode: AuthMode) -> Self {
        let bytes = usize::try_from(units(requests.report_memory.as_bytes())).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            asks: mode == AuthMode::Registry,
            callers: Arc::new(Semaphore::new(requests.max_in_flight)),
            strangers: Arc::new(Semaphore::new(requests.max_from_strangers)),
            nodes: Arc::new(Semaphore::new(requests.max_from_nodes)),
            reports: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// A turn for a request, where there is one.
    pub fn take(&self, route: &Route, parts: &Parts) -> Result<Turn, Error> {
        let kind = match route {
            // Who wants to join shows what lets it in with its body.
            Route::Join => &self.strangers,
            Route::Instructions | Route::Reports | Route::AgentLogs(_) => &self.nodes,
            _ if self.asks && !parts.headers.contains_key(header::AUTHORIZATION) => &self.strangers,
            _ => &self.callers,
        };
        kind.clone().try_acquire_owned().map_err(|_| Error::Overloaded)
    }

    /// Memory for a report of so many bytes at most, once there is some.
    pub async fn report(&self, most_bytes: u64) -> Result<Turn, Error> {
        let wanted = u32::try_from(units(most_bytes)).unwrap_or(u32::MAX);
        self.reports.clone().acquire_many_owned(wanted).await.map_err(|_| Error::Overloaded)
    }
}

fn units(bytes: u64) -> u64 {
    bytes.div_ceil(UNIT_BYTES).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Request;
    use longshore_service::config::ByteSize;

    use super::*;

    fn turns(mode: AuthMode) -> Turns {
        let requests = Requests { max_in_flight: 1, max_from_strangers: 1, max_from_nodes: 1, ..Requests::default() };
        Turns::new(&requests, mode)
    }

    fn parts(with_token: bool) -> Parts {
        let request = Request::builder();
        let request = if with_token { request.header(header::AUTHORIZATION, "Bearer a") } else { request };
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn those_who_say_nothing_keep_neither_nodes_nor_callers_out() {
        let turns = turns(AuthMode::Registry);
        let _stranger = turns.take(&Route::Pods, &parts(false)).unwrap();
        assert!(turns.take(&Route::Join, &parts(false)).is_err(), "it has shown nothing yet");
        let _caller = turns.take(&Route::Pods, &parts(true)).unwrap();
        assert!(turns.take(&Route::Pods, &parts(true)).is_err());
        let node = turns.take(&Route::Reports, &parts(true)).unwrap();
        assert!(turns.take(&Route::Instructions, &parts(true)).is_err());
        drop(node);
        assert!(turns.take(&Route::Instructions, &parts(true)).is_ok());
    }

    #[test]
    fn where_nobody_is_asked_all_are_callers() {
        let turns = turns(AuthMode::None);
        let _caller = turns.take(&Route::Pods, &parts(false)).unwrap();
        assert!(turns.take(&Route::Pods, &parts(true)).is_err());
        assert!(turns.take(&Route::Reports, &parts(true)).is_ok());
    }

    #[tokio::test]
    async fn reports_wait_for_the_memory_of_others() {
        let requests = Requests { report_memory: ByteSize::mebibytes(16), ..Requests::default() };
        let turns = Turns::new(&requests, AuthMode::None);
        let large = turns.report(16 << 20).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(20), turns.report(1)).await;
        assert!(early.is_err(), "there is none left");
        drop(large);
        assert!(turns.report(1).await.is_ok());
    }
}
