//! Tells how things are: what has changed soon after it has, and that all is as it was now and then.

use std::{convert::Infallible, time::Duration};

use longshore_fleet::{NodeId, StreamId};
use tokio::time::{sleep, timeout};

use super::{Link, LinkError};

/// How long what changes is gathered before it is told.
const TOGETHER: Duration = Duration::from_millis(50);
/// How often one report is sent before the connection counts as lost.
const TRIES: u32 = 3;
/// How soon it is sent again, doubled with each.
const PAUSE: Duration = Duration::from_millis(200);

impl Link {
    /// Reports on a stream: first all, then what changes. One report is on its way at a time.
    pub(super) async fn report(
        &self,
        url: &str,
        node: NodeId,
        stream: StreamId,
        heartbeat: Duration,
    ) -> Result<Infallible, LinkError> {
        for number in 1.. {
            let report = self.hands.board.take(stream, number, number == 1);
            let mut pause = PAUSE;
            for tried in 1.. {
                match self.caller.report(url, node, &report).await {
                    // The same is sent with the same number, so whoever has it knows.
                    Err(error) if error.may_pass() && tried < TRIES => sleep(pause).await,
                    Err(error) => return Err(error),
                    Ok(()) => break,
                }
                pause *= 2;
            }
            if timeout(heartbeat, self.hands.board.news()).await.is_ok() {
                sleep(TOGETHER).await;
            }
        }
        unreachable!("there are enough numbers")
    }
}
