//! Pushing as docker does it: POST, a streamed PATCH, an empty PUT; HEAD first and several at once for an image.

use std::cell::Cell;

use super::connection::Connection;
use crate::content::Blob;
use crate::error::BenchError;
use crate::image::{Image, MANIFEST_MEDIA_TYPE};

/// The repository that everything goes into.
pub const REPOSITORY: &str = "bench/app";

/// A GET or HEAD of `path`, ready to send.
pub fn bare_request(method: &str, path: &str, host: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {MANIFEST_MEDIA_TYPE}, */*\r\n\r\n").into_bytes()
}

/// The path of a blob.
pub fn blob_path(digest: &str) -> String {
    format!("/v2/{REPOSITORY}/blobs/{digest}")
}

/// The path of a manifest by tag or digest.
pub fn manifest_path(reference: &str) -> String {
    format!("/v2/{REPOSITORY}/manifests/{reference}")
}

/// Pushes one blob: `POST` opens an upload, a chunked `PATCH` streams it, a `PUT` without a body ends it.
pub async fn push_blob(connection: &mut Connection, host: &str, blob: &Blob) -> Result<(), BenchError> {
    let open = format!("POST /v2/{REPOSITORY}/blobs/uploads/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
    expect(202, "POST an upload", connection.ask(open.as_bytes()).await?.status)?;

    let head = format!(
        "PATCH {} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        connection.location
    );
    blob.send(connection, head.as_bytes()).await?;
    expect(202, "PATCH an upload", connection.receive(None).await?.status)?;

    let separator = if connection.location.contains('?') { '&' } else { '?' };
    let digest = blob.digest.replace(':', "%3A");
    let close = format!(
        "PUT {}{separator}digest={digest} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/octet-stream\r\nContent-Length: 0\r\n\r\n",
        connection.location
    );
    expect(201, "PUT an upload", connection.ask(close.as_bytes()).await?.status)
}

/// Pushes the manifest of an image under its tag.
pub async fn push_manifest(connection: &mut Connection, host: &str, image: &Image) -> Result<(), BenchError> {
    let (path, length) = (manifest_path(&image.tag), image.manifest.len());
    let mut request =
        format!("PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {MANIFEST_MEDIA_TYPE}\r\nContent-Length: {length}\r\n\r\n")
            .into_bytes();
    request.extend_from_slice(&image.manifest);
    expect(201, "PUT a manifest", connection.ask(&request).await?.status)
}

/// Pushes an image: layers in parallel, one connection each at a time, then the configuration, then the manifest.
pub async fn push_image(connections: &mut [Connection], host: &str, image: &Image) -> Result<(), BenchError> {
    let next = Cell::new(0);
    let uploads = connections.iter_mut().map(|connection| async {
        while let Some(layer) = image.layers.get(next.get()) {
            next.set(next.get() + 1);
            push_if_missing(connection, host, layer).await?;
        }
        Ok::<_, BenchError>(())
    });
    futures_util::future::try_join_all(uploads).await?;
    let connection = connections.first_mut().ok_or(BenchError::Malformed("an image push needs a connection"))?;
    push_if_missing(connection, host, &image.config).await?;
    push_manifest(connection, host, image).await
}

async fn push_if_missing(connection: &mut Connection, host: &str, blob: &Blob) -> Result<(), BenchError> {
    match connection.ask_head(&bare_request("HEAD", &blob_path(&blob.digest), host)).await? {
        404 => push_blob(connection, host, blob).await,
        status => expect(200, "HEAD a blob", status),
    }
}

/// Refuses any status but the one wanted.
pub fn expect(wanted: u16, asked: &str, status: u16) -> Result<(), BenchError> {
    if status == wanted { Ok(()) } else { Err(BenchError::Status { asked: asked.to_owned(), status }) }
}
