use bytes::Bytes;
use http::Method;
use longshore_oci::{Algorithm, Digest};

use super::{Answer, Client};

/// An upload under way: where its next request goes, and how far it has come.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The newest `Location`.
    pub location: String,
    /// How many bytes the registry has said it has.
    pub offset_bytes: usize,
}

impl Upload {
    /// Its URL with one more query parameter.
    pub fn with(&self, parameter: &str) -> String {
        format!("{}{}{parameter}", self.location, if self.location.contains('?') { '&' } else { '?' })
    }

    /// The URL that closes it.
    pub fn closing(&self, digest: &Digest) -> String {
        self.with(&format!("digest={digest}"))
    }

    /// Takes the new location from a 202 or 204.
    fn follow(&mut self, answer: &Answer) {
        answer.required("location").clone_into(&mut self.location);
        if let Some(range) = answer.header("range") {
            let last = range.strip_prefix("0-").and_then(|last| last.parse::<usize>().ok());
            self.offset_bytes = last.unwrap_or_else(|| panic!("{range} is no range from 0")) + 1;
        }
    }
}

impl Client {
    /// Pushes a blob as docker does: HEAD, POST, PATCH with the whole body, PUT with none.
    pub async fn push_blob(&self, repository: &str, content: &Bytes) -> Digest {
        self.try_push_blob(repository, content).await.unwrap_or_else(|reason| panic!("the push failed: {reason}"))
    }

    /// Like [`Self::push_blob`]; the error says what went wrong. `Ok` means that the registry said 201.
    pub async fn try_push_blob(&self, repository: &str, content: &Bytes) -> Result<Digest, String> {
        let digest = Digest::of(Algorithm::Sha256, content);
        let path = format!("/v2/{repository}/blobs/uploads/");
        let begun = self.step(self.request(Method::POST, &path).header("content-length", "0"), 202).await?;
        let mut upload = Upload { location: begun.required("location").into(), offset_bytes: 0 };
        let patch = self.request(Method::PATCH, &upload.location).header("content-type", "application/octet-stream");
        upload.follow(&self.step(patch.body(content.clone()), 202).await?);
        let put = self.request(Method::PUT, &upload.closing(&digest)).header("content-length", "0");
        let created = self.step(put, 201).await?;
        match created.header("docker-content-digest") {
            Some(said) if said != digest.as_str() => Err(format!("a 201 for {said} instead of {digest}")),
            _ => Ok(digest),
        }
    }

    async fn step(&self, request: reqwest::RequestBuilder, status: u16) -> Result<Answer, String> {
        let answer = Answer::attempt(request).await.map_err(|error| format!("{error:?}"))?;
        if answer.status.as_u16() == status { Ok(answer) } else { Err(format!("{answer:?}")) }
    }

    /// Begins an upload; `query` is empty or begins with `?`.
    pub async fn begin_upload(&self, repository: &str, query: &str) -> Upload {
        let answer = self.post(&format!("/v2/{repository}/blobs/uploads/{query}")).await.expect(202);
        Upload { location: answer.required("location").into(), offset_bytes: 0 }
    }

    /// Sends bytes with a `Content-Range` that begins at `start`, whatever the upload's offset is.
    pub async fn send_chunk(&self, upload: &Upload, start: usize, chunk: &Bytes) -> Answer {
        let range = format!("{start}-{}", (start + chunk.len()).saturating_sub(1));
        let request = self.request(Method::PATCH, &upload.location).header("content-range", range);
        Answer::to(request.header("content-type", "application/octet-stream").body(chunk.clone())).await
    }

    /// Sends the next chunk, which has to be taken.
    pub async fn next_chunk(&self, upload: &mut Upload, chunk: &Bytes) -> Answer {
        let start = upload.offset_bytes;
        let answer = self.send_chunk(upload, start, chunk).await.expect(202);
        upload.follow(&answer);
        assert_eq!(upload.offset_bytes, start + chunk.len(), "the Range of a 202 ends with the chunk: {answer:?}");
        answer
    }

    /// Asks how far an upload has come.
    pub async fn upload_status(&self, upload: &mut Upload) -> Answer {
        let answer = self.get(&upload.location).await.expect(204);
        upload.follow(&answer);
        answer
    }

    /// Closes an upload; `last` may be empty.
    pub async fn close_upload(&self, upload: &Upload, digest: &Digest, last: &Bytes) -> Answer {
        let request = self.request(Method::PUT, &upload.closing(digest));
        let request = request.header("content-length", last.len()).header("content-type", "application/octet-stream");
        Answer::to(request.body(last.clone())).await
    }

    /// Pushes a blob with one POST.
    pub async fn post_blob(&self, repository: &str, digest: &Digest, content: &Bytes) -> Answer {
        let request = self.request(Method::POST, &format!("/v2/{repository}/blobs/uploads/?digest={digest}"));
        Answer::to(request.header("content-type", "application/octet-stream").body(content.clone())).await
    }

    /// Pulls a blob and checks it against its digest.
    pub async fn pull_blob(&self, repository: &str, digest: &Digest) -> Bytes {
        let body = self.get(&format!("/v2/{repository}/blobs/{digest}")).await.expect(200).body;
        assert_eq!(&Digest::of(digest.algorithm(), &body), digest, "wrong bytes were served");
        body
    }
}
