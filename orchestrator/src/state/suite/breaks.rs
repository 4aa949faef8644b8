//! Processes that end, and connections that break.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{
    Place, Subject,
    samples::{batch, lead, new_workload, pod_row, puts, wish, workload_row},
};
use crate::state::{PodFilter, SqliteState, State as _, StateError, Write};

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let subject = Subject::sqlite().await;
    let Place::Folder(folder) = subject.place else { unreachable!("it is SQLite") };
    let file = folder.path().join("orchestrator.db");
    let term = lead(&subject.state).await;
    subject.state.commit(term, &batch(1, vec![new_workload(1), Write::PutPod(Box::new(pod_row(1)))])).await.unwrap();
    let second = SqliteState::open(&file, 1).await;
    assert!(matches!(second, Err(StateError::InUse(_))), "two on a file");
    drop(subject.state);
    let state = SqliteState::open(&file, 1).await.unwrap();
    assert_eq!(state.leader().await.unwrap(), None, "it went with its process");
    assert!(matches!(state.commit(term, &batch(2, vec![])).await, Err(StateError::Fenced)));
    assert_eq!(state.lead(wish(2, 60_000)).await.unwrap().term, term + 1);
    assert_eq!(state.workload(workload_row(1, 1).id).await.unwrap(), Some(workload_row(1, 1)));
    assert_eq!(state.pods(&PodFilter::default(), super::samples::all()).await.unwrap(), [pod_row(1)]);
    assert_eq!(state.events(0, 10).await.unwrap().position, 1);
}

#[tokio::test]
async fn what_it_makes_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let _state = SqliteState::open(&folder.path().join("orchestrator.db"), 1).await.unwrap();
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(names.len() >= 3, "the database, what is beside it, and the lock: {names:?}");
    assert!(names.iter().all(|path| !longshore_service::private_files::is_open(path)), "{names:?}");
}

/// A caller that goes away in the middle of a change leaves the one connection that changes anything to the next.
#[tokio::test]
async fn who_goes_away_leaves_nothing_behind() {
    let subject = Subject::sqlite().await;
    let term = lead(&subject.state).await;
    for number in 1..200 {
        let writes = (0..50).map(|pod| Write::PutPod(Box::new(pod_row(pod)))).collect();
        let (batch, state) = (batch(number, writes), subject.state.clone());
        // Cut off wherever it happens to be.
        tokio::time::timeout(Duration::from_micros(number * 20), async move { state.commit(term, &batch).await }).await.ok();
        // In one look: what was left may be on its way to the disk.
        let sql = "SELECT (SELECT COUNT(*) FROM pods) || ' ' || (SELECT COUNT(*) > 0 FROM events)";
        let found = subject.texts(sql).await.remove(0);
        assert!(found == "0 0" || found == "50 1", "pods and whether there are events: {found}");
    }
    let position = subject.state.commit(term, &batch(200, vec![])).await.unwrap();
    assert_eq!(Some(subject.count("events").await as u64), position);
}

