//! How many S3 calls each operation costs, read from the S3 server's access log.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use crate::candidate::Candidate;
use crate::candidate::entrant::Entrant;
use crate::candidate::object_server::{Bucket, ObjectServer};
use crate::cases::sizes::IMAGE_LAYERS_BYTES;
use crate::content::{Blob, Noise, Template};
use crate::error::BenchError;
use crate::image::Image;
use crate::load::connection::Connection;
use crate::load::push::{bare_request, blob_path, expect, manifest_path, push_blob, push_image, push_manifest};
use crate::report::record::CallRecord;

const MIB: u64 = 1024 * 1024;
/// How many tags the manifest has that is deleted.
const TAGS: usize = 101;
/// docker uploads up to five layers at once.
const IMAGE_CONNECTIONS: usize = 5;
/// The log counts as complete once it has not grown for this long.
const SETTLE: Duration = Duration::from_millis(150);
const SETTLE_ATTEMPTS: u32 = 40;

/// One registry and its bucket, with what was counted.
struct Counter<'a> {
    server: &'a ObjectServer,
    bucket: Bucket,
    seen: u64,
    counted: Vec<(&'static str, u64)>,
}

impl Counter<'_> {
    /// Notes the calls since the last note under a name.
    async fn note(&mut self, operation: &'static str) -> Result<(), BenchError> {
        let before = self.seen;
        self.settle().await?;
        self.counted.push((operation, self.seen - before));
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), BenchError> {
        for _ in 0..SETTLE_ATTEMPTS {
            tokio::time::sleep(SETTLE).await;
            let calls = self.server.calls(&self.bucket)?;
            if calls == self.seen {
                break;
            }
            self.seen = calls;
        }
        Ok(())
    }
}

/// Counts for every registry that this program can start over S3.
pub async fn count(entrants: &[Entrant], disk: &Path, noise: &Rc<Noise>) -> Result<Vec<CallRecord>, BenchError> {
    let folder = tempfile::Builder::new().prefix("calls-").tempdir_in(disk).map_err(BenchError::io("make a folder"))?;
    let server = ObjectServer::start(folder.path(), true).await?;
    let mut records: Vec<CallRecord> = Vec::new();
    for entrant in entrants {
        let bucket = server.bucket(&entrant.name)?;
        let mut counter = Counter { server: &server, bucket, seen: 0, counted: Vec::new() };
        let outcome = count_one(entrant, folder.path(), noise, &mut counter).await;
        if let Err(error) = outcome {
            eprintln!("bench: the S3 calls of {} are counted only in part: {error}", entrant.name);
        }
        for (operation, calls) in counter.counted {
            match records.iter_mut().find(|record| record.operation == operation) {
                Some(record) => _ = record.calls.insert(entrant.name.clone(), calls),
                None => records
                    .push(CallRecord { operation: operation.to_owned(), calls: BTreeMap::from([(entrant.name.clone(), calls)]) }),
            }
        }
    }
    Ok(records)
}

async fn count_one(entrant: &Entrant, folder: &Path, noise: &Rc<Noise>, counter: &mut Counter<'_>) -> Result<(), BenchError> {
    let bucket = counter.bucket.clone();
    let candidate = Candidate::start(entrant, folder, Some(&bucket)).await?;
    let host = candidate.host();
    let mut connections = Vec::with_capacity(IMAGE_CONNECTIONS);
    for _ in 0..IMAGE_CONNECTIONS {
        connections.push(Connection::open(candidate.address).await?);
    }
    let stamp = |size_bytes: u64| Rc::new(Template::new(noise, size_bytes)).stamp();

    // Once without counting, so that nothing is counted that only the first operation ever does.
    push_blob(&mut connections[0], &host, &stamp(4096)).await?;
    counter.settle().await?;

    let small = stamp(4096);
    push_blob(&mut connections[0], &host, &small).await?;
    counter.note("push 4 KiB").await?;
    let large = stamp(64 * MIB);
    push_blob(&mut connections[0], &host, &large).await?;
    counter.note("push 64 MiB").await?;

    let layers: Vec<Blob> = IMAGE_LAYERS_BYTES.iter().map(|size_bytes| stamp(*size_bytes)).collect();
    push_image(&mut connections, &host, &Image::new("ten", stamp(1500), layers)).await?;
    counter.note("image push, 10 layers").await?;

    let mut image = Image::new("latest", small.clone(), vec![large.clone()]);
    push_manifest(&mut connections[0], &host, &image).await?;
    counter.note("manifest push").await?;
    let mut gets =
        vec![("manifest GET by tag", manifest_path("latest")), ("manifest GET by digest", manifest_path(&image.digest))];
    gets.extend([("blob GET 4 KiB", blob_path(&small.digest)), ("blob GET 64 MiB", blob_path(&large.digest))]);
    for (operation, path) in gets {
        // The first GET warms.
        for _ in 0..2 {
            counter.settle().await?;
            let answer = connections[0].ask(&bare_request("GET", &path, &host)).await?;
            expect(200, operation, answer.status)?;
        }
        counter.note(operation).await?;
    }

    for number in 1..TAGS {
        image.tag = format!("v{number}");
        push_manifest(&mut connections[0], &host, &image).await?;
    }
    counter.settle().await?;
    let answer = connections[0].ask(&bare_request("DELETE", &manifest_path(&image.digest), &host)).await?;
    expect(202, "DELETE a manifest", answer.status)?;
    counter.note("manifest DELETE, 101 tags").await
}
