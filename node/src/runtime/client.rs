//! Asking containerd over its socket. Nothing is changed there.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use longshore_oci::Digest;
use tokio::{net::UnixStream, time::timeout};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::wire::{
    GetContainerResponse, GetImageResponse, GetRequest, Info, ListContentRequest, ListContentResponse, ListTasksRequest,
    ListTasksResponse, ReadContentRequest, ReadContentResponse,
};

/// What says whose content, images and containers are meant (containerd, `pkg/namespaces`).
const NAMESPACE: &str = "containerd-namespace";
/// How long a connection, the answer to a question, and the next part of an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest message that is read, containerd's own limit.
const MOST_MESSAGE_BYTES: usize = 16 << 20;

/// Why containerd did not say or send something.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// It refuses, has not got it, or is not there.
    #[error("containerd at {} does not answer: {}", address.display(), status.message())]
    Refused {
        /// Its socket.
        address: Arc<PathBuf>,
        /// What it said.
        #[source]
        status: Box<Status>,
    },
    /// It says nothing.
    #[error("containerd at {} says nothing for {PATIENCE:?}", .0.display())]
    Silent(Arc<PathBuf>),
    /// It sends more or less than it is to.
    #[error("containerd sent another length of {0} than was asked for")]
    Length(Digest),
}

impl RuntimeError {
    /// Whether it is there, and says that it has not got what it was asked for.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.code() == Code::NotFound)
    }
}

/// A containerd. It is connected to when it is asked, and again where the connection was lost.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    address: Arc<PathBuf>,
}

