//! What a member says of a blob, or says that a manifest is: short enough to be signed as a whole.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, header::CONTENT_TYPE};
use longshore_oci::{Digest, Metainfo};
use reqwest::Response;

use super::{Missed, NotAnswered, Peer, Question, ToldManifest};
use crate::{
    piece::PieceHashes,
    site::{
        asked::{ANSWER_SIGNATURE, What, Word},
        signature::Tag,
    },
    tags::MOST_MANIFEST_BYTES,
};

/// The longest list of pieces that is taken, in bytes: that of a blob of a tebibyte.
const MOST_LIST_BYTES: usize = 72 << 20;

impl Peer {
    /// A blob's length and pieces, by its word; `None` where nobody says.
    pub async fn pieces(&self, question: Question<'_>) -> Result<Option<(u64, PieceHashes)>, Missed> {
        let (answer, tag, _slot) = match self.ask(question, What::Pieces, None).await {
            Err(NotAnswered::Said(Word::Unvouched)) => return Ok(None),
            answer => answer?,
        };
        let (_, body) = self.told(answer, &tag, MOST_LIST_BYTES).await?;
        let metainfo = serde_json::from_slice::<Metainfo>(&body).ok().filter(|metainfo| metainfo.digest == *question.digest);
        let pieces = metainfo.and_then(|metainfo| Some((metainfo.size_bytes, PieceHashes::of(&metainfo)?)));
        pieces.map(Some).ok_or(Missed::Malformed("its list of pieces can't be read"))
    }

    /// A manifest.
    pub async fn manifest(&self, question: Question<'_>) -> Result<ToldManifest, Missed> {
        let (answer, tag, _slot) = self.ask(question, What::Manifest, None).await?;
        let (kind, bytes) = self.told(answer, &tag, MOST_MANIFEST_BYTES).await?;
        if Digest::of(question.digest.algorithm(), &bytes) != *question.digest {
            return Err(Missed::Malformed("it sends what the manifest is not"));
        }
        let content_type = kind.to_str().map_err(|_| Missed::Malformed("it does not say what the manifest is"))?.to_owned();
        Ok(ToldManifest { bytes, content_type })
    }

    /// An answer's content type and its body, which are signed by the site's secret.
    async fn told(&self, mut answer: Response, tag: &Tag, most_bytes: usize) -> Result<(HeaderValue, Bytes), Missed> {
        let signature = answer.headers().get(ANSWER_SIGNATURE).cloned();
        let kind = answer.headers().get(CONTENT_TYPE).cloned().unwrap_or(HeaderValue::from_static(""));
        let mut body = BytesMut::new();
        while let Some(chunk) = self.attend(answer.chunk()).await? {
            if chunk.len() > most_bytes - body.len() {
                return Err(Missed::Malformed("its answer is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        let mut signed = Tag::default();
        let is_read = signature.is_some_and(|signature| hex::decode_to_slice(signature.as_bytes(), &mut signed).is_ok());
        if !is_read || !self.secret.is_of_answer(tag, &kind, &body, &signed) {
            return Err(Missed::Malformed("its answer is not signed by the site's secret"));
        }
        Ok((kind, body.freeze()))
    }
}
