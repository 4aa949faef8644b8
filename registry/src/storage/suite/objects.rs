use std::time::Duration;

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{StorageError, Subject, bytes, cut, key, on_every_store, read};

on_every_store!(
    reads_back_what_was_put,
    keeps_an_empty_object,
    putting_again_changes_nothing,
    says_what_is_absent,
    deletes_one_and_many,
    finds_an_object_of_another_length,
    answers_a_probe,
    presigns_what_anyone_can_get,
);

async fn reads_back_what_was_put(Subject { store, folder: _folder }: Subject) {
    let (key, content) = (key(), bytes(1_234_567, 1));
    store.put(&key, cut(&content)).await.unwrap();
    assert_eq!(read(&*store, &key, 1_234_567, 0..1_234_567).await.unwrap(), content);
    for (start, end) in
        [(0, 1), (0, 100_000), (99_999, 100_001), (1_234_566, 1_234_567), (1, 1_234_567), (7, 7), (1_234_567, 1_234_567)]
    {
        let part = read(&*store, &key, 1_234_567, start..end).await.unwrap();
        let (start, end) = (usize::try_from(start).unwrap(), usize::try_from(end).unwrap());
        assert_eq!(part, content.slice(start..end), "{start}..{end}");
    }
}

async fn keeps_an_empty_object(Subject { store, folder: _folder }: Subject) {
    let key = key();
    store.put(&key, Vec::new()).await.unwrap();
    assert_eq!(read(&*store, &key, 0, 0..0).await.unwrap(), Bytes::new());
    assert!(matches!(read(&*store, &key, 1, 0..1).await, Err(StorageError::Length { expected_bytes: 1, .. })));
}

async fn putting_again_changes_nothing(Subject { store, folder: _folder }: Subject) {
    let (key, content) = (key(), bytes(5_000, 2));
    store.put(&key, cut(&content)).await.unwrap();
    let before = store.read(&key, 5_000, 0..5_000).await.unwrap();
    store.put(&key, cut(&content)).await.unwrap();
    assert_eq!(read(&*store, &key, 5_000, 0..5_000).await.unwrap(), content);
    drop(before);
}

async fn says_what_is_absent(Subject { store, folder: _folder }: Subject) {
    let absent = key();
    for range in [0..5, 1..3] {
        let error = read(&*store, &absent, 5, range).await.unwrap_err();
        assert!(matches!(&error, StorageError::NotFound { key } if *key == absent.to_string()), "{error}");
        assert!(!error.is_transient());
    }
}

async fn deletes_one_and_many(Subject { store, folder: _folder }: Subject) {
    let keys: Vec<_> = (0..5).map(|_| key()).collect();
    for key in &keys[..4] {
        store.put(key, vec![bytes(10, 3)]).await.unwrap();
    }
    store.delete(&[]).await.unwrap();
    store.delete(&keys[..1]).await.unwrap();
    store.delete(&keys[..1]).await.unwrap();
    assert!(matches!(read(&*store, &keys[0], 10, 0..10).await, Err(StorageError::NotFound { .. })));
    assert_eq!(read(&*store, &keys[3], 10, 0..10).await.unwrap(), bytes(10, 3));
    store.delete(&keys).await.unwrap();
    for key in &keys {
        assert!(matches!(read(&*store, key, 10, 0..10).await, Err(StorageError::NotFound { .. })));
    }
}

async fn finds_an_object_of_another_length(Subject { store, folder: _folder }: Subject) {
    let key = key();
    store.put(&key, vec![bytes(1_000, 4)]).await.unwrap();
    for size_bytes in [999, 1_001, 5_000] {
        for range in [0..size_bytes, 10..20, size_bytes - 1..size_bytes] {
            let error = read(&*store, &key, size_bytes, range.clone()).await.unwrap_err();
            let StorageError::Length { expected_bytes, actual_bytes, .. } = error else {
                panic!("{range:?} of {size_bytes}: {error}")
            };
            assert_eq!(expected_bytes, size_bytes);
            // Not every server tells the length when it refuses a range behind it.
            assert!([0, 1_000].contains(&actual_bytes), "{actual_bytes}");
        }
    }
}

async fn answers_a_probe(Subject { store, folder: _folder }: Subject) {
    store.probe().await.unwrap();
}

async fn presigns_what_anyone_can_get(Subject { store, folder }: Subject) {
    let (key, content) = (key(), bytes(3_000, 5));
    store.put(&key, vec![content.clone()]).await.unwrap();
    let url = store.presign(&key, Duration::from_mins(1)).await.unwrap();
    assert_eq!(url.is_some(), folder.is_none(), "S3 has such URLs, and a folder has none");
    let Some(url) = url else { return };
    let (address, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert!(answer.ends_with(&content));
}