impl Client {
    /// The one that listens at this socket. It need not be there yet.
    pub fn new(address: PathBuf) -> Self {
        let address = Arc::new(address);
        let socket = address.clone();
        let connector = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(&*socket).await.map(TokioIo::new) }
        });
        // The URL is for the head of requests alone.
        let endpoint = Endpoint::from_static("http://containerd").connect_timeout(PATIENCE);
        Self { channel: endpoint.connect_with_connector_lazy(connector), address }
    }

    /// Hands each of a namespace's blobs and manifests to `each`, until that says that it has enough.
    pub async fn list(&self, namespace: &str, mut each: impl FnMut(Info) -> bool) -> Result<(), RuntimeError> {
        let path = "/containerd.services.content.v1.Content/List";
        let pages = self.stream::<_, ListContentResponse>(namespace, path, ListContentRequest::default()).await?;
        let mut pages = std::pin::pin!(pages);
        while let Some(page) = pages.try_next().await? {
            if !page.info.into_iter().all(&mut each) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// These bytes of a blob, as they come.
    pub async fn read(
        &self,
        namespace: &str,
        digest: &Digest,
        start: u64,
        length: u64,
    ) -> Result<impl Stream<Item = Result<Bytes, RuntimeError>> + Send + use<>, RuntimeError> {
        let path = "/containerd.services.content.v1.Content/Read";
        let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let request = ReadContentRequest { digest: digest.to_string(), offset: number(start), size: number(length) };
        let parts = self.stream::<_, ReadContentResponse>(namespace, path, request).await?;
        Ok(parts.map_ok(|part| part.data))
    }

    /// The same, all together: exactly so many bytes.
    pub async fn read_all(&self, namespace: &str, digest: &Digest, start: u64, length: u64) -> Result<Bytes, RuntimeError> {
        let capacity = usize::try_from(length).map_err(|_| RuntimeError::Length(digest.clone()))?;
        if capacity == 0 {
            return Ok(Bytes::new());
        }
        let parts = self.read(namespace, digest, start, length).await?;
        let mut parts = std::pin::pin!(parts);
        let mut all = BytesMut::with_capacity(capacity);
        while let Some(part) = parts.try_next().await? {
            if all.len() + part.len() > capacity {
                return Err(RuntimeError::Length(digest.clone()));
            }
            all.extend_from_slice(&part);
        }
        if all.len() == capacity { Ok(all.freeze()) } else { Err(RuntimeError::Length(digest.clone())) }
    }

    /// The containers of a namespace that have not ended.
    pub async fn running(&self, namespace: &str) -> Result<Vec<String>, RuntimeError> {
        let path = "/containerd.services.tasks.v1.Tasks/List";
        let answer: ListTasksResponse = self.ask(namespace, path, ListTasksRequest {}).await?;
        Ok(answer.tasks.into_iter().filter(super::wire::Process::is_live).map(|task| task.id).collect())
    }

    /// The name of a container's image; empty where it was made without one.
    pub async fn image_of(&self, namespace: &str, container: &str) -> Result<String, RuntimeError> {
        let path = "/containerd.services.containers.v1.Containers/Get";
        let answer: GetContainerResponse = self.ask(namespace, path, GetRequest { name: container.to_owned() }).await?;
        Ok(answer.container.map(|container| container.image).unwrap_or_default())
    }

    /// The manifest that an image's name stands for: its media type and digest.
    pub async fn manifest_of(&self, namespace: &str, image: &str) -> Result<Option<(String, Digest)>, RuntimeError> {
        let path = "/containerd.services.images.v1.Images/Get";
        let answer: GetImageResponse = self.ask(namespace, path, GetRequest { name: image.to_owned() }).await?;
        let target = answer.image.and_then(|image| image.target);
        Ok(target.and_then(|target| Some((target.media_type, target.digest.parse().ok()?))))
    }

    async fn ask<Q, A>(&self, namespace: &str, path: &'static str, request: Q) -> Result<A, RuntimeError>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let asking = async {
            let mut grpc = self.ready().await?;
            let codec = ProstCodec::<Q, A>::default();
            let answer = grpc.unary(self.request(namespace, request)?, PathAndQuery::from_static(path), codec).await;
            Ok(answer.map_err(|status| self.refused(status))?.into_inner())
        };
        timeout(PATIENCE, asking).await.map_err(|_| RuntimeError::Silent(self.address.clone()))?
    }

    async fn stream<Q, A>(
        &self,
        namespace: &str,
        path: &'static str,
        request: Q,
    ) -> Result<impl Stream<Item = Result<A, RuntimeError>> + Send + use<Q, A>, RuntimeError>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let asking = async {
            let mut grpc = self.ready().await?;
            let codec = ProstCodec::<Q, A>::default();
            let answer = grpc.server_streaming(self.request(namespace, request)?, PathAndQuery::from_static(path), codec).await;
            Ok(answer.map_err(|status| self.refused(status))?.into_inner())
        };
        let parts = timeout(PATIENCE, asking).await.map_err(|_| RuntimeError::Silent(self.address.clone()))??;
        Ok(futures_util::stream::unfold((parts, self.clone()), async |(mut parts, client)| {
            let next = match timeout(PATIENCE, parts.next()).await {
                Ok(next) => next?.map_err(|status| client.refused(status)),
                Err(_) => Err(RuntimeError::Silent(client.address.clone())),
            };
            Some((next, (parts, client)))
        }))
    }

    async fn ready(&self) -> Result<Grpc<Channel>, RuntimeError> {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(MOST_MESSAGE_BYTES);
        let ready = grpc.ready().await;
        ready.map_err(|error| self.refused(Status::unavailable(longshore_service::error_text::with_sources(&error))))?;
        Ok(grpc)
    }

    fn request<Q>(&self, namespace: &str, message: Q) -> Result<Request<Q>, RuntimeError> {
        let namespace: MetadataValue<Ascii> = namespace
            .parse()
            .map_err(|_| self.refused(Status::invalid_argument("the namespace has signs that none may have")))?;
        let mut request = Request::new(message);
        request.metadata_mut().insert(NAMESPACE, namespace);
        Ok(request)
    }

    fn refused(&self, status: Status) -> RuntimeError {
        RuntimeError::Refused { address: self.address.clone(), status: Box::new(status) }
    }
}
