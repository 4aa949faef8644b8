//! Who may use a PostgreSQL database at the same time.

use std::time::Duration;

use super::{Place, Subject, samples::commit};
use crate::state::{PostgresState, StateError, Tenancy};

async fn open(url: &str, tenancy: Tenancy) -> Result<PostgresState, StateError> {
    PostgresState::connect(url, tenancy, 2, Duration::from_secs(10)).await
}

/// Opens it as soon as those who let go of it are gone.
async fn open_soon(url: &str, tenancy: Tenancy) -> PostgresState {
    for _ in 0..100 {
        match open(url, tenancy).await {
            Ok(state) => return state,
            Err(StateError::InUse(_) | StateError::Rebuilding) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it stayed in use")
}

#[tokio::test]
async fn a_rebuilding_has_the_database_alone() {
    let Subject { state, place: Place::Url(url) } = Subject::postgres().await else { unreachable!("it has a URL") };
    let beside = open(&url, Tenancy::Shared).await.unwrap();
    assert!(matches!(open(&url, Tenancy::Sole).await, Err(StateError::InUse(_))));
    drop((state, beside));
    let alone = open_soon(&url, Tenancy::Sole).await;
    assert!(matches!(open(&url, Tenancy::Shared).await, Err(StateError::Rebuilding)));
    assert!(matches!(open(&url, Tenancy::Sole).await, Err(StateError::InUse(_))));
    drop(alone);
    open_soon(&url, Tenancy::Shared).await;
}

/// A server that was restarted has let go of every lock.
#[tokio::test]
async fn a_lock_that_was_lost_is_taken_again() {
    let subject = Subject::postgres().await;
    let Place::Url(url) = &subject.place else { unreachable!("it has a URL") };
    let break_all = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    subject.execute(break_all).await;
    let alone = open_soon(url, Tenancy::Sole).await;
    let is_refused = async || subject.state.begin_change(&"a/b".parse().unwrap()).await.is_err();
    for _ in 0..200 {
        if is_refused().await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(is_refused().await, "while a rebuilding has it, nothing is changed");
    drop(alone);
    for _ in 0..200 {
        if !is_refused().await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    commit(&subject.state, "a/b", "content").await;
}
