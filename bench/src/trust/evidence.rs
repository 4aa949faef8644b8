//! Signatures as cosign lays them down at an image's `.sig` tag, by OpenSSL's hand.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::guarded::Guarded;
use super::output_of;
use crate::error::BenchError;
use crate::image::{Image, MANIFEST_MEDIA_TYPE};
use crate::load::connection::Connection;
use crate::load::push::{REPOSITORY, expect, manifest_path};

/// A key that signs images.
pub struct Signer {
    key: PathBuf,
    public_key: String,
}

impl Signer {
    /// One with a new key, ECDSA on P-256, in `folder`.
    pub fn new(folder: &Path) -> Result<Self, BenchError> {
        let key = folder.join("key.pem");
        let mut make = Command::new("openssl");
        make.args(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"]).arg(&key);
        output_of(make, b"")?;
        let mut show = Command::new("openssl");
        show.args(["pkey", "-pubout", "-in"]).arg(&key);
        let public_key = String::from_utf8_lossy(&output_of(show, b"")?).into_owned();
        Ok(Self { key, public_key })
    }

    /// The public half, in PEM.
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// Signs an image, and pushes the signature.
    pub async fn sign(&self, server: &Guarded, image: &Image) -> Result<(), BenchError> {
        let payload = json!({
            "critical": {
                "identity": { "docker-reference": REPOSITORY },
                "image": { "docker-manifest-digest": image.digest },
                "type": "cosign container image signature",
            },
            "optional": null,
        });
        let payload = payload.to_string().into_bytes();
        let mut sign = Command::new("openssl");
        sign.args(["dgst", "-sha256", "-sign"]).arg(&self.key);
        let signature = STANDARD.encode(output_of(sign, &payload)?);
        let descriptor =
            |media_type: &str, content: &[u8]| json!({"mediaType": media_type, "digest": digest(content), "size": content.len()});
        let mut layer = descriptor("application/vnd.dev.cosign.simplesigning.v1+json", &payload);
        layer["annotations"] = json!({ "dev.cosignproject.cosign/signature": signature });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_MEDIA_TYPE,
            "config": descriptor("application/vnd.oci.image.config.v1+json", b"{}"),
            "layers": [layer],
        });
        let (mut connection, host) = (Connection::open(server.address()).await?, server.owner());
        for content in [b"{}".as_slice(), &payload] {
            let path = format!("/v2/{REPOSITORY}/blobs/uploads/?digest={}", digest(content));
            send(&mut connection, "POST", &path, &host, "application/octet-stream", content).await?;
        }
        let path = manifest_path(&format!("{}.sig", image.digest.replace(':', "-")));
        send(&mut connection, "PUT", &path, &host, MANIFEST_MEDIA_TYPE, manifest.to_string().as_bytes()).await
    }
}

fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}

async fn send(
    connection: &mut Connection,
    method: &str,
    path: &str,
    host: &str,
    media_type: &str,
    content: &[u8],
) -> Result<(), BenchError> {
    let length = content.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n");
    let answer = connection.ask(&[head.as_bytes(), content].concat()).await?;
    expect(201, &format!("{method} {path}"), answer.status)
}
