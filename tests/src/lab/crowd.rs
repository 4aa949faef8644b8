use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::Value;
use tokio::{task::JoinHandle, time::timeout};

use super::{Lab, LabDaemon};
use crate::{Image, Taken};

/// What came of a pull of an image: its manifest, and all its blobs at once, held against what is right byte by byte.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// From the request for the manifest to the end of the last blob.
    pub took: Duration,
    /// What came of the manifest and of each blob.
    pub parts: Vec<Taken>,
}

impl Pulled {
    /// Whether all of it came, and nothing else.
    pub fn is_right(&self) -> bool {
        self.parts.iter().all(Taken::is_right)
    }

    /// Whether a byte came that is wrong, be it that the answer was whole or broke off.
    pub fn is_wrong(&self) -> bool {
        self.parts.iter().any(|part| part.wrong_after.is_some() || part.is_wrong())
    }
}

impl LabDaemon {
    /// Begins to pull an image from it, on its machine, as a runtime does. To end later than after so long is a failure of its own.
    pub fn pull(&self, tag: &str, image: &Arc<Image>, limit: Duration) -> JoinHandle<Pulled> {
        let (client, tag, image) = (self.client(), tag.to_owned(), Arc::clone(image));
        self.machine.spawn(async move {
            let began = Instant::now();
            let path = |kind: &str, name: &str| format!("/v2/{}/{kind}/{name}", Lab::REPOSITORY);
            let pulling = async {
                let manifest = client.take(&path("manifests", &tag), &image.manifest).await;
                if !manifest.is_right() {
                    return vec![manifest];
                }
                let mut blobs = Vec::new();
                for (digest, content) in digests_of(&image).into_iter().zip(&image.blobs) {
                    let (client, path) = (&client, path("blobs", &digest));
                    blobs.push(async move { client.take(&path, content).await });
                }
                [vec![manifest], join_all(blobs).await].concat()
            };
            let parts =
                timeout(limit, pulling).await.unwrap_or_else(|_| panic!("a pull neither succeeded nor failed in {limit:?}"));
            Pulled { took: began.elapsed(), parts }
        })
    }

    /// Has a node know an image without having it: its manifest, and of each blob the hashes of its pieces, with one piece or so.
    pub async fn learn(&self, tag: &str, image: &Arc<Image>) {
        let (client, tag, image) = (self.client(), tag.to_owned(), Arc::clone(image));
        let learning = async move {
            let manifest = client.take(&format!("/v2/{}/manifests/{tag}", Lab::REPOSITORY), &image.manifest).await;
            assert!(manifest.is_right(), "{manifest:?}");
            for (digest, content) in digests_of(&image).iter().zip(&image.blobs) {
                let request = client.request(http::Method::GET, &format!("/v2/{}/blobs/{digest}", Lab::REPOSITORY));
                let answer = crate::Answer::to(request.header("range", "bytes=0-99")).await.expect(206);
                assert_eq!(answer.body, first(content, 100), "wrong bytes were served");
            }
        };
        self.machine.inside(learning).await;
    }
}

impl Lab {
    /// Begins to pull an image at every node at once.
    pub fn pull_everywhere(&self, tag: &str, image: &Arc<Image>, limit: Duration) -> Vec<JoinHandle<Pulled>> {
        self.nodes.iter().map(|node| node.pull(tag, image, limit)).collect()
    }

    /// What came of pulls, in the order in which they are given; that no byte was wrong.
    pub async fn ended(pulls: Vec<JoinHandle<Pulled>>) -> Vec<Pulled> {
        let pulled: Vec<Pulled> = join_all(pulls).await.into_iter().map(|pulled| pulled.expect("it ends in time")).collect();
        assert!(!pulled.iter().any(Pulled::is_wrong), "wrong bytes were served: {pulled:?}");
        pulled
    }
}

fn first(content: &Bytes, bytes: usize) -> Bytes {
    content.slice(..content.len().min(bytes))
}

/// The digests of an image's blobs, in their order: as its manifest has them, so that nothing is hashed while others are timed.
fn digests_of(image: &Image) -> Vec<String> {
    let manifest: Value = serde_json::from_slice(&image.manifest).expect("a manifest is JSON");
    let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
    let descriptors = [manifest["config"].clone()].into_iter().chain(layers);
    descriptors.map(|descriptor| descriptor["digest"].as_str().expect("a descriptor has a digest").to_owned()).collect()
}
