//! Sending spans to a collector.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use rustls::crypto::ring;
use tokio::runtime::Handle;

use super::TelemetryError;
use crate::config::HttpUrl;

/// How long one batch may take to be sent.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Batches spans on a thread of its own and sends them to `endpoint`.
pub(super) fn provider(endpoint: &HttpUrl, service_name: &str) -> Result<SdkTracerProvider, TelemetryError> {
    // The client is built without a provider of its own; the process has one, and losing the race to set it is fine.
    let _ = ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(EXPORT_TIMEOUT).build().map_err(TelemetryError::Client)?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client { client, runtime: Handle::current() })
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{endpoint}/v1/traces"))
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(TelemetryError::Exporter)?;
    let resource = Resource::builder().with_service_name(service_name.to_owned()).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// Runs each export on the runtime, for the batch thread has none and the client needs one.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request.map(reqwest::Body::from))?;
        let client = self.client.clone();
        let answer = self.runtime.spawn(async move {
            let answer = client.execute(request).await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            Ok::<_, reqwest::Error>((status, headers, answer.bytes().await?))
        });
        let (status, headers, body) = answer.await??;
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{BodyExt as _, Empty};
    use hyper::body::Incoming;
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;
    use tracing_subscriber::layer::SubscriberExt as _;

    use opentelemetry::trace::TracerProvider as _;

    use super::*;
    use crate::listener::{Limits, Listener};
    use crate::telemetry::{Telemetry, join_trace};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_span_reaches_the_collector_with_its_callers_trace() {
        let (sender, mut received) = mpsc::channel(4);
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let collector = Listener::bind(address, None, false, Limits::default()).await.expect("a free port");
        let endpoint: HttpUrl = collector.url().parse().expect("a URL");
        let handler = move |request: Request<Incoming>, _| {
            let sender = sender.clone();
            async move {
                let path = request.uri().path().to_owned();
                let body = request.into_body().collect().await.expect("a whole body").to_bytes();
                sender.send((path, body)).await.expect("somebody waits");
                Response::new(Empty::<Bytes>::new().map_err(|never: Infallible| match never {}))
            }
        };
        tokio::spawn(collector.serve(handler, CancellationToken::new()));

        let traces = provider(&endpoint, "a-test").expect("settings that work");
        let layer = tracing_opentelemetry::layer().with_tracer(traces.tracer("longshore"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = tracing::info_span!("a span worth sending");
            let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
            let value = http::HeaderValue::from_static(traceparent);
            join_trace(&span, &http::HeaderMap::from_iter([(http::HeaderName::from_static("traceparent"), value)]));
            span.in_scope(|| tracing::info!("within"));
        });
        Telemetry { traces: Some(traces) }.shutdown().await;

        let (path, body) = received.recv().await.expect("the span was sent");
        assert_eq!(path, "/v1/traces");
        let holds = |needle: &[u8]| body.windows(needle.len()).any(|window| window == needle);
        assert!(holds(b"a span worth sending") && holds(b"a-test"));
        assert!(holds(&0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes()), "the trace is the caller's");
    }
}
