use std::{
    ops::Range,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use longshore_oci::Algorithm;
use uuid::Uuid;

use super::{
    Backoff, Content, PartTag, PartsId, Retrying, StorageError, Store,
    faulty::{Act, FaultyServer, answer, refusal, text},
};
use crate::storage::{BlobName, ObjectKey, S3Settings, S3Store};

/// How long an attempt may take, in the tests that wait for it.
const CALL_TIMEOUT: Duration = Duration::from_millis(150);

async fn on(script: Vec<Act>) -> (FaultyServer, Retrying<S3Store>) {
    let server = FaultyServer::start(script).await;
    let store = S3Store::new(S3Settings {
        bucket: "bucket".into(),
        prefix: String::new(),
        endpoint: server.endpoint.clone(),
        region: "us-east-1".into(),
        access_key_id: "key".into(),
        secret_access_key: "secret".into(),
        session_token: String::new(),
        force_path_style: true,
        part_bytes: 5 << 20,
        connect_timeout: Duration::from_secs(3),
    });
    let backoff = Backoff { min: Duration::from_millis(1), max: Duration::from_millis(5), max_attempts: 3 };
    (server, Retrying::new(store, backoff, CALL_TIMEOUT))
}

fn key() -> ObjectKey {
    ObjectKey::Blob("a".parse().unwrap(), BlobName { upload: Uuid::nil(), number: 1, algorithm: Algorithm::Sha256 })
}

fn content() -> Vec<Bytes> {
    vec![Bytes::from_static(b"01234"), Bytes::from_static(b"56789")]
}

async fn read(store: &dyn Store, size_bytes: u64, range: Range<u64>) -> Result<Vec<u8>, StorageError> {
    let Content::Stream(stream) = store.read(&key(), size_bytes, range).await? else { panic!("S3 maps nothing") };
    Ok(stream.try_collect::<Vec<_>>().await?.concat())
}

/// The ranges that the server was asked for.
fn ranges(server: &FaultyServer) -> Vec<Option<String>> {
    let range = |head: &String| head.lines().find_map(|line| line.strip_prefix("range: ").map(str::to_owned));
    server.requests().iter().map(range).collect()
}

#[tokio::test]
async fn goes_through_after_what_passes() {
    let (server, store) =
        on(vec![refusal("503 Slow Down", "SlowDown"), Act::Close, answer("200 OK", "etag: \"e\"\r\n", "")]).await;
    store.put(&key(), content()).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    for head in requests {
        assert!(head.contains("content-length: 10\r\n") && head.contains("x-amz-content-sha256: unsigned-payload"), "{head}");
    }
}

#[tokio::test]
async fn gives_up_after_its_attempts() {
    let (server, store) = on(vec![refusal("500 Internal Server Error", "InternalError")]).await;
    let error = store.put(&key(), content()).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("InternalError"), "{error}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn asks_once_where_the_answer_is_final() {
    for (status, code) in
        [("403 Forbidden", "AccessDenied"), ("404 Not Found", "NoSuchBucket"), ("400 Bad Request", "InvalidRequest")]
    {
        let (server, store) = on(vec![refusal(status, code)]).await;
        let error = store.put(&key(), content()).await.unwrap_err();
        assert!(matches!(&error, StorageError::S3 { is_transient: false, .. }) && error.to_string().contains(code), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
    let (server, store) = on(vec![refusal("404 Not Found", "NoSuchKey")]).await;
    assert!(matches!(read(&store, 10, 0..10).await, Err(StorageError::NotFound { .. })));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn waits_only_so_long_for_each_attempt() {
    let (server, store) = on(vec![Act::Stall(String::new()), answer("200 OK", "etag: \"e\"\r\n", "")]).await;
    let began = Instant::now();
    store.put(&key(), content()).await.unwrap();
    assert!(began.elapsed() >= CALL_TIMEOUT);
    assert_eq!(server.requests().len(), 2);
    let (_server, store) = on(vec![Act::Stall(String::new())]).await;
    assert!(matches!(store.put(&key(), content()).await, Err(StorageError::TimedOut { operation: "put", .. })));
}

#[tokio::test]
async fn fails_at_once_where_nobody_listens() {
    let (server, store) = on(vec![Act::Close]).await;
    drop(server);
    let error = store.put(&key(), content()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn a_read_goes_on_where_it_broke_off() {
    let script = vec![
        Act::Answer(text("200 OK", "", 10, "0123")),
        refusal("503 Slow Down", "SlowDown"),
        answer("206 Partial Content", "content-range: bytes 4-9/10\r\n", "456789"),
    ];
    let (server, store) = on(script).await;
    assert_eq!(read(&store, 10, 0..10).await.unwrap(), b"0123456789");
    assert_eq!(ranges(&server), [None, Some("bytes=4-9".into()), Some("bytes=4-9".into())]);
}

#[tokio::test]
async fn a_read_that_stalls_goes_on() {
    let script = vec![
        Act::Stall(text("206 Partial Content", "content-range: bytes 2-8/10\r\n", 7, "234")),
        answer("206 Partial Content", "content-range: bytes 5-8/10\r\n", "5678"),
    ];
    let (server, store) = on(script).await;
    assert_eq!(read(&store, 10, 2..9).await.unwrap(), b"2345678");
    assert_eq!(ranges(&server), [Some("bytes=2-8".into()), Some("bytes=5-8".into())]);
}

#[tokio::test]
async fn a_read_that_keeps_breaking_ends_with_an_error() {
    let script = [(0, "0"), (1, "1"), (2, "2"), (3, "3")].map(|(start, byte)| {
        let range = format!("content-range: bytes {start}-9/10\r\n");
        Act::Answer(text(if start == 0 { "200 OK" } else { "206 Partial Content" }, &range, 10 - start, byte))
    });
    let (server, store) = on(script.to_vec()).await;
    let error = read(&store, 10, 0..10).await.unwrap_err();
    assert!(matches!(error, StorageError::S3 { operation: "GetObject", .. }), "{error}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn an_object_of_another_length_is_never_read() {
    let (server, store) = on(vec![answer("200 OK", "", "012345678")]).await;
    assert!(matches!(read(&store, 10, 0..10).await, Err(StorageError::Length { expected_bytes: 10, actual_bytes: 9, .. })));
    assert_eq!(server.requests().len(), 1);
    let (_server, store) = on(vec![answer("206 Partial Content", "content-range: bytes 1-2/11\r\n", "12")]).await;
    assert!(matches!(read(&store, 10, 1..3).await, Err(StorageError::Length { actual_bytes: 11, .. })));
}

#[tokio::test]
async fn a_server_that_ignores_the_range_is_not_believed() {
    let (_server, store) = on(vec![answer("200 OK", "", "0123456789")]).await;
    assert!(read(&store, 10, 4..6).await.is_err());
}

/// The answer to the first call got lost; the second finds no upload, and the object that it became.
#[tokio::test]
async fn completing_is_not_lost_with_its_answer() {
    let script = |length| vec![Act::Close, refusal("404 Not Found", "NoSuchUpload"), Act::Answer(text("200 OK", "", length, ""))];
    let (id, parts) = (PartsId("id".into()), [PartTag("5242880@\"a\"".into()), PartTag("10@\"b\"".into())]);
    let (server, store) = on(script(5_242_890)).await;
    store.complete(&key(), &id, &parts).await.unwrap();
    assert!(server.requests()[2].starts_with("head "), "{:?}", server.requests());
    let (_server, store) = on(script(7)).await;
    assert!(matches!(store.complete(&key(), &id, &parts).await, Err(StorageError::Length { actual_bytes: 7, .. })));
    let (_server, store) = on(vec![refusal("404 Not Found", "NoSuchUpload"), answer("404 Not Found", "", "")]).await;
    assert!(matches!(store.complete(&key(), &id, &parts).await, Err(StorageError::NotFound { .. })));
}

/// S3 may answer 200 before it knows, and then fail in the body.
#[tokio::test]
async fn a_completion_that_fails_in_its_body_is_tried_again() {
    let failed = "<Error><Code>InternalError</Code><Message>by the script</Message></Error>";
    let (server, store) = on(vec![answer("200 OK", "", failed), answer("200 OK", "", "<CompleteMultipartUploadResult/>")]).await;
    store.complete(&key(), &PartsId("id".into()), &[PartTag("10@\"b\"".into())]).await.unwrap();
    assert_eq!(server.requests().len(), 2);
}
