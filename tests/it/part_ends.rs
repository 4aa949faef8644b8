//! Uploads whose requests end just where a part of the store does, and clients that go away at a bad moment.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use longshore_oci::{Algorithm, Digest};
use longshore_tests::{Answer, Backend, Client, Random, Registry, Upload, on_both_backends, until};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

on_both_backends!(
    whatever_the_requests_the_blob_is_whole,
    a_last_request_that_was_cut_off_does_no_harm,
    a_client_that_goes_away_keeps_no_upload,
);

/// What happens to an upload before its last request.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many parts in a `PATCH` that does not say how long it is.
    Stream(usize),
    /// So many parts in a `PATCH` with `Content-Range`.
    Chunk(usize),
    /// A byte in a `PATCH` that does not say how long it is.
    Byte,
    /// `kill -9`, and a new start.
    Kill,
}

/// The last request.
#[derive(Clone, Copy, Debug)]
enum Last {
    /// A `PUT` without a body.
    Bare,
    /// A `PUT` with a body of so many parts that does not say how long it is.
    Stream(usize),
}

use Last::Bare;
use Step::{Byte, Chunk, Kill, Stream};

const SEQUENCES: &[&[Step]] = &[
    &[],
    &[Stream(1)],
    &[Stream(1), Kill],
    &[Stream(1), Stream(0)],
    &[Stream(1), Stream(1)],
    &[Stream(1), Byte],
    &[Stream(2)],
    &[Stream(2), Stream(0), Byte],
    &[Chunk(1)],
    &[Chunk(1), Kill, Chunk(1), Kill],
    &[Chunk(2), Stream(1), Stream(0)],
    &[Byte, Stream(1)],
];

fn part_bytes(backend: Backend) -> usize {
    match backend {
        Backend::Folder => 1 << 20,
        Backend::Bucket => 5 << 20,
    }
}

async fn start(backend: Backend) -> Registry {
    // The folder has parts of its own length.
    Registry::with(backend, &[("storage.part_size", "5MiB".into()), ("uploads.claim_lease", "20s".into())]).await
}

fn streamed(content: &Bytes) -> reqwest::Body {
    let pieces: Vec<std::io::Result<Bytes>> = content.chunks(99_999).map(|piece| Ok(content.slice_ref(piece))).collect();
    reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
}

async fn append(client: &Client, upload: &mut Upload, content: &Bytes) {
    let answer = Answer::to(client.request(Method::PATCH, &upload.location).body(streamed(content))).await.expect(202);
    upload.location = answer.required("location").into();
    upload.offset_bytes += content.len();
}

async fn whatever_the_requests_the_blob_is_whole(backend: Backend) {
    let mut registry = start(backend).await;
    let client = registry.client();
    let part_bytes = part_bytes(backend);
    for (number, steps) in SEQUENCES.iter().enumerate() {
        for last in [Bare, Last::Stream(0), Last::Stream(1)] {
            let content = Random::seeded(400 + number as u64 * 10 + matches!(last, Bare) as u64).bytes(5 * part_bytes);
            let mut upload = client.begin_upload("parts/ends", "").await;
            for step in *steps {
                let from = upload.offset_bytes;
                match *step {
                    Stream(parts) => append(&client, &mut upload, &content.slice(from..from + parts * part_bytes)).await,
                    Byte => append(&client, &mut upload, &content.slice(from..=from)).await,
                    Chunk(parts) => {
                        client.next_chunk(&mut upload, &content.slice(from..from + parts * part_bytes)).await;
                    }
                    Kill => {
                        registry.kill9();
                        registry.restart().await;
                        client.upload_status(&mut upload).await;
                        assert_eq!(upload.offset_bytes, from, "{steps:?}");
                    }
                }
            }
            let rest = match last {
                Bare => 0,
                Last::Stream(parts) => parts * part_bytes,
            };
            let whole = content.slice(..upload.offset_bytes + rest);
            let digest = Digest::of(Algorithm::Sha256, &whole);
            let request = client.request(Method::PUT, &upload.closing(&digest));
            let request = match last {
                Bare => request,
                Last::Stream(_) => request.body(streamed(&whole.slice(upload.offset_bytes..))),
            };
            let answer = Answer::to(request).await;
            assert_eq!(answer.status, 201, "{steps:?} {last:?}: {answer:?}");
            assert!(client.pull_blob("parts/ends", &digest).await == whole, "{steps:?} {last:?}");
            let metainfo = client.get(&format!("/v2/parts/ends/_longshore/metainfo/{digest}")).await.expect(200).json();
            let pieces = metainfo["pieces"].as_array().map_or(0, Vec::len);
            assert_eq!(pieces, whole.len().div_ceil(1 << 20), "{steps:?} {last:?}");
        }
    }
}

/// A last request that has begun and whose body does not end, cut off with the server.
async fn a_last_request_that_was_cut_off_does_no_harm(backend: Backend) {
    let mut registry = start(backend).await;
    let client = registry.client();
    for parts in [1, 2] {
        let content = Random::seeded(450 + parts as u64).bytes(parts * part_bytes(backend));
        let digest = Digest::of(Algorithm::Sha256, &content);
        let mut upload = client.begin_upload("parts/cut", "").await;
        append(&client, &mut upload, &content).await;
        let closing = upload.closing(&digest);
        let path = closing.strip_prefix(registry.url()).unwrap_or(&closing);
        let head = format!("PUT {path} HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n", registry.authority());
        let mut connection = TcpStream::connect(registry.authority()).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        until("the last request to hold the upload", Duration::from_secs(30), async || {
            (!registry.index().texts("SELECT claim FROM uploads WHERE claim IS NOT NULL").await.is_empty()).then_some(())
        })
        .await;
        registry.kill9();
        registry.restart().await;
        until("the upload to be finished", Duration::from_secs(60), async || {
            let answer = client.close_upload(&upload, &digest, &Bytes::new()).await;
            assert!(matches!(answer.status.as_u16(), 201 | 409), "{answer:?}");
            (answer.status == 201).then_some(())
        })
        .await;
        assert!(client.pull_blob("parts/cut", &digest).await == content);
    }
}

/// Small requests arrive whole, and the connection's end right behind them, while the registry asks for the claim.
async fn a_client_that_goes_away_keeps_no_upload(backend: Backend) {
    let registry = start(backend).await;
    let client = registry.client();
    let mut uploads = Vec::new();
    for _ in 0..60 {
        let mut upload = client.begin_upload("parts/away", "").await;
        append(&client, &mut upload, &Bytes::from_static(b"first")).await;
        let path = upload.location.strip_prefix(registry.url()).unwrap_or(&upload.location).to_owned();
        let request = format!("PATCH {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 5\r\n\r\nagain", registry.authority());
        let mut connection = TcpStream::connect(registry.authority()).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        connection.set_zero_linger().unwrap();
        drop(connection);
        uploads.push(upload);
    }
    for upload in uploads {
        // Much sooner than a lease ends.
        until("the upload to be free", Duration::from_secs(8), async || {
            let mut upload = upload.clone();
            client.upload_status(&mut upload).await;
            let answer = client.send_chunk(&upload, upload.offset_bytes, &Bytes::from_static(b"more")).await;
            (answer.status == 202).then_some(())
        })
        .await;
    }
}
