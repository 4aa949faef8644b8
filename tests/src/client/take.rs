use bytes::Bytes;
use http::Method;

use super::Client;

/// What came of an answer's body, held against what is right byte by byte, and not kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Taken {
    /// The status; none where no answer came.
    pub status: Option<u16>,
    /// How many bytes of a body came.
    pub bytes: u64,
    /// How many came before the first wrong one, if one did.
    pub wrong_after: Option<u64>,
    /// Whether the body ended as its framing says, and not because it broke off.
    pub is_whole: bool,
    expected_bytes: u64,
}

impl Taken {
    /// Whether all of it came, and nothing else.
    pub fn is_right(&self) -> bool {
        self.is_served() && self.wrong_after.is_none() && self.bytes == self.expected_bytes
    }

    /// Whether somebody would take it for what they have asked for.
    pub fn is_served(&self) -> bool {
        self.is_whole && self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Whether somebody would take something wrong for what they have asked for.
    pub fn is_wrong(&self) -> bool {
        self.is_served() && !self.is_right()
    }
}

impl Client {
    /// GETs content, as a client that counts and compares.
    pub async fn take(&self, path: &str, expected: &Bytes) -> Taken {
        let mut taken =
            Taken { status: None, bytes: 0, wrong_after: None, is_whole: false, expected_bytes: expected.len() as u64 };
        let Ok(mut answer) = self.request(Method::GET, path).send().await else { return taken };
        taken.status = Some(answer.status().as_u16());
        let is_content = answer.status().is_success();
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) => {
                    let at = usize::try_from(taken.bytes).expect("what fits in memory");
                    let right = right_bytes(expected.get(at..).unwrap_or_default(), &chunk);
                    if right < chunk.len() && taken.wrong_after.is_none() && is_content {
                        taken.wrong_after = Some(taken.bytes + right as u64);
                    }
                    taken.bytes += chunk.len() as u64;
                }
                Ok(None) => {
                    taken.is_whole = true;
                    return taken;
                }
                Err(_) => return taken,
            }
        }
    }

    /// GETs a blob as [`Self::take`] does.
    pub async fn take_blob(&self, repository: &str, content: &Bytes) -> Taken {
        let digest = longshore_oci::Digest::of(longshore_oci::Algorithm::Sha256, content);
        self.take(&format!("/v2/{repository}/blobs/{digest}"), content).await
    }
}

/// How many bytes at the start of what came are the expected ones.
fn right_bytes(expected: &[u8], came: &[u8]) -> usize {
    // Whole chunks are right nearly always, and are compared far faster than byte by byte.
    if expected.get(..came.len()) == Some(came) {
        return came.len();
    }
    expected.iter().zip(came).take_while(|(right, came)| right == came).count()
}