async fn ask(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

/// Ends the connections of others whose query is like this, once there is one.
async fn cut(connection: &mut PgConnection, query: &str) {
    loop {
        let sql = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active' AND query LIKE $1";
        let count: i64 = sqlx::query_scalar(sql).bind(query).fetch_one(&mut *connection).await.unwrap();
        if count > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_transaction_that_is_cut_off_is_done_once_by_another_connection() {
    let subject = Subject::postgres().await;
    let Place::Url(url) = &subject.place else { unreachable!("it is PostgreSQL") };
    let mut other = PgConnection::connect(url).await.unwrap();
    let term = lead(&subject.state).await;
    // The transaction gets as far as the outbox, and waits there.
    ask(&mut other, "BEGIN; SELECT * FROM head FOR UPDATE").await;
    let state = subject.state.clone();
    let committing = tokio::spawn(async move { state.commit(term, &batch(1, vec![Write::PutPod(Box::new(pod_row(1)))])).await });
    let mut third = PgConnection::connect(url).await.unwrap();
    cut(&mut third, "UPDATE head%").await;
    ask(&mut other, "ROLLBACK").await;
    assert_eq!(committing.await.unwrap().unwrap(), Some(1));
    assert_eq!((subject.count("pods").await, subject.count("events").await), (1, 1));
}

#[tokio::test]
async fn a_commit_that_is_cut_off_is_unsure_and_repeated_it_is_done_once() {
    let subject = Subject::postgres().await;
    let Place::Url(url) = &subject.place else { unreachable!("it is PostgreSQL") };
    let mut other = PgConnection::connect(url).await.unwrap();
    let term = lead(&subject.state).await;
    // The commit itself takes its time.
    ask(
        &mut other,
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN NULL; END';
         CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON pods DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dawdle()",
    )
    .await;
    let state = subject.state.clone();
    let written = batch(1, vec![Write::PutPod(Box::new(pod_row(1)))]);
    let (first, repeat) = (written.clone(), written);
    let committing = tokio::spawn(async move { state.commit(term, &first).await });
    cut(&mut other, "COMMIT%").await;
    let cut_off = committing.await.unwrap();
    assert!(cut_off.as_ref().is_err_and(StateError::is_uncertain), "{cut_off:?}");
    assert_eq!((subject.count("pods").await, subject.count("events").await), (0, 0), "all or nothing");
    ask(&mut other, "DROP TRIGGER slow ON pods").await;
    for position in [Some(1), None] {
        assert_eq!(subject.state.commit(term, &repeat).await.unwrap(), position);
    }
    assert_eq!((subject.count("pods").await, subject.count("events").await), (1, 1));
}

#[tokio::test]
async fn all_connections_may_break() {
    let subject = Subject::postgres().await;
    let Place::Url(url) = &subject.place else { unreachable!("it is PostgreSQL") };
    super::together(&subject, 8, |_, state| async move { state.position().await.unwrap() }).await;
    let mut other = PgConnection::connect(url).await.unwrap();
    let end_all =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    ask(&mut other, end_all).await;
    puts(&subject.state, vec![new_workload(1)]).await;
    ask(&mut other, end_all).await;
    assert_eq!(subject.state.position().await.unwrap(), 1);
}

/// A leader whose process stands still in the middle of a transaction holds its locks: not for longer than the server lets it.
#[tokio::test]
async fn a_leader_that_stands_still_is_taken_over_from() {
    let subject = Subject::postgres().await;
    let Place::Url(url) = &subject.place else { unreachable!("it is PostgreSQL") };
    let term = subject.state.lead(wish(1, 60_000)).await.unwrap().term;
    let mut other = PgConnection::connect(url).await.unwrap();
    ask(&mut other, "BEGIN; SELECT * FROM head FOR UPDATE").await;
    let written = batch(1, vec![Write::PutPod(Box::new(pod_row(1)))]);
    let mut committing = subject.state.commit(term, &written);
    let until_it_waits = async {
        let mut third = PgConnection::connect(url).await.unwrap();
        let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE head%'";
        while sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut third).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        done = &mut committing => panic!("{done:?}"),
        () = until_it_waits => {}
    }
    let replica = subject.replica().await;
    assert_eq!(
        subject.state.lead(wish(1, 1)).await.unwrap().term,
        term,
        "its own transaction does not keep a leader from leading on"
    );
    // From here on nobody looks at what the server says to it.
    ask(&mut other, "ROLLBACK").await;
    let begun = Instant::now();
    let taken = tokio::time::timeout(Duration::from_secs(10), replica.lead(wish(2, 60_000))).await.unwrap().unwrap();
    assert_eq!(taken.term, term + 1);
    assert!((3..8).contains(&begun.elapsed().as_secs()), "it waits for the locks, and not for ever: {:?}", begun.elapsed());
    let late = committing.await;
    assert!(matches!(late, Err(StateError::Fenced)), "{late:?}");
    assert_eq!((subject.count("pods").await, subject.count("events").await), (0, 0));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("postgres://postgres@localhost/none?host={}&sslmode=disable", folder.path().display());
    let error = crate::state::PostgresState::connect(&url, 1).await.err().unwrap();
    assert!(error.is_uncertain(), "{error:?}");
}
