//! An operation of an edge, until it is over.

use std::{io, time::Duration};

use longshore_client::{ClientError, Fault, Operation, RegistryClient};
use tokio::signal::unix::Signal;

use crate::{edge::EdgeConnection, failure::Failure};

/// How often in a row it is tried again to ask how far it is.
const MOST_FAILURES: u32 = 5;
/// How often of that where no answer comes, which takes its time each time.
const MOST_SILENCES: u32 = 2;
/// How long it is waited before that.
const PAUSE: Duration = Duration::from_secs(1);

/// Waits until whoever waits does not want to any more.
pub async fn interrupt(signals: io::Result<Signal>) {
    match signals {
        Ok(mut signals) => {
            signals.recv().await;
        }
        // Then it ends the process as it does any other.
        Err(_) => std::future::pending().await,
    }
}

/// Shows an operation until it is over. Where the edge is lost on the way, it is asked again a few times.
pub async fn follow(
    client: &RegistryClient,
    connection: &EdgeConnection,
    begun: Operation,
    mut show: impl FnMut(&Operation) -> io::Result<()>,
) -> Result<Operation, Failure> {
    let id = begun.id.clone();
    let mut operation = begun;
    let (mut failures, mut silences) = (0, 0);
    while !operation.is_over() {
        let error = match client.follow_operation(&id).await {
            Err(error) => Some(error),
            Ok(mut events) => loop {
                match events.next().await {
                    Ok(Some(next)) => {
                        (failures, silences) = (0, 0);
                        show(&next)?;
                        operation = next;
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            },
        };
        if operation.is_over() {
            break;
        }
        failures += 1;
        silences += u32::from(error.as_ref().is_some_and(is_silence));
        let is_enough = failures > MOST_FAILURES || silences >= MOST_SILENCES;
        if is_enough || error.as_ref().is_some_and(is_final) {
            let lost = || Failure::Failed(format!("{} does not tell how the operation ends", connection.cache()));
            return Err(error.map_or_else(lost, |error| connection.told(&error)));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(operation)
}

/// Whether asking again is no use: the edge answered, and has no such operation, as after a new start.
fn is_final(error: &ClientError) -> bool {
    error.status().is_some_and(|status| status.is_client_error() && status.as_u16() != 429)
}

/// Whether nothing came in time: what runs says so now and then.
fn is_silence(error: &ClientError) -> bool {
    matches!(error, ClientError::Unreachable { fault: Fault::TimedOut, .. })
}
