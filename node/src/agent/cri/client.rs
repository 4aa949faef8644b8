use std::{path::PathBuf, sync::Arc, time::Duration};

use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use longshore_service::error_text::with_sources;
use tokio::{net::UnixStream, time::timeout};
use tonic::{
    Request,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::CriError;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest answer that is read: a command's two outputs, of up to 16 MiB each.
const MOST_MESSAGE_BYTES: usize = 40 << 20;

/// A container runtime. It is connected to when it is asked, and again where the connection was lost.
#[derive(Clone, Debug)]
pub struct Cri {
    channel: Channel,
    address: Arc<PathBuf>,
}

impl Cri {
    /// The one that listens at this socket. It need not be there yet.
    pub fn new(address: PathBuf) -> Self {
        let address = Arc::new(address);
        let socket = address.clone();
        let connector = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(&*socket).await.map(TokioIo::new) }
        });
        // The URL is for the head of requests alone.
        let endpoint = Endpoint::from_static("http://runtime").connect_timeout(CONNECT);
        Self { channel: endpoint.connect_with_connector_lazy(connector), address }
    }

    /// Asks for something that answers once, and waits so long for that.
    pub(super) async fn ask<Q, A>(&self, path: &'static str, request: Q, patience: Duration) -> Result<A, CriError>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let asking = async {
            let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(MOST_MESSAGE_BYTES);
            let ready = grpc.ready().await;
            ready.map_err(|error| CriError::Down { address: self.address.clone(), reason: with_sources(&error) })?;
            let codec = ProstCodec::<Q, A>::default();
            let answer = grpc.unary(Request::new(request), PathAndQuery::from_static(path), codec).await;
            Ok(answer.map_err(|status| CriError::Refused(Box::new(status)))?.into_inner())
        };
        let call = path.rsplit('/').next().unwrap_or(path);
        let silent = |_| CriError::Silent { address: self.address.clone(), call, patience };
        timeout(patience, asking).await.map_err(silent)?
    }
}
